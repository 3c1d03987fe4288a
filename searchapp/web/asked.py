"""What a person asks on the search page, from a form or a URL, and back into a URL.

Reads the spelling of URLs only; whether a question can be asked is decided by `search.checks`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from urllib.parse import urlencode

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, QueryDict

from searchapp import engine
from searchapp.access import Actor
from searchapp.errors import InvalidInput
from searchapp.models.storable import require_storable
from searchapp.search.checks import filters_check, query_check
from searchapp.search.crops import page_part
from searchapp.search.query import MAX_LIMIT, Exclusions, Filters, Query, Sort, metadata_from
from searchapp.search.syntax import wording
from searchapp.web.progress import is_id

PAGE_SIZE = 24
MAX_PICTURE = 20 * 1024 * 1024
DOCUMENTS, PAGES = "documents", "pages"
# Filters of several values: parameter to field; `without_` before the parameter excludes.
CHOICES = {"collection": "collections", "type": "types", "tag": "tags", "language": "languages"}
NOT = "without_"
_KEY = re.compile(r"[a-z0-9]{1,32}")


@dataclass(frozen=True, slots=True)
class PagePart:
    """A box on a page's picture, asked as a picture: edges in thousandths of width and height."""

    page_id: int
    box: tuple[int, int, int, int]

    def __str__(self) -> str:
        return ",".join(map(str, (self.page_id, *self.box)))


@dataclass(frozen=True, slots=True)
class Asked:
    """One question.

    picture: as it was sent, or cut from `part`. picture_key: the name under which
    the asker's browser keeps the picture, so that going back finds it. weight: the picture's share
    in percent beside words. view: hits by document or all pages.
    """

    text: str = ""
    picture: engine.ImagePart | None = None
    filters: Filters = field(default_factory=Filters)
    view: str = DOCUMENTS
    limit: int = PAGE_SIZE
    sort: Sort = "relevance"
    weight: int | None = None
    like: tuple[int, ...] = ()
    unlike: tuple[int, ...] = ()
    part: PagePart | None = None
    picture_key: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked yet."""
        return not (self.text or self.picture or self.like or self.part)

    @property
    def is_picture_elsewhere(self) -> bool:
        """Whether the question has a picture that only the asker's browser knows."""
        return bool(self.picture_key) and self.picture is None

    @property
    def has_filters(self) -> bool:
        """Whether any filter is set."""
        return self.filters != Filters()

    @property
    def marking(self) -> str:
        """The words to mark on pages: what was asked, without what was excluded."""
        return wording(self.text, is_all=False).plain if self.text else ""

    @property
    def is_judgeable(self) -> bool:
        """Whether hits answer words or a picture, about which a verdict can be kept."""
        return bool(self.text or self.picture)

    def to_query(self) -> Query:
        """The search behind the question; words first, then the picture."""
        parts: list[engine.Part] = [engine.TextPart(self.text)] if self.text else []
        if self.picture is not None:
            parts.append(self.picture)
        has_both = bool(self.text) and self.picture is not None
        return Query(
            parts=tuple(parts),
            filters=self.filters,
            limit=self.limit,
            group=self.view == DOCUMENTS,
            sort=self.sort,
            image_weight=self.weight / 100 if has_both and self.weight is not None else None,
            like=self.like,
            unlike=self.unlike,
            facets=True,
        )

    def to_querystring(self, **changes: object) -> str:
        """The question as URL parameters, without its picture; "" when there is nothing to say."""
        fields = {"q": self.text, "part": self.part or "", "picture_key": self.picture_key}
        fields |= {"like": self.like, "unlike": self.unlike, **self._filter_fields()}  # type: ignore[dict-item]
        rest: dict[str, object] = {
            "weight": "" if self.weight is None else str(self.weight),
            "sort": self.sort if self.sort != "relevance" else "",
            "view": self.view if self.view != DOCUMENTS else "",
            "limit": self.limit if self.limit != PAGE_SIZE else "",
        }
        said = {**fields, **rest, **changes}
        return urlencode({key: value for key, value in said.items() if value}, doseq=True)

    def _filter_fields(self) -> dict[str, object]:
        filters, without = self.filters, self.filters.without
        fields: dict[str, object] = {}
        for name, attribute in {**CHOICES, "document": "documents"}.items():
            fields[name] = getattr(filters, attribute)
            fields[NOT + name] = getattr(without, attribute)
        fields["metadata"] = [
            f"{key}:{v}" for key, values in filters.metadata.items() for v in values
        ]
        fields["uploaded_from"], fields["uploaded_to"] = filters.uploaded_from, filters.uploaded_to
        fields["page_from"], fields["page_to"] = filters.page_from, filters.page_to
        return fields

    def without_filters(self) -> "Asked":
        """The same question of everything."""
        return replace(self, filters=Filters(), limit=PAGE_SIZE)


def similar_to(page_id: int, asked: Asked) -> Asked:
    """What resembles one page, within the filters and arrangement of another question."""
    return Asked(filters=asked.filters, view=asked.view, like=(page_id,))


def asked_from(request: HttpRequest) -> Asked:
    """The question of a search request. Raises InvalidInput naming the field."""
    given = request.POST if request.method == "POST" else request.GET
    return asked_from_parameters(given, picture_from(request))


def with_part(actor: Actor, asked: Asked) -> Asked:
    """The question with the part of a page that it names as its picture. Raises InvalidInput."""
    if asked.part is None or asked.picture is not None:
        return asked
    box = [edge / 1000 for edge in asked.part.box]
    return replace(asked, picture=page_part(actor, asked.part.page_id, box, field="part"))


def asked_from_parameters(given: QueryDict, picture: engine.ImagePart | None = None) -> Asked:
    """The question in URL or form parameters. Raises InvalidInput."""
    limit = _whole(given, "limit", f"limit is 1 to {MAX_LIMIT}.")
    asked = Asked(
        text=given.get("q", "").strip(),
        picture=picture,
        filters=_filters(given),
        view=_one_of(given, "view", (DOCUMENTS, PAGES)),
        limit=PAGE_SIZE if limit is None else limit,
        sort=given.get("sort") or "relevance",  # type: ignore[arg-type]  # query_check decides
        weight=_weight(given),
        like=_ids(given, "like", "page"),
        unlike=_ids(given, "unlike", "page"),
        part=_part(given.get("part", "")),
        picture_key=_picture_key(given),
    )
    require_storable(asked.text, "query")
    if asked.is_empty or (asked.part and not asked.text):
        filters_check(asked.filters)
    else:
        query_check(asked.to_query())
    return asked


def _filters(given: QueryDict) -> Filters:
    chosen = {field: _chosen(given, name) for name, field in CHOICES.items()}
    without = {field: _chosen(given, NOT + name) for name, field in CHOICES.items()}
    return Filters(
        **chosen,
        documents=_ids(given, "document", "document"),
        uploaded_from=_day(given, "uploaded_from"),
        uploaded_to=_day(given, "uploaded_to"),
        page_from=_whole(given, "page_from", "page_from is 1 or more."),
        page_to=_whole(given, "page_to", "page_to is 1 or more."),
        metadata=metadata_from(pair.strip() for pair in _chosen(given, "metadata")),
        without=Exclusions(**without, documents=_ids(given, NOT + "document", "document")),
    )


def _chosen(given: QueryDict, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in given.getlist(name) if value))


def _ids(given: QueryDict, name: str, what: str) -> tuple[int, ...]:
    words = _chosen(given, name)
    if not all(is_id(word) for word in words):
        raise InvalidInput(f"unknown_{what}", f"There is no such {what}.", field=name)
    return tuple(dict.fromkeys(int(word) for word in words))


def _one_of(given: QueryDict, name: str, allowed: Sequence[str]) -> str:
    word = given.get(name) or allowed[0]
    if word not in allowed:
        raise InvalidInput(f"invalid_{name}", f"{name} is {' or '.join(allowed)}.", field=name)
    return word


def _whole(given: QueryDict, name: str, sentence: str) -> int | None:
    word = given.get(name, "").strip()
    if not word:
        return None
    if not is_id(word):
        raise InvalidInput(f"invalid_{name}", sentence, field=name)
    return int(word)


def _weight(given: QueryDict) -> int | None:
    weight = _whole(given, "weight", "weight is 0 to 100.")
    if weight is not None and weight > 100:
        raise InvalidInput("invalid_weight", "weight is 0 to 100.", field="weight")
    return weight


def _day(given: QueryDict, name: str) -> date | None:
    word = given.get(name, "").strip()
    if not word:
        return None
    try:
        return date.fromisoformat(word)
    except ValueError as error:
        sentence = f"{name} is a day, as in 2026-11-21."
        raise InvalidInput("invalid_date", sentence, field=name) from error


def _part(word: str) -> PagePart | None:
    if not word:
        return None
    numbers = [int(n) if is_id(n) else -1 for n in word[:200].split(",")]
    if len(numbers) == 5:
        page_id, x0, y0, x1, y1 = numbers
        if page_id >= 0 and 0 <= x0 < x1 <= 1000 and 0 <= y0 < y1 <= 1000:
            return PagePart(page_id, (x0, y0, x1, y1))
    sentence = "part is a page's id and a box: left, top, right, bottom in thousandths."
    raise InvalidInput("invalid_part", sentence, field="part")


def _picture_key(given: QueryDict) -> str:
    word = given.get("picture_key", "")
    return word if _KEY.fullmatch(word) else ""


def picture_from(request: HttpRequest) -> engine.ImagePart | None:
    """The picture that was posted, if any. Raises InvalidInput."""
    file = request.FILES.get("picture") if request.method == "POST" else None
    if not isinstance(file, UploadedFile) or not file.size:
        return None
    if file.size > MAX_PICTURE:
        raise InvalidInput(
            "picture_too_large",
            f"The picture is larger than {MAX_PICTURE // 1024**2} MB; use a smaller one.",
            field="picture",
        )
    return engine.ImagePart(bytes(file.read()))
