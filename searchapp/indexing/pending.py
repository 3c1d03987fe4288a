"""Pages that an index still lacks: rows of work, claimed like pages, gone when they are done.

Rows come with a new index (all pages that are done) and with each page that is embedded while an
index is not active. Knows no vectors and no models.
"""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from searchapp import jobs
from searchapp.errors import SearchappError
from searchapp.models import Index, Page, PendingPage

_LIVE = (Index.State.ACTIVE, Index.State.BUILDING)


def pending_fill(index: Index) -> int:
    """Every page that is searchable now; how many. An index that nobody works on yet."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(
            "INSERT INTO searchapp_pendingpage (index_id, page_id) "
            "SELECT %s, id FROM searchapp_page WHERE step = 'done' ORDER BY document_id, number "
            "ON CONFLICT (index_id, page_id) DO NOTHING",
            [index.pk],
        )
    return PendingPage.objects.filter(index=index).count()


def pending_forget(index: Index) -> None:
    """All its rows of work are gone."""
    PendingPage.objects.filter(index=index).delete()


def pending_add(page: Page, *, but: Index) -> None:
    """All indexes `but` this one lack the page, or have an older state of it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO searchapp_pendingpage (index_id, page_id) "
            "SELECT id, %s FROM searchapp_index WHERE id <> %s ORDER BY id FOR KEY SHARE "
            "ON CONFLICT (index_id, page_id) DO UPDATE SET attempts = 0, lease_until = NULL, "
            "not_before = NULL, worker = '', failed = false, error_code = '', error_message = ''",
            [page.pk, but.pk],
        )


def pending_claim(limit: int) -> list[PendingPage]:
    """Up to `limit` rows of one index that is active or building, oldest first."""
    ids = next((ids for index_id in _live() if (ids := _claim(index_id, limit))), [])
    if ids:
        jobs.enqueue("embed")
    rows = PendingPage.objects.filter(pk__in=ids).select_related("index", "page__document")
    return list(rows.order_by("pk"))


def _live() -> list[int]:
    """The indexes that are worked on, the active one first."""
    rows = Index.objects.filter(state__in=_LIVE).order_by("state", "pk")
    return list(rows.values_list("pk", flat=True))


def _claim(index_id: int, limit: int) -> list[int]:
    numbers = {"index": index_id, "seconds": settings.LEASE_SECONDS, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"worker": jobs.worker_name(), **numbers})
        return [row[0] for row in cursor.fetchall()]


# Of an index that is named, and in an array: else the whole backlog is read for each batch.
_CLAIM = """
UPDATE searchapp_pendingpage
SET lease_until = now() + make_interval(secs => %(seconds)s), worker = %(worker)s,
    attempts = attempts + 1
WHERE id = ANY(ARRAY(
    SELECT id FROM searchapp_pendingpage
    WHERE index_id = %(index)s AND NOT failed
    AND (lease_until IS NULL OR lease_until < now())
    AND (not_before IS NULL OR not_before <= now())
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)) RETURNING id
"""


def pending_heartbeat(rows: Sequence[PendingPage]) -> bool:
    """Extend the leases of those that are still ours; False when none is."""
    end = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
    return _mine(rows).update(lease_until=end) > 0


def pending_done(row: PendingPage) -> bool:
    """The index has the page, if this transaction commits; False when the claim is lost.

    The page is locked first, as whoever deletes it does.
    """
    pages = Page.objects.select_for_update(no_key=True).filter(pk=row.page_id)
    return pages.exists() and _mine([row]).delete()[0] == 1


def pending_failed(row: PendingPage, error: SearchappError) -> None:
    """Record a failure; a retryable one tries again, at most MAX_ATTEMPTS times."""
    is_final = not error.retryable or row.attempts >= jobs.MAX_ATTEMPTS
    _mine([row]).update(
        failed=is_final,
        lease_until=None,
        not_before=timezone.now() + timedelta(seconds=5 * 3 ** max(0, row.attempts - 1)),
        worker="",
        error_code=error.code,
        error_message=error.message,
    )


def pending_release(rows: Sequence[PendingPage], seconds: int) -> None:
    """Give claims back untouched (the engine is away or loads): no attempt is counted."""
    _mine(rows).update(
        attempts=F("attempts") - 1,
        lease_until=None,
        worker="",
        not_before=timezone.now() + timedelta(seconds=seconds),
    )


def pending_retry(index: Index) -> None:
    """What failed in this index is tried again, and what a dead worker of this machine holds."""
    PendingPage.objects.filter(index=index, failed=True).update(
        failed=False, attempts=0, not_before=None
    )
    pending_take_back()


def pending_take_back() -> int:
    """Free the rows that dead workers of this machine hold; their leases need not end first."""
    claimed = PendingPage.objects.exclude(worker="")
    workers = claimed.values_list("worker", flat=True).distinct()
    dead = [name for name in workers if jobs.is_dead(name)]
    return claimed.filter(worker__in=dead).update(lease_until=None, worker="") if dead else 0


def is_work_pending() -> bool:
    """Whether a worker would find something."""
    now = timezone.now()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    due = Q(not_before=None) | Q(not_before__lte=now)
    return PendingPage.objects.filter(free, due, index_id__in=_live(), failed=False).exists()


def _mine(rows: Sequence[PendingPage]) -> QuerySet[PendingPage]:
    return PendingPage.objects.filter(pk__in=[row.pk for row in rows], worker=jobs.worker_name())
