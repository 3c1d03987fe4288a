"""How many rows of an index a scope may match, from the planner's statistics. Counts nothing.

Only the choice between HNSW and exact scan hangs on it, never what is found.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection

from searchapp.models import Index
from searchapp.search.types import Scope

_SQL = """
SELECT greatest(reltuples, 0), n_distinct, most_common_vals::text::bigint[], most_common_freqs
FROM pg_class LEFT JOIN pg_stats ON tablename = relname
    AND schemaname = relnamespace::regnamespace::text AND attname = 'collection_id'
WHERE oid = to_regclass(%s)
"""
# A large index is looked at so often; a small one is soon another.
_FRESH_SECONDS = 60.0
_LARGE_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class _Statistics:
    """total: rows. distinct: collections, 0 for unknown. shares: of rows, in the common ones."""

    total: float
    distinct: float
    shares: Mapping[int, float]


_known: dict[tuple[str, int], tuple[float, _Statistics]] = {}


def rows_estimate(index: Index, scope: Scope) -> tuple[float, float]:
    """(rows of the index, rows of it that the scope may match); 0 while it was never analysed."""
    statistics = _statistics(index)
    matching = statistics.total
    if scope.collections is not None and statistics.distinct:
        matching *= _share(scope.collections, statistics)
    if scope.pages is not None and scope.pages.count is not None:
        matching = min(matching, scope.pages.count)
    return statistics.total, matching


def _statistics(index: Index) -> _Statistics:
    key = str(connection.settings_dict["NAME"]), index.pk
    read_at, statistics = _known.get(key, (0.0, _Statistics(0, 0, {})))
    if statistics.total < _LARGE_ROWS or time.monotonic() - read_at > _FRESH_SECONDS:
        statistics = _statistics_read(index)
        _known[key] = (time.monotonic(), statistics)
    return statistics


def _statistics_read(index: Index) -> _Statistics:
    with connection.cursor() as cursor:
        cursor.execute(_SQL, [f"searchapp_embedding_{index.pk}"])
        total, distinct, common, shares = cursor.fetchone() or (0, None, None, None)
    distinct = distinct or 0
    # Postgres docs, pg_stats: below 0 it is a share of the rows.
    distinct = distinct if distinct >= 0 else -distinct * total
    return _Statistics(float(total), distinct, dict(zip(common or (), shares or (), strict=True)))


def _share(collections: tuple[int, ...], statistics: _Statistics) -> float:
    """The rows' share of these collections; those that are not among the common have the mean of
    the rest."""
    shares = statistics.shares
    rest = max(0.0, 1.0 - sum(shares.values())) / max(1.0, statistics.distinct - len(shares))
    return min(1.0, sum(shares.get(collection, rest) for collection in collections))
