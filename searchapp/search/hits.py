"""The ranking as hits: rows of the scope's collections, grouped and sorted as asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import connection

from searchapp.access import Actor
from searchapp.models import Collection, Document, Page
from searchapp.search.excerpts import excerpt_get
from searchapp.search.places import Place, facets_count, places_get, places_sorted
from searchapp.search.query import Query
from searchapp.search.types import Hit, Ranked, Scope

# What cards and answers show; all else is read when it is asked for.
# In the order of the model's fields, as `from_db` reads them.
_PAGE = (
    *("id", "document_id", "number", "hidden", "thumbnail", "width", "height"),
    *("text", "notes", "language"),
)
_DOCUMENT = ("id", "collection_id", "title", "filename", "kind", "page_count")
_COLLECTION = ("id", "name", "slug")
_COLUMNS = ", ".join(
    f"{table}.{name}"
    for table, names in (("page", _PAGE), ("document", _DOCUMENT), ("collection", _COLLECTION))
    for name in names
)
# Written out: the ORM takes longer to write it than Postgres to answer it.
_ROWS = f"""
SELECT {_COLUMNS} FROM searchapp_page page
JOIN searchapp_document document ON document.id = page.document_id
JOIN searchapp_collection collection ON collection.id = document.collection_id
WHERE page.id = ANY(%(pages)s)
    AND (%(collections)s::bigint[] IS NULL OR collection.id = ANY(%(collections)s))
"""  # noqa: S608  (names are our own)


@dataclass(frozen=True, slots=True)
class Shown:
    """The hits of an answer, and the counts over the whole ranking."""

    hits: tuple[Hit, ...]
    facets: dict[str, dict[str, int]] = field(default_factory=dict)


def hits_get(
    actor: Actor, scope: Scope, ranked: Sequence[Ranked], query: Query, words: str
) -> Shown:
    """At most `limit` hits; only their rows are read in full, not those of the whole ranking.

    words: what excerpts stand around.
    """
    if not (query.group or query.facets) and query.sort == "relevance":
        return Shown(_hits(scope, ranked[: query.limit], query, words, {}))
    places = places_get(actor, ranked)
    shown = _first_of_each(places) if query.group else places
    chosen = [place.ranked for place in places_sorted(shown, query.sort)[: query.limit]]
    also = _also(places) if query.group else {}
    facets = facets_count(places) if query.facets else {}
    return Shown(_hits(scope, chosen, query, words, also), facets)


def _hits(
    scope: Scope,
    chosen: Sequence[Ranked],
    query: Query,
    words: str,
    also: dict[int, tuple[int, ...]],
) -> tuple[Hit, ...]:
    pages = _pages(scope, (item.page_id for item in chosen))
    filters = {"filters": list(named)} if (named := query.filters.narrowing) else {}
    return tuple(
        Hit(
            rank=rank,
            score=item.score,
            page=(page := pages[item.page_id]),
            excerpt=excerpt_get(page.text or page.notes, words),
            reasons={**item.reasons, **filters},
            also=tuple(n for n in also.get(page.document_id, ()) if n != page.number),
            band=item.band,
        )
        for rank, item in enumerate((item for item in chosen if item.page_id in pages), start=1)
    )


def _pages(scope: Scope, ids: Iterable[int]) -> dict[int, Page]:
    """The pages by id, with document and collection; none that is out of the scope by now."""
    within = None if scope.collections is None else list(scope.collections)
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, {"pages": list(ids), "collections": within})
        return {row[0]: _page(row) for row in cursor.fetchall()}


def _page(row: tuple[object, ...]) -> Page:
    end = len(_PAGE) + len(_DOCUMENT)
    page = Page.from_db(connection.alias, _PAGE, row[: len(_PAGE)])
    page.document = Document.from_db(connection.alias, _DOCUMENT, row[len(_PAGE) : end])
    page.document.collection = Collection.from_db(connection.alias, _COLLECTION, row[end:])
    return page


def _first_of_each(places: list[Place]) -> list[Place]:
    first: dict[int, Place] = {}
    for place in places:
        first.setdefault(place.document_id, place)
    return list(first.values())


def _also(places: list[Place]) -> dict[int, tuple[int, ...]]:
    numbers: dict[int, list[int]] = {}
    for place in places:
        if not place.is_weak:
            numbers.setdefault(place.document_id, []).append(place.number)
    return {document_id: tuple(sorted(found)) for document_id, found in numbers.items()}
