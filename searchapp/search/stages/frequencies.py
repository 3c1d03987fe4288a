"""On how many pages a word stands: the planner's statistics for common words, a count for rare.

Exact below COUNTED pages, and then of those that the asker may see: a word that only hidden pages
hold is like one that stands nowhere. Above it an estimate of all, which only moves a word's weight
a little.
"""

import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from searchapp.models.lexical import CONFIG
from searchapp.search.stages.statement import Statement, statement_run

# Pages with a rare word that are counted one by one.
COUNTED = 1_000
_FRESH_SECONDS = 60.0
# Words of earlier queries that are remembered.
_REMEMBERED = 50_000

_LEXEMES = """
SELECT word, plainto_tsquery(%(config)s, word)::text FROM unnest(%(words)s::text[]) AS asked (word)
"""

# All pages: the planner's count, exact while the table is small and was perhaps never analysed.
_STATISTICS = """
SELECT CASE WHEN reltuples < 10000 THEN (SELECT count(*) FROM searchapp_page) ELSE reltuples END,
    most_common_elems::text::text[], most_common_elem_freqs
FROM pg_class LEFT JOIN pg_stats ON tablename = relname
    AND schemaname = relnamespace::regnamespace::text AND attname = 'search'
WHERE oid = to_regclass('searchapp_page')
"""

_COUNT = """(SELECT ARRAY[count(*), {visible}] FROM (
    SELECT document_id FROM searchapp_page WHERE search @@ %({name})s::tsquery LIMIT {counted}
) AS counted)"""
_VISIBLE = """count(*) FILTER (WHERE (
    SELECT collection_id FROM searchapp_document WHERE id = counted.document_id
) = ANY(%(collections)s))"""


_Collections = tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a query. lookup: as a tsquery. pages: how many have it, about; total: of all."""

    text: str
    lookup: str
    pages: float
    total: float

    @property
    def idf(self) -> float:
        """ln(1 + N / (1 + n)): Robertson and Sparck Jones 1976, smoothed."""
        return math.log(1 + self.total / (1 + self.pages))


def greatest_idf(total: float) -> float:
    """Of a word that stands on one page of `total`."""
    return math.log(1 + total / 2)


@dataclass(frozen=True, slots=True)
class _Statistics:
    """shares: of the common lexemes, the share of pages. least: of those, the smallest share."""

    total: float
    shares: Mapping[str, float]
    least: float

    @property
    def is_large(self) -> bool:
        """Whether a minute changes little."""
        return self.total >= 10 * COUNTED

    def is_common(self, lexeme: str) -> bool:
        """Whether it stands on COUNTED pages and more."""
        return self.shares.get(lexeme, 0.0) * self.total >= COUNTED


_known: dict[str, tuple[float, _Statistics]] = {}
# What a word is looked up by hangs on CONFIG alone.
_lookup_of: dict[str, str] = {}
_counted: dict[tuple[str, _Collections, str], tuple[float, int]] = {}
_lock = threading.Lock()


def words_get(words: Sequence[str], collections: _Collections = None) -> list[Word]:
    """The words that are looked for (no stop words), in order, with their frequencies.

    collections: those that may be seen; None for all.
    """
    known = _lookups(words)
    lookups = [(word, known[word]) for word in words if known[word]]
    statistics = _statistics()
    unknown = [lookup for _, lookup in lookups if not statistics.is_common(_lexeme(lookup))]
    counts = _counts(unknown, collections, is_kept=statistics.is_large)
    return [
        Word(word, lookup, _pages(lookup, counts.get(lookup), statistics), statistics.total)
        for word, lookup in lookups
    ]


def telling(words: Sequence[str]) -> list[str]:
    """Those that are looked for: no stop words."""
    known = _lookups(words)
    return [word for word in words if known[word]]


def _pages(lookup: str, count: int | None, statistics: _Statistics) -> float:
    if count is None:
        return statistics.shares[_lexeme(lookup)] * statistics.total
    if count < COUNTED:
        return count
    # Somewhere between what was counted and the rarest of the common words.
    return math.sqrt(COUNTED * max(COUNTED, statistics.least * statistics.total))


def _lexeme(lookup: str) -> str:
    return lookup[1:-1]


def _lookups(words: Sequence[str]) -> dict[str, str]:
    """By word what it is looked up by; empty for a stop word."""
    found = {word: _lookup_of[word] for word in words if word in _lookup_of}
    if new := [word for word in words if word not in found]:
        with connection.cursor() as cursor:
            cursor.execute(_LEXEMES, {"config": CONFIG, "words": new})
            read = dict(cursor.fetchall())
        found |= read
        if len(_lookup_of) > _REMEMBERED:
            _lookup_of.clear()
        _lookup_of.update(read)
    return found


def _counts(lookups: Sequence[str], collections: _Collections, *, is_kept: bool) -> dict[str, int]:
    """By lookup the visible pages that have it, COUNTED where as many of all do.

    is_kept: those of the last minute will do.
    """
    name, now = str(connection.settings_dict["NAME"]), time.monotonic()
    found: dict[str, int] = {}
    for lookup in lookups if is_kept else ():
        read_at, count = _counted.get((name, collections, lookup), (-math.inf, 0))
        if now - read_at <= _FRESH_SECONDS:
            found[lookup] = count
    if new := [lookup for lookup in lookups if lookup not in found]:
        read = dict(zip(new, _counts_read(new, collections), strict=True))
        found |= read
        if len(_counted) > _REMEMBERED:
            _counted.clear()
        _counted.update(
            {(name, collections, lookup): (now, count) for lookup, count in read.items()}
        )
    return found


def _counts_read(lookups: Sequence[str], collections: _Collections) -> list[int]:
    names = [f"word_{place}" for place in range(len(lookups))]
    visible = "count(*)" if collections is None else _VISIBLE
    counts = ", ".join(_COUNT.format(name=n, counted=COUNTED, visible=visible) for n in names)
    parameters = {**dict(zip(names, lookups, strict=True)), "collections": list(collections or ())}
    [row] = statement_run(Statement({"enable_seqscan": "off"}, f"SELECT {counts}", parameters))
    return [seen if of_all < COUNTED else COUNTED for of_all, seen in row]


def _statistics() -> _Statistics:
    """The planner's, at most a minute old; of a table that was never analysed there are none."""
    name = str(connection.settings_dict["NAME"])
    with _lock:
        read_at, statistics = _known.get(name, (-math.inf, _Statistics(0, {}, 0.0)))
        if time.monotonic() - read_at > _FRESH_SECONDS or not statistics.is_large:
            statistics = _statistics_read()
            _known[name] = (time.monotonic(), statistics)
        return statistics


def _statistics_read() -> _Statistics:
    with connection.cursor() as cursor:
        cursor.execute(_STATISTICS)
        total, lexemes, numbers = cursor.fetchone()
    # The last of the numbers are bounds of the whole: Postgres docs, pg_stats.
    shares = dict(zip(lexemes or (), numbers or (), strict=False))
    return _Statistics(float(total), shares, min(shares.values(), default=0.0))
