"""What a person asks on the search page, from a form or a URL, and back into a URL."""

from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, QueryDict

from searchapp import engine
from searchapp.errors import InvalidInput
from searchapp.models.storable import require_storable
from searchapp.search.query import MAX_LIMIT, MAX_QUERY_CHARS, Filters, Query
from searchapp.web.progress import is_id

PAGE_SIZE = 24
MAX_PICTURE = 20 * 1024 * 1024
DOCUMENTS, PAGES = "documents", "pages"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question. `picture`: an encoded image as it was sent. `view`: hits by document or all."""

    text: str = ""
    picture: bytes | None = None
    filters: Filters = field(default_factory=Filters)
    view: str = DOCUMENTS
    limit: int = PAGE_SIZE

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked yet."""
        return not self.text and self.picture is None

    @property
    def has_filters(self) -> bool:
        """Whether any filter is set."""
        return bool(self.filters.collections) or not self.filters.is_empty

    def to_query(self) -> Query:
        """The search behind the question; words first, then the picture."""
        parts: list[engine.Part] = [engine.TextPart(self.text)] if self.text else []
        if self.picture is not None:
            parts.append(engine.ImagePart(self.picture))
        return Query(
            parts=tuple(parts),
            filters=self.filters,
            limit=self.limit,
            group=self.view == DOCUMENTS,
        )

    def to_querystring(self, **changes: object) -> str:
        """The question as URL parameters, without its picture; "" when there is nothing to say."""
        fields: dict[str, object] = {
            "q": self.text,
            "collection": self.filters.collections,
            "type": self.filters.types,
            "tag": self.filters.tags,
            "document": self.filters.documents,
            "view": self.view if self.view != DOCUMENTS else "",
            "limit": self.limit if self.limit != PAGE_SIZE else "",
        }
        fields |= changes
        return urlencode({key: value for key, value in fields.items() if value}, doseq=True)


def asked_from(request: HttpRequest) -> Asked:
    """The question of a search request. Raises InvalidInput naming the field."""
    given = request.POST if request.method == "POST" else request.GET
    return asked_from_parameters(given, _picture(request))


def asked_from_parameters(given: QueryDict, picture: bytes | None = None) -> Asked:
    """The question in URL or form parameters. Raises InvalidInput."""
    documents = given.getlist("document")
    if not all(is_id(word) for word in documents):
        raise InvalidInput("unknown_document", "There is no such document.", field="document")
    view = given.get("view") or DOCUMENTS
    if view not in (DOCUMENTS, PAGES):
        raise InvalidInput("invalid_view", f"view is {DOCUMENTS} or {PAGES}.", field="view")
    filters = Filters(
        collections=_chosen(given, "collection"),
        documents=tuple(int(word) for word in documents),
        types=_chosen(given, "type"),
        tags=_chosen(given, "tag"),
    )
    return Asked(_text(given), picture, filters, view, _limit(given))


def _text(given: QueryDict) -> str:
    text = given.get("q", "").strip()
    require_storable(text, "query")
    if len(text) > MAX_QUERY_CHARS:
        raise InvalidInput(
            "query_too_long",
            f"The query is longer than {MAX_QUERY_CHARS} characters.",
            field="query",
        )
    return text


def _chosen(given: QueryDict, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in given.getlist(name) if value))


def _limit(given: QueryDict) -> int:
    word = given.get("limit") or str(PAGE_SIZE)
    if not is_id(word):
        raise InvalidInput("invalid_limit", f"limit is 1 to {MAX_LIMIT}.", field="limit")
    return int(word)


def _picture(request: HttpRequest) -> bytes | None:
    file = request.FILES.get("picture") if request.method == "POST" else None
    if not isinstance(file, UploadedFile) or not file.size:
        return None
    if file.size > MAX_PICTURE:
        raise InvalidInput(
            "picture_too_large",
            f"The picture is larger than {MAX_PICTURE // 1024**2} MB; use a smaller one.",
            field="picture",
        )
    return bytes(file.read())
