"""On how many pages a word stands: the planner's statistics for common words, a count for rare.

Exact below COUNTED pages; above it an estimate, which only moves a word's weight a little.
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

_LEXEMES = """
SELECT word, plainto_tsquery(%(config)s, word)::text
FROM unnest(%(words)s::text[]) WITH ORDINALITY AS asked (word, place) ORDER BY place
"""

# All pages: the planner's count, exact while the table is small and was perhaps never analysed.
_STATISTICS = """
SELECT CASE WHEN reltuples < 10000 THEN (SELECT count(*) FROM searchapp_page) ELSE reltuples END,
    most_common_elems::text::text[], most_common_elem_freqs
FROM pg_class LEFT JOIN pg_stats ON tablename = relname
    AND schemaname = relnamespace::regnamespace::text AND attname = 'search'
WHERE oid = to_regclass('searchapp_page')
"""

_COUNT = """(SELECT count(*) FROM (
    SELECT FROM searchapp_page WHERE search @@ %({name})s::tsquery LIMIT {counted}
) AS counted)"""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a query. lookup: as a tsquery. pages: how many of all have it, about."""

    text: str
    lookup: str
    pages: float
    total: float

    @property
    def idf(self) -> float:
        """ln(1 + N / (1 + n)): Robertson and Sparck Jones 1976, smoothed."""
        return math.log(1 + self.total / (1 + self.pages))


@dataclass(frozen=True, slots=True)
class _Statistics:
    """shares: of the common lexemes, the share of pages. least: of those, the smallest share."""

    total: float
    shares: Mapping[str, float]
    least: float


_known: dict[str, tuple[float, _Statistics]] = {}
_lock = threading.Lock()


def words_get(words: Sequence[str]) -> list[Word]:
    """The words that are looked for (no stop words), in order, with their frequencies."""
    lookups = [(word, lookup) for word, lookup in _lexemes(words) if lookup]
    statistics = _statistics()
    unknown = [lookup for _, lookup in lookups if _lexeme(lookup) not in statistics.shares]
    counts = dict(zip(unknown, _counts(unknown), strict=True))
    return [
        Word(word, lookup, _pages(lookup, counts.get(lookup), statistics), statistics.total)
        for word, lookup in lookups
    ]


def _pages(lookup: str, count: int | None, statistics: _Statistics) -> float:
    if count is None:
        return statistics.shares[_lexeme(lookup)] * statistics.total
    if count < COUNTED:
        return count
    # Somewhere between what was counted and the rarest of the common words.
    return math.sqrt(COUNTED * max(COUNTED, statistics.least * statistics.total))


def _lexeme(lookup: str) -> str:
    return lookup[1:-1]


def _lexemes(words: Sequence[str]) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(_LEXEMES, {"config": CONFIG, "words": list(words)})
        return list(cursor.fetchall())


def _counts(lookups: Sequence[str]) -> Sequence[int]:
    if not lookups:
        return ()
    names = [f"word_{place}" for place in range(len(lookups))]
    counts = ", ".join(_COUNT.format(name=name, counted=COUNTED) for name in names)
    statement = Statement(
        {"enable_seqscan": "off"}, f"SELECT {counts}", dict(zip(names, lookups, strict=True))
    )
    return statement_run(statement)[0]


def _statistics() -> _Statistics:
    """The planner's, at most a minute old; of a table that was never analysed there are none."""
    name = str(connection.settings_dict["NAME"])
    with _lock:
        read_at, statistics = _known.get(name, (-math.inf, _Statistics(0, {}, 0.0)))
        if time.monotonic() - read_at > _FRESH_SECONDS or statistics.total < 10 * COUNTED:
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
