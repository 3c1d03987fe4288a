"""The ranking as hits: rows read through `visible_pages` once more, grouped and sorted as asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from searchapp import access
from searchapp.access import Actor
from searchapp.search.excerpts import excerpt_get
from searchapp.search.places import Place, facets_count, places_get, places_sorted
from searchapp.search.query import Query
from searchapp.search.types import Hit, Ranked

# A document's other pages are named when they score at least this share of its best one.
_ALSO_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Shown:
    """The hits of an answer, and the counts over the whole ranking."""

    hits: tuple[Hit, ...]
    facets: dict[str, dict[str, int]] = field(default_factory=dict)


def hits_get(actor: Actor, ranked: Sequence[Ranked], query: Query, words: str) -> Shown:
    """At most `limit` hits; only their rows are read in full, not those of the whole ranking.

    words: what excerpts stand around.
    """
    if not (query.group or query.facets) and query.sort == "relevance":
        return Shown(_hits(actor, ranked[: query.limit], query, words, {}))
    places = places_get(actor, ranked)
    shown = _first_of_each(places) if query.group else places
    chosen = [place.ranked for place in places_sorted(shown, query.sort)[: query.limit]]
    also = _also(places) if query.group else {}
    facets = facets_count(places) if query.facets else {}
    return Shown(_hits(actor, chosen, query, words, also), facets)


def _hits(
    actor: Actor,
    chosen: Sequence[Ranked],
    query: Query,
    words: str,
    also: dict[int, tuple[int, ...]],
) -> tuple[Hit, ...]:
    rows = access.visible_pages(actor).select_related("document__collection")
    pages = rows.defer("words", "search").in_bulk([item.page_id for item in chosen])
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


def _first_of_each(places: list[Place]) -> list[Place]:
    first: dict[int, Place] = {}
    for place in places:
        first.setdefault(place.document_id, place)
    return list(first.values())


def _also(places: list[Place]) -> dict[int, tuple[int, ...]]:
    numbers: dict[int, list[int]] = {}
    best: dict[int, float] = {}
    for place in places:
        top = best.setdefault(place.document_id, place.ranked.score)
        if place.ranked.score >= _ALSO_SHARE * top:
            numbers.setdefault(place.document_id, []).append(place.number)
    return {document_id: tuple(sorted(found)) for document_id, found in numbers.items()}
