"""What is asked: parts, filters, bounds; checked here once for API, web and commands."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from searchapp import engine
from searchapp.errors import InvalidInput
from searchapp.models import Document
from searchapp.models.storable import is_row_id, require_storable

Sort = Literal["relevance", "newest", "document"]

MAX_LIMIT = 200
MAX_OVERSAMPLING = 50
MAX_QUERY_CHARS = 10_000
MAX_PARTS = 20
MAX_FILTER_VALUES = 200


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What hits must not be. Several values: none of them."""

    collections: tuple[str, ...] = ()
    documents: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filters:
    """What hits must match; empty means no bound. Several values of one filter: any of them.

    languages: ISO 639-1 codes of the page. uploaded_from, uploaded_to: days, both included.
    page_from, page_to: page numbers, both included. metadata: key to the allowed values.
    """

    collections: tuple[str, ...] = ()
    documents: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    uploaded_from: date | None = None
    uploaded_to: date | None = None
    page_from: int | None = None
    page_to: int | None = None
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    without: Exclusions = field(default_factory=Exclusions)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is bounded below the collections."""
        return replace(self, collections=()) == Filters()


@dataclass(frozen=True, slots=True)
class Query:
    """One search: parts, pages to be like and unlike, or both.

    oversampling: candidates of the binary prefilter per wanted hit. image_weight: the pictures'
    share (0..1) where there are words too; None leaves both to the model, interleaved.
    like, unlike: ids of pages whose kind is wanted more, or less.
    """

    parts: tuple[engine.Part, ...] = ()
    filters: Filters = field(default_factory=Filters)
    limit: int = 10
    oversampling: int = 4
    group: bool = False
    sort: Sort = "relevance"
    image_weight: float | None = None
    like: tuple[int, ...] = ()
    unlike: tuple[int, ...] = ()
    facets: bool = False

    @property
    def text(self) -> str:
        """The words of the query, without its pictures."""
        return " ".join(p.text for p in self.parts if isinstance(p, engine.TextPart)).strip()


def text_query(text: str, **bounds: object) -> Query:
    """A query of words alone."""
    return Query(parts=(engine.TextPart(text),), **bounds)  # type: ignore[arg-type]


def query_check(query: Query) -> None:
    """Raises InvalidInput naming the field that cannot be used."""
    if not query.parts or all(_is_blank(part) for part in query.parts):
        raise InvalidInput(
            "empty_query", "The query is empty: give words or a picture.", field="query"
        )
    if len(query.parts) > MAX_PARTS:
        raise InvalidInput("query_too_long", f"At most {MAX_PARTS} parts.", field="query")
    if len(query.text) > MAX_QUERY_CHARS:
        raise InvalidInput(
            "query_too_long",
            f"The query is longer than {MAX_QUERY_CHARS} characters.",
            field="query",
        )
    for part in query.parts:
        require_storable(part.text or "", "query")
    _between("limit", query.limit, MAX_LIMIT)
    _between("oversampling", query.oversampling, MAX_OVERSAMPLING)
    _filters_check(query.filters)


def _is_blank(part: engine.Part) -> bool:
    return isinstance(part, engine.TextPart) and not part.text.replace("\x00", "").strip()


def _between(name: str, value: int, maximum: int) -> None:
    if not 1 <= value <= maximum:
        raise InvalidInput(f"invalid_{name}", f"{name} is 1 to {maximum}.", field=name)


def _filters_check(filters: Filters) -> None:
    for name in ("collections", "documents", "types", "tags"):
        if len(getattr(filters, name)) > MAX_FILTER_VALUES:
            raise InvalidInput(
                "too_many_values", f"At most {MAX_FILTER_VALUES} values.", field=f"filters.{name}"
            )
    _storable_check(filters)
    unknown = [kind for kind in filters.types if kind not in Document.Kind.values]
    if unknown:
        allowed = ", ".join(Document.Kind.values)
        raise InvalidInput(
            "unknown_type", f"'{unknown[0]}' is not a type; use {allowed}.", field="filters.types"
        )


def _storable_check(filters: Filters) -> None:
    for name in ("collections", "tags"):
        for value in getattr(filters, name):
            require_storable(value, f"filters.{name}")
    if not all(is_row_id(number) for number in filters.documents):
        raise InvalidInput(
            "unknown_document", "There is no such document.", field="filters.documents"
        )
