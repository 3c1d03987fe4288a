"""What is asked: parts, filters, bounds; checked here once for API, web and commands."""

from dataclasses import dataclass, field

from searchapp import access, engine
from searchapp.access import Actor
from searchapp.errors import InvalidInput
from searchapp.models import Document
from searchapp.models.storable import is_row_id, require_storable

MAX_LIMIT = 200
MAX_OVERSAMPLING = 50
MAX_QUERY_CHARS = 10_000
MAX_PARTS = 20
MAX_FILTER_VALUES = 200


@dataclass(frozen=True, slots=True)
class Filters:
    """What hits must match; empty means no bound. Several values of one filter: any of them."""

    collections: tuple[str, ...] = ()
    documents: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is bounded below the collections."""
        return not (self.documents or self.types or self.tags)


@dataclass(frozen=True, slots=True)
class Query:
    """One search. `oversampling`: candidates of the binary prefilter per wanted hit."""

    parts: tuple[engine.Part, ...]
    filters: Filters = field(default_factory=Filters)
    limit: int = 10
    oversampling: int = 4
    group: bool = False

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


def collections_allowed(actor: Actor, filters: Filters) -> list[int] | None:
    """Ids of the collections to search; None when the actor may see all and none are named.

    Raises InvalidInput for a slug that does not exist or is not visible.
    """
    if actor.is_superuser and actor.collection_ids is None and not filters.collections:
        return None
    visible = access.visible_collections(actor)
    if not filters.collections:
        return list(visible.values_list("pk", flat=True))
    found = dict(visible.filter(slug__in=filters.collections).values_list("slug", "pk"))
    for slug in filters.collections:
        if slug not in found:
            raise InvalidInput(
                "unknown_collection",
                f"There is no collection '{slug}'.",
                field="filters.collections",
            )
    return list(found.values())
