"""The table behind one index: a partition of Embedding, with what an exact scan needs.

bits stay in line, floats go out of line uncompressed (their type's storage): the rows that a scan
reads are a tenth of the whole. Figures: docs/decisions/0004-two-stages.md.
"""

from django.db import connection

from searchapp.models import Index


def partition_create(index: Index) -> None:
    """Make it, without HNSW: that is made at once for an empty one, else after the load."""
    table = f"searchapp_embedding_{index.pk}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {table} PARTITION OF searchapp_embedding FOR VALUES IN ({index.pk})"
        )
        cursor.execute(f"CREATE INDEX {table}_collection ON {table} (collection_id, lane)")
