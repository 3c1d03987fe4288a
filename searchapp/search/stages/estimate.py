"""How many rows of an index a scope may match, from the planner's statistics. Counts nothing.

Only the choice between HNSW and exact scan hangs on it, never what is found.
"""

from django.db import connection

from searchapp.models import Index
from searchapp.search.types import Scope

_SQL = """
SELECT greatest(reltuples, 0), n_distinct, most_common_vals::text::bigint[], most_common_freqs
FROM pg_class LEFT JOIN pg_stats ON tablename = relname
    AND schemaname = relnamespace::regnamespace::text AND attname = 'collection_id'
WHERE oid = to_regclass(%s)
"""


def rows_estimate(index: Index, scope: Scope) -> tuple[float, float]:
    """(rows of the index, rows of it that the scope may match); 0 while it was never analysed."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL, [f"searchapp_embedding_{index.pk}"])
        total, distinct, common, shares = cursor.fetchone() or (0, None, None, None)
    matching = float(total)
    if scope.collections is not None and distinct is not None:
        known = dict(zip(common or (), shares or (), strict=True))
        matching *= _share(
            scope.collections, known, distinct if distinct > 0 else -distinct * total
        )
    if scope.pages is not None and scope.pages.count is not None:
        matching = min(matching, scope.pages.count)
    return float(total), matching


def _share(collections: tuple[int, ...], known: dict[int, float], distinct: float) -> float:
    """The rows' share of these collections; those that are not among the common have the mean of
    the rest."""
    rest = max(0.0, 1.0 - sum(known.values())) / max(1.0, distinct - len(known))
    return min(1.0, sum(known.get(collection, rest) for collection in collections))
