"""A new index is filled beside the live one: pages embedded from what is stored, then HNSW.

What is left to do lies in rows (pending.py), so a build goes on wherever it was cut off, and pages
that are uploaded meanwhile join it. Done by the embed workers when no new page waits, or by the
command that asked for the build. Knows nothing of switching.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from searchapp import jobs
from searchapp.indexing.apart import work_apart
from searchapp.indexing.hnsw import hnsw_build, hnsw_lacks
from searchapp.indexing.pending import (
    is_work_pending,
    pending_claim,
    pending_done,
    pending_failed,
    pending_heartbeat,
    pending_release,
)
from searchapp.indexing.vectors import pages_embed, vectors_write
from searchapp.models import Index, Page, PendingPage

logger = logging.getLogger(__name__)

_PAGES_AT_A_TIME = 16
# The rate is taken over so long; after a pause of more than a minute it is taken anew.
_SAMPLE = timedelta(seconds=5)
_PAUSE = timedelta(seconds=60)
_finishing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an index is. `pages`: searchable ones; `missing`: those it lacks, failed ones too.

    `seconds_left`: None when nothing was embedded lately.
    """

    pages: int
    missing: int
    failed: int
    seconds_left: float | None
    has_hnsw: bool
    error: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether it may become active."""
        return self.missing == 0 and self.has_hnsw


def index_progress(index: Index) -> Progress:
    """Counted now."""
    pages = Page.objects.filter(step=Page.Step.DONE).count()
    pending = PendingPage.objects.filter(index=index)
    missing = pages if index.state == Index.State.STARTING else pending.count()
    failures = pending.filter(failed=True)
    last = failures.values_list("error_message", flat=True).first()
    rate = index.pages_per_s
    is_recent = index.sampled_at is not None and timezone.now() - index.sampled_at < _PAUSE
    return Progress(
        pages=pages,
        missing=missing,
        failed=failures.count(),
        seconds_left=missing / rate if rate and is_recent else None,
        has_hnsw=not hnsw_lacks(index),
        error=last or "",
    )


def build_next() -> bool:
    """Embed one batch of pages that an active or building index lacks; then its HNSW is made.

    False when nothing is left or the engine is away.
    """
    rows = pending_claim(_PAGES_AT_A_TIME)
    if not rows:
        return False
    with jobs.lease_held(lambda: pending_heartbeat(rows)):
        is_there = work_apart(rows, work=_embed, fail=pending_failed, release=pending_release)
    _sample(rows[0].index_id)
    return is_there


def _embed(rows: Sequence[PendingPage]) -> None:
    index = rows[0].index
    row_of = {row.page_id: row for row in rows}
    for page, vectors in pages_embed([row.page for row in rows], index.space):
        with transaction.atomic():
            if pending_done(row_of[page.pk]):
                vectors_write(index, page, vectors)


def _sample(index_id: int) -> None:
    """Keep the rate of the last seconds on the row, whoever does the work."""
    index = Index.objects.filter(pk=index_id).first()
    now = timezone.now()
    if index is None or (index.sampled_at is not None and now - index.sampled_at < _SAMPLE):
        return
    missing = PendingPage.objects.filter(index=index).count()
    rate = index.pages_per_s
    if index.sampled_at is None or now - index.sampled_at > _PAUSE:
        rate = None
    elif missing < index.sampled_missing:
        rate = (index.sampled_missing - missing) / (now - index.sampled_at).total_seconds()
    Index.objects.filter(pk=index_id, sampled_at=index.sampled_at).update(
        pages_per_s=rate, sampled_at=now, sampled_missing=missing
    )


def index_finish(index: Index) -> bool:
    """Make the HNSW indexes that it lacks, while others write; False when somebody else does.

    On a connection of its own: not inside a transaction. Raises psycopg.Error.
    """
    return not hnsw_lacks(index) or hnsw_build(index)


def finish_beside() -> None:
    """Start `index_finish` for an index that has all its pages, in a thread: Postgres works for
    minutes, and the worker has pages to embed meanwhile."""
    index = _unfinished()
    if index is None or not _finishing.acquire(blocking=False):
        return
    threading.Thread(target=_finish, args=(index,), name="hnsw", daemon=True).start()


def _finish(index: Index) -> None:
    try:
        index_finish(index)
    except DatabaseError:
        logger.exception("the HNSW indexes of index %s were not made", index.pk)
    finally:
        connection.close()
        _finishing.release()


def is_work_left() -> bool:
    """Whether an embed worker would find something: pages, or an index that only lacks HNSW."""
    return is_work_pending() or _unfinished() is not None


def _unfinished() -> Index | None:
    busy = PendingPage.objects.filter(failed=False).values("index_id")
    building = Index.objects.filter(state=Index.State.BUILDING).exclude(pk__in=busy)
    return next((index for index in building if hnsw_lacks(index)), None)
