"""Ranked pages with what groups, sorts and counts them. Read through `visible_pages`, without text.

Weak pages are only what stands nearest where nothing fits: an order by anything but relevance keeps
them last, in the order of relevance, and no count includes them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import connection

from searchapp import access
from searchapp.access import Actor
from searchapp.search.query import MAX_LIMIT, Sort
from searchapp.search.types import Ranked

# Values of one facet, the most frequent first.
MAX_FACET_VALUES = 50


@dataclass(frozen=True, slots=True)
class Place:
    """A ranked page and where it stands."""

    ranked: Ranked
    document_id: int
    number: int
    language: str
    title: str
    type: str
    tags: Sequence[str]
    uploaded: datetime
    collection: str

    @property
    def is_weak(self) -> bool:
        """Whether it does not fit what was asked."""
        return self.ranked.band == "weak"


# A page with more may be looked at as having text: it would have to be read to know.
_BLANK_BYTES = 100
_BLANK = """
SELECT id FROM searchapp_page WHERE id = ANY(%(pages)s)
    AND octet_length(text) + octet_length(notes) < %(bytes)s AND text || notes !~ '\\S'
"""
# Ranked pages that are counted, whatever `limit` is.
COUNTED = MAX_LIMIT

_COLUMNS = (
    "pk",
    "document_id",
    "number",
    "language",
    "document__title",
    "document__kind",
    "document__tags",
    "document__created_at",
    "document__collection__slug",
)


def places_get(actor: Actor, ranked: Iterable[Ranked]) -> list[Place]:
    """The pages of a ranking that the actor may see, in its order."""
    ranked = list(ranked)
    rows = access.visible_pages(actor).filter(pk__in=[item.page_id for item in ranked])
    found = {row[0]: row[1:] for row in rows.values_list(*_COLUMNS)}
    return [Place(item, *found[item.page_id]) for item in ranked if item.page_id in found]


def pages_blank(pages: Iterable[int]) -> set[int]:
    """Those of the pages that have no text; of others, not even the length is read out of line."""
    with connection.cursor() as cursor:
        cursor.execute(_BLANK, {"pages": list(pages), "bytes": _BLANK_BYTES})
        return {row[0] for row in cursor.fetchall()}


def places_sorted(places: Iterable[Place], sort: Sort) -> list[Place]:
    """Places, which come by relevance, in the wanted order."""
    if sort == "relevance":
        return list(places)
    return sorted(places, key=lambda place: (place.is_weak, *(_key(place, sort))))


def _key(place: Place, sort: Sort) -> tuple[Any, ...]:
    if place.is_weak:
        return ()
    if sort == "newest":
        return (-place.uploaded.timestamp(), -place.document_id)
    return (place.title.casefold(), place.document_id, place.number)


def facets_count(places: Iterable[Place]) -> dict[str, dict[str, int]]:
    """How many of the first COUNTED pages, as far as they fit, have each value, by filter;
    `uploaded` by month.

    A value can be sent back as a filter of the same name, apart from the months.
    """
    fitting = [place for place in islice(places, COUNTED) if not place.is_weak]
    values: dict[str, Iterable[str]] = {
        "collections": (place.collection for place in fitting),
        "types": (place.type for place in fitting),
        "tags": (tag for place in fitting for tag in place.tags),
        "languages": (place.language for place in fitting if place.language),
        "uploaded": (place.uploaded.strftime("%Y-%m") for place in fitting),
    }
    return {name: _most_frequent(found) for name, found in values.items()}


def _most_frequent(values: Iterable[str]) -> dict[str, int]:
    counted = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    return dict(counted[:MAX_FACET_VALUES])
