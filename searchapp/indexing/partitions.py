"""The table behind one index: a partition of Embedding, with what an exact scan needs.

bits stay in line, floats go out of line uncompressed (their type's storage): the rows that a scan
reads are a tenth of the whole. Figures: docs/decisions/0004-two-stages.md.
"""

import time
from collections.abc import Sequence

import psycopg
from django.db import OperationalError, connection, transaction

from searchapp.errors import Unavailable
from searchapp.models import Index

# Whoever asks for these tables queues behind a statement that waits for its locks: so it waits
# shortly, but longer than the second (deadlock_timeout) after which an autovacuum makes way.
_LOCK_WAIT_MS = 1_500
_TRIES = 4
_PAUSE_SECONDS = 2.0


def partition_create(index: Index) -> None:
    """Make it where it is not there yet, without HNSW: that follows, at once or after the load.

    Attached, not made as a partition: that would lock out every search. Raises Unavailable
    `index_in_use`.
    """
    table = f"searchapp_embedding_{index.pk}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [table])
        if cursor.fetchone() != (None,):
            return
    _change(
        [
            f"CREATE TABLE {table} (LIKE searchapp_embedding INCLUDING ALL)",
            f"CREATE INDEX {table}_collection ON {table} (collection_id, lane)",
            f"ALTER TABLE searchapp_embedding ATTACH PARTITION {table} FOR VALUES IN ({index.pk})",
        ]
    )


def partition_drop(index: Index) -> None:
    """Drop it where it is there. Raises Unavailable `index_in_use` while something reads it."""
    _change([f"DROP TABLE IF EXISTS searchapp_embedding_{index.pk}"])


def _change(statements: Sequence[str]) -> None:
    """All in one transaction that gives way to those at work; a few tries."""
    for attempt in range(_TRIES):
        time.sleep(_PAUSE_SECONDS if attempt else 0)
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MS}")
                for statement in statements:
                    cursor.execute(statement)
                cursor.execute("SET LOCAL lock_timeout = DEFAULT")
        except OperationalError as error:
            if not isinstance(error.__cause__, _BUSY):
                raise
        else:
            return
    raise Unavailable(
        "index_in_use",
        "Something holds the vectors or pages for long (a backup, `manage.py recall`, another "
        "change of indexes): try again when it is over.",
    )


_BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
