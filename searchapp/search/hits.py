"""The ranking as hits: rows read through `visible_pages` once more, grouped when asked."""

from dataclasses import dataclass

from searchapp import access
from searchapp.access import Actor
from searchapp.search.excerpts import excerpt_get
from searchapp.search.query import Query
from searchapp.search.types import Hit, Ranked

# A document's other pages are named when they score at least this share of its best one.
_ALSO_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class _Place:
    """A ranked page and where it stands."""

    ranked: Ranked
    document_id: int
    number: int


def hits_get(actor: Actor, ranked: list[Ranked], query: Query) -> tuple[Hit, ...]:
    """At most `limit` hits; only their rows are read in full, not those of the whole ranking."""
    shown, also = ranked[: query.limit], dict[int, tuple[int, ...]]()
    if query.group:
        places = _places(actor, ranked)
        shown = [place.ranked for place in _first_of_each(places)[: query.limit]]
        also = _also(places)
    rows = access.visible_pages(actor).select_related("document__collection")
    pages = rows.defer("words", "search").in_bulk([item.page_id for item in shown])
    return tuple(
        Hit(
            rank=rank,
            score=item.score,
            page=(page := pages[item.page_id]),
            excerpt=excerpt_get(page.text or page.notes, query.text),
            reasons=item.reasons,
            also=tuple(n for n in also.get(page.document_id, ()) if n != page.number),
        )
        for rank, item in enumerate((item for item in shown if item.page_id in pages), start=1)
    )


def _places(actor: Actor, ranked: list[Ranked]) -> list[_Place]:
    rows = access.visible_pages(actor).filter(pk__in=[item.page_id for item in ranked])
    found = {row[0]: row[1:] for row in rows.values_list("pk", "document_id", "number")}
    return [_Place(item, *found[item.page_id]) for item in ranked if item.page_id in found]


def _first_of_each(places: list[_Place]) -> list[_Place]:
    first: dict[int, _Place] = {}
    for place in places:
        first.setdefault(place.document_id, place)
    return list(first.values())


def _also(places: list[_Place]) -> dict[int, tuple[int, ...]]:
    numbers: dict[int, list[int]] = {}
    best: dict[int, float] = {}
    for place in places:
        top = best.setdefault(place.document_id, place.ranked.score)
        if place.ranked.score >= _ALSO_SHARE * top:
            numbers.setdefault(place.document_id, []).append(place.number)
    return {document_id: tuple(sorted(found)) for document_id, found in numbers.items()}
