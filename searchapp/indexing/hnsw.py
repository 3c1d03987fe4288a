"""The HNSW indexes on the sign bits of one index. Knows no model and no rows.

One for each lane: behind one for all, a search of one lane would walk through the units of the
others. Figures and choices: docs/decisions/0004-two-stages.md.
"""

from django.db import connection, transaction

from searchapp.models import Embedding, Index

M, EF_CONSTRUCTION = 16, 128
_LOCK = 20_480  # of all advisory locks, ours


def hnsw_create(index: Index) -> None:
    """Make the HNSW indexes that `index` lacks; after a bulk load ten times as fast as row by row.

    Locks writes of this index meanwhile. Needs about 1 kB of `maintenance_work_mem` a unit.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        for lane in Embedding.SEARCHED:
            cursor.execute(_create_sql(index, lane))


def _create_sql(index: Index, lane: str, how: str = "") -> str:
    table = f"searchapp_embedding_{index.pk}"
    return (
        f"CREATE INDEX {how} IF NOT EXISTS {table}_bits_{lane} ON {table} "
        f"USING hnsw ((bits::bit({index.dimension})) bit_hamming_ops) "
        f"WITH (m = {M}, ef_construction = {EF_CONSTRUCTION}) WHERE lane = '{lane}'"
    )


def hnsw_lacks(index: Index) -> list[str]:
    """The lanes of which it has no HNSW index, or one whose making was cut off."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
            "WHERE indrelid = to_regclass(%s) AND indisvalid",
            [f"searchapp_embedding_{index.pk}"],
        )
        valid = {row[0] for row in cursor.fetchall()}
    lanes = Embedding.SEARCHED
    return [lane for lane in lanes if f"searchapp_embedding_{index.pk}_bits_{lane}" not in valid]


def hnsw_build(index: Index) -> bool:
    """As `hnsw_create`, while others write: on a connection of its own, outside transactions.

    False when another process is at it. What an earlier try left unfinished is made anew.
    """
    own = connection.copy()
    own.settings_dict["OPTIONS"].pop("pool", None)  # SETs would stay on a pooled connection
    try:
        with own.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK, index.pk])
            if not cursor.fetchone()[0]:
                return False
            cursor.execute("SET statement_timeout = 0")
            for lane in hnsw_lacks(index):
                name = f"searchapp_embedding_{index.pk}_bits_{lane}"
                cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
                cursor.execute(_create_sql(index, lane, "CONCURRENTLY"))
    finally:
        own.close()
    return True


def hnsw_drop(index: Index) -> None:
    """Drop them, for a bulk load that `hnsw_create` follows. Searches are slow until then."""
    with connection.cursor() as cursor:
        for lane in Embedding.SEARCHED:
            cursor.execute(f"DROP INDEX IF EXISTS searchapp_embedding_{index.pk}_bits_{lane}")
