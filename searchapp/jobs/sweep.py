"""The sweep: lost work comes back, statuses are mended, queues that have work are woken.

Safe to run at any time, by several at once; everything it does is a conditional update.
"""

from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from searchapp.jobs.claims import MAX_ATTEMPTS, due, is_dead
from searchapp.jobs.status import FINAL, document_refresh
from searchapp.jobs.wakeups import TASKS, wake
from searchapp.models import Job, Page


def sweep() -> dict[str, int]:
    """Take back expired leases and wake the queues that have work. Returns counts, for the log."""
    now = timezone.now()
    _leases_end_of_the_dead()
    lost_jobs = list(Job.objects.filter(state=Job.State.RENDERING, lease_until__lt=now))
    for job in lost_jobs:
        _job_take_back(job)
    pages = _pages_take_back()
    mended = _statuses_mend()
    waiting = {
        "render": Job.objects.filter(due(), state=Job.State.QUEUED).count(),
        "read": _waiting_pages(Page.Step.READ),
        "embed": _waiting_pages(Page.Step.EMBED),
    }
    for queue in TASKS:
        if waiting[queue]:
            wake(queue)
    return {"jobs_back": len(lost_jobs), "pages_back": pages, "mended": mended, **waiting}


def _statuses_mend() -> int:
    """Documents whose worker died between its last write and the refresh; how many."""
    open_pages = Page.objects.filter(
        document=OuterRef("document"), state__in=[Page.State.WAITING, Page.State.CLAIMED]
    )
    over = Q(state=Job.State.PAGES) & ~Exists(open_pages)
    told = Q(state__in=[Job.State.FAILED, Job.State.DONE]) & ~Q(document__status__in=FINAL)
    document_ids = list(Job.objects.filter(over | told).values_list("document_id", flat=True))
    for document_id in document_ids:
        document_refresh(document_id)
    return len(document_ids)


def _leases_end_of_the_dead() -> None:
    """Workers of this host whose process is gone need not be waited for: their leases end now."""
    rendering = Job.objects.filter(state=Job.State.RENDERING)
    claimed = Page.objects.filter(state=Page.State.CLAIMED)
    names = {*rendering.values_list("worker", flat=True)}
    names |= {*claimed.values_list("worker", flat=True).distinct()}
    dead = [name for name in names if is_dead(name)]
    if dead:
        ended = timezone.now() - timedelta(seconds=1)
        rendering.filter(worker__in=dead).update(lease_until=ended)
        claimed.filter(worker__in=dead).update(lease_until=ended)


def _waiting_pages(step: Page.Step) -> int:
    return Page.objects.filter(due(), step=step, state=Page.State.WAITING).count()


@transaction.atomic
def _job_take_back(job: Job) -> None:
    gave_up = job.attempts >= MAX_ATTEMPTS
    still = Job.objects.filter(
        pk=job.pk, state=Job.State.RENDERING, lease_until=job.lease_until, worker=job.worker
    )
    still.update(
        state=Job.State.FAILED if gave_up else Job.State.QUEUED,
        lease_until=None,
        worker="",
        error_code="gave_up" if gave_up else "",
        error_message=_GAVE_UP if gave_up else "",
    )
    document_refresh(job.document_id)


_GAVE_UP = f"The worker died {MAX_ATTEMPTS} times on this; retry when the cause is mended."


def _pages_take_back() -> int:
    """One statement; documents of pages that were given up are refreshed."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE searchapp_page SET
                state = CASE WHEN attempts >= %(max)s THEN 'failed' ELSE 'waiting' END,
                error_code = CASE WHEN attempts >= %(max)s THEN 'gave_up' ELSE error_code END,
                error_message = CASE WHEN attempts >= %(max)s THEN %(why)s ELSE error_message END,
                lease_until = NULL, worker = ''
            WHERE state = 'claimed' AND lease_until < now()
            RETURNING document_id, state
            """,
            {"max": MAX_ATTEMPTS, "why": _GAVE_UP},
        )
        rows = cursor.fetchall()
    for document_id in {row[0] for row in rows if row[1] == "failed"}:
        document_refresh(document_id)
    return len(rows)
