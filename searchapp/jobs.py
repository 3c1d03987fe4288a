"""Claims, leases and wake-ups: who works on what, and how lost work comes back.

Postgres holds the truth; a Celery message only says "there is work in queue X". Knows nothing of
how a step does its work. Writes are conditional on the claim: a worker that lost its lease changes
nothing any more.
"""

import logging
import os
import socket
import time
from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module
from typing import Any, Literal

from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import Count, F, Q
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from searchapp.errors import InvalidInput, SearchappError
from searchapp.models import Document, Job, Page

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 4
Queue = Literal["render", "read", "embed"]
_TASKS: dict[Queue, str] = {
    "render": "searchapp.tasks.render_next",
    "read": "searchapp.tasks.read_next",
    "embed": "searchapp.tasks.embed_next",
}
_ALIVE_SECONDS = 20
_PAUSE_AFTER_FAILURE = 5.0
_silent_until = 0.0


def worker_name() -> str:
    """This process, for the claim: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def wake(queue: Queue, count: int = 1) -> None:
    """Tell a queue that there is work. Without Redis the sweep does it later; never waits long."""
    global _silent_until
    if not settings.WAKE_WORKERS or time.monotonic() < _silent_until:
        return
    try:
        for _ in range(count):
            _task(queue).apply_async(retry=False)
    except (OperationalError, OSError) as error:
        _silent_until = time.monotonic() + _PAUSE_AFTER_FAILURE
        logger.warning("cannot wake queue %s, the sweep will: %s", queue, error)


def worker_announce(queues: Sequence[str]) -> None:
    """Leave a sign of life for the queues this worker serves. Raises RedisError, OSError."""
    for queue in queues:
        cache.set(f"worker:{queue}", worker_name(), _ALIVE_SECONDS)


def workers_alive() -> dict[str, bool]:
    """Which queues have a worker, by the signs of life in the cache; none without Redis."""
    try:
        return {queue: cache.get(f"worker:{queue}") is not None for queue in ("render", "embed")}
    except (RedisError, OSError):
        return {"render": False, "embed": False}


def _task(queue: Queue) -> Any:
    """By name and from the app's registry, so that steps never import the tasks above them."""
    # Celery's own autodiscovery runs once and lets a second thread pass while the first imports.
    import_module("searchapp.tasks")
    return current_app.tasks[_TASKS[queue]]


def enqueue(queue: Queue, count: int = 1) -> None:
    """`wake` once the current transaction is committed."""
    transaction.on_commit(lambda: wake(queue, count))


def _lease_end() -> Any:
    return timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)


def _due() -> Q:
    return Q(not_before=None) | Q(not_before__lte=timezone.now())


# --- jobs: one document to render ------------------------------------------------------------


def job_claim() -> Job | None:
    """The next document to render, now ours for LEASE_SECONDS; None when nothing waits."""
    with transaction.atomic():
        waiting = Job.objects.filter(_due(), state=Job.State.QUEUED).order_by("-priority", "id")
        job = waiting.select_for_update(skip_locked=True).first()
        if job is None:
            return None
        job.state, job.worker, job.lease_until = Job.State.RENDERING, worker_name(), _lease_end()
        job.attempts += 1
        job.save(update_fields=["state", "worker", "lease_until", "attempts"])
        document_refresh(job.document_id)
    return job


def job_heartbeat(job: Job) -> bool:
    """Extend the lease; False when the claim is lost (or the document is gone)."""
    mine = Job.objects.filter(pk=job.pk, state=Job.State.RENDERING, worker=worker_name())
    return mine.update(lease_until=_lease_end()) == 1


def job_rendered(job: Job) -> None:
    """All pages are stored; what remains is theirs."""
    mine = Job.objects.filter(pk=job.pk, state=Job.State.RENDERING, worker=worker_name())
    mine.update(state=Job.State.PAGES, lease_until=None, worker="")
    document_refresh(job.document_id)


def job_failed(job: Job, error: SearchappError) -> None:
    """Record the failure; a retryable one goes back to the queue with back-off."""
    retry = error.retryable and job.attempts < MAX_ATTEMPTS
    mine = Job.objects.filter(pk=job.pk, state=Job.State.RENDERING, worker=worker_name())
    mine.update(
        state=Job.State.QUEUED if retry else Job.State.FAILED,
        not_before=_back_off(job.attempts) if retry else None,
        lease_until=None,
        worker="",
        error_code=error.code,
        error_message=error.message,
        finished_at=None if retry else timezone.now(),
    )
    document_refresh(job.document_id)


def _back_off(attempts: int) -> Any:
    return timezone.now() + timedelta(seconds=5 * 3 ** max(0, attempts - 1))


# --- pages: one page to read or embed --------------------------------------------------------


def pages_claim(step: Page.Step, limit: int) -> list[Page]:
    """Up to `limit` waiting pages of a step, across documents, small page numbers first."""
    with transaction.atomic():
        waiting = Page.objects.filter(_due(), step=step, state=Page.State.WAITING)
        ids = list(
            waiting.order_by("number", "document_id")
            .select_for_update(skip_locked=True)
            .values_list("pk", flat=True)[:limit]
        )
        Page.objects.filter(pk__in=ids).update(
            state=Page.State.CLAIMED,
            worker=worker_name(),
            lease_until=_lease_end(),
            attempts=F("attempts") + 1,
        )
    pages = Page.objects.filter(pk__in=ids).select_related("document")
    return sorted(pages, key=lambda page: ids.index(page.pk))


def page_advance(page: Page, to: Page.Step, **changes: Any) -> bool:
    """Move our claimed page to the next step with `changes`; False when the claim is lost."""
    done = to == Page.Step.DONE
    changes |= {
        "step": to,
        "state": Page.State.DONE if done else Page.State.WAITING,
        "attempts": 0,
        "lease_until": None,
        "not_before": None,
        "worker": "",
        "error_code": "",
        "error_message": "",
    }
    return int(_mine(page).update(**changes)) == 1


def page_failed(page: Page, error: SearchappError) -> None:
    """Record a page's failure; a retryable one tries again, at most MAX_ATTEMPTS times."""
    retry = error.retryable and page.attempts < MAX_ATTEMPTS
    _mine(page).update(
        state=Page.State.WAITING if retry else Page.State.FAILED,
        not_before=_back_off(page.attempts) if retry else None,
        lease_until=None,
        worker="",
        error_code=error.code,
        error_message=error.message,
    )


def pages_release(pages: Sequence[Page], seconds: int) -> None:
    """Give claims back untouched (the engine is away): no attempt is counted."""
    Page.objects.filter(
        pk__in=[page.pk for page in pages], state=Page.State.CLAIMED, worker=worker_name()
    ).update(
        state=Page.State.WAITING,
        attempts=F("attempts") - 1,
        lease_until=None,
        worker="",
        not_before=timezone.now() + timedelta(seconds=seconds),
    )


def _mine(page: Page) -> Any:
    return Page.objects.filter(
        pk=page.pk, step=page.step, state=Page.State.CLAIMED, worker=worker_name()
    )


# --- documents: what people see --------------------------------------------------------------


def document_refresh(document_id: int) -> None:
    """Derive a document's status from its job and pages, under a lock, in one place."""
    with transaction.atomic():
        job = Job.objects.select_for_update().filter(document_id=document_id).first()
        if job is None:
            return
        counts = Page.objects.filter(document_id=document_id).aggregate(
            total=Count("pk"),
            failed=Count("pk", filter=Q(state=Page.State.FAILED)),
            reading=Count("pk", filter=Q(step="read") & ~Q(state=Page.State.FAILED)),
            embedding=Count("pk", filter=Q(step="embed") & ~Q(state=Page.State.FAILED)),
        )
        status, code, message = _status(job, counts)
        Document.objects.filter(pk=document_id).exclude(
            status=status, error_code=code, error_message=message
        ).update(status=status, error_code=code, error_message=message, updated_at=timezone.now())
        if job.state == Job.State.PAGES and status in _FINAL:
            job.state, job.finished_at = Job.State.DONE, timezone.now()
            job.save(update_fields=["state", "finished_at"])


_RETRIABLE = (Document.Status.PARTIAL, Document.Status.FAILED)
_FINAL = (Document.Status.READY, Document.Status.PARTIAL, Document.Status.FAILED)


def _status(job: Job, counts: dict[str, int]) -> tuple[Document.Status, str, str]:
    if job.state == Job.State.FAILED:
        return Document.Status.FAILED, job.error_code, job.error_message
    if job.state == Job.State.QUEUED:
        return Document.Status.QUEUED, job.error_code, job.error_message
    if job.state == Job.State.RENDERING:
        return Document.Status.RENDERING, "", ""
    if counts["reading"]:
        return Document.Status.READING, "", ""
    if counts["embedding"]:
        return Document.Status.EMBEDDING, "", ""
    return _final_status(job, counts)


def _final_status(job: Job, counts: dict[str, int]) -> tuple[Document.Status, str, str]:
    if not counts["failed"]:
        return Document.Status.READY, "", ""
    failed = Page.objects.filter(document_id=job.document_id, state=Page.State.FAILED)
    numbers = [str(number) for number in failed.order_by("number").values_list("number", flat=True)]
    first = failed.order_by("number").first()
    code = first.error_code if first else ""
    reason = first.error_message if first else ""
    if counts["failed"] == counts["total"]:
        return Document.Status.FAILED, code, reason
    good = counts["total"] - counts["failed"]
    shown = ", ".join(numbers[:10]) + (" ..." if len(numbers) > 10 else "")
    message = f"{good} of {counts['total']} pages are searchable; failed: {shown}. {reason}"
    return Document.Status.PARTIAL, code, message


def document_reopen(document_id: int) -> None:
    """Some pages of a finished document wait again: count them anew."""
    Job.objects.filter(document_id=document_id, state=Job.State.DONE).update(
        state=Job.State.PAGES, finished_at=None
    )
    document_refresh(document_id)


def document_retry(document: Document) -> None:
    """Try a failed or partial document again: what is stored stays, the rest is done anew.

    Raises InvalidInput `not_failed` for one that is in work or whole.
    """
    with transaction.atomic():
        job = Job.objects.select_for_update().filter(document=document).first()
        document.refresh_from_db(fields=["status"])
        if job is None or document.status not in _RETRIABLE:
            raise InvalidInput(
                "not_failed", f"The document is {document.status}: there is nothing to try again."
            )
        document.pages.filter(state=Page.State.FAILED, image="").delete()
        document.pages.filter(state=Page.State.FAILED).update(
            state=Page.State.WAITING, attempts=0, not_before=None
        )
        Job.objects.filter(document=document).update(
            state=Job.State.QUEUED,
            attempts=0,
            not_before=None,
            error_code="",
            error_message="",
            finished_at=None,
        )
        document_refresh(document.pk)
        enqueue("render")
        enqueue("read")
        enqueue("embed")


# --- the sweep -------------------------------------------------------------------------------


def sweep() -> dict[str, int]:
    """Take back expired leases and wake the queues that have work. Returns counts, for the log."""
    now = timezone.now()
    _leases_end_of_the_dead()
    lost_jobs = list(Job.objects.filter(state=Job.State.RENDERING, lease_until__lt=now))
    for job in lost_jobs:
        _job_take_back(job)
    pages = _pages_take_back()
    waiting = {
        "render": Job.objects.filter(_due(), state=Job.State.QUEUED).count(),
        "read": _waiting_pages(Page.Step.READ),
        "embed": _waiting_pages(Page.Step.EMBED),
    }
    for queue in _TASKS:
        if waiting[queue]:
            wake(queue, min(waiting[queue], settings.RENDER_PROCESSES))
    return {"jobs_back": len(lost_jobs), "pages_back": pages, **waiting}


def _leases_end_of_the_dead() -> None:
    """Workers of this host whose process is gone need not be waited for: their leases end now."""
    rendering = Job.objects.filter(state=Job.State.RENDERING)
    claimed = Page.objects.filter(state=Page.State.CLAIMED)
    names = {*rendering.values_list("worker", flat=True)}
    names |= {*claimed.values_list("worker", flat=True).distinct()}
    dead = [name for name in names if _is_dead(name)]
    if dead:
        ended = timezone.now() - timedelta(seconds=1)
        rendering.filter(worker__in=dead).update(lease_until=ended)
        claimed.filter(worker__in=dead).update(lease_until=ended)


def _is_dead(name: str) -> bool:
    host, _, pid = name.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _waiting_pages(step: Page.Step) -> int:
    return Page.objects.filter(_due(), step=step, state=Page.State.WAITING).count()


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
