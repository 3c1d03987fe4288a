"""Claims and leases: who works on what. Writes are conditional on the claim.

A worker that lost its lease changes nothing any more. What is written about a job and about its
document's status is one transaction.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from searchapp.errors import SearchappError
from searchapp.jobs.status import document_refresh
from searchapp.jobs.wakeups import Queue, enqueue
from searchapp.models import Job, Page

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 4
_QUEUES: dict[str, Queue] = {Page.Step.READ: "read", Page.Step.EMBED: "embed"}


def worker_name() -> str:
    """This process, for the claim: machine and process id."""
    return f"{machine_name()}:{os.getpid()}"


@cache
def machine_name() -> str:
    """Host, boot and process namespace: within one, a process id means one process."""
    parts = [socket.gethostname()[:50]]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text()[:8])
        parts.append(str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]"))
    except OSError:
        logger.info("no boot or namespace id here: workers are told apart by host name only")
    return "/".join(parts)


def is_dead(worker: str) -> bool:
    """Whether a claim's worker was on this machine and is gone; False where we cannot know."""
    machine, _, pid = worker.rpartition(":")
    if machine != machine_name() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def due() -> Q:
    """Rows whose back-off is over."""
    return Q(not_before=None) | Q(not_before__lte=timezone.now())


def _lease_end() -> Any:
    return timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)


def _back_off(attempts: int) -> Any:
    return timezone.now() + timedelta(seconds=5 * 3 ** max(0, attempts - 1))


@contextmanager
def lease_held(extend: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
    """Extend a lease from a thread of its own: one conversion may be silent for minutes.

    Yields a function that says whether the claim is still ours.
    """
    stop, lost = threading.Event(), threading.Event()

    def beat() -> None:
        while not stop.wait(settings.LEASE_SECONDS / 4):
            try:
                if not extend():
                    lost.set()
                    return
            except DatabaseError as error:
                logger.warning("lease not extended, trying again: %s", error)
            finally:
                connection.close()

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield lambda: not lost.is_set()
    finally:
        stop.set()
        thread.join()


# --- jobs: one document to render ------------------------------------------------------------


@transaction.atomic
def job_claim() -> Job | None:
    """The next document to render, now ours for LEASE_SECONDS; None when nothing waits."""
    waiting = Job.objects.filter(due(), state=Job.State.QUEUED).order_by("-priority", "id")
    job = waiting.select_for_update(skip_locked=True).first()
    if job is None:
        return None
    job.state, job.worker, job.lease_until = Job.State.RENDERING, worker_name(), _lease_end()
    job.attempts += 1
    job.save(update_fields=["state", "worker", "lease_until", "attempts"])
    document_refresh(job.document_id)
    enqueue("render")
    return job


def job_heartbeat(job: Job) -> bool:
    """Extend the lease; False when the claim is lost (or the document is gone)."""
    return int(_my_job(job).update(lease_until=_lease_end())) == 1


@transaction.atomic
def job_rendered(job: Job) -> None:
    """All pages are stored; what remains is theirs."""
    _my_job(job).update(state=Job.State.PAGES, lease_until=None, worker="")
    document_refresh(job.document_id)


@transaction.atomic
def job_failed(job: Job, error: SearchappError) -> None:
    """Record the failure; a retryable one goes back to the queue with back-off."""
    retry = error.retryable and job.attempts < MAX_ATTEMPTS
    _my_job(job).update(
        state=Job.State.QUEUED if retry else Job.State.FAILED,
        not_before=_back_off(job.attempts) if retry else None,
        lease_until=None,
        worker="",
        error_code=error.code,
        error_message=error.message,
        finished_at=None if retry else timezone.now(),
    )
    document_refresh(job.document_id)


def _my_job(job: Job) -> Any:
    return Job.objects.filter(pk=job.pk, state=Job.State.RENDERING, worker=worker_name())


# --- pages: one page to read or embed --------------------------------------------------------


def pages_claim(step: Page.Step, limit: int) -> list[Page]:
    """Up to `limit` waiting pages of a step, across documents, small page numbers first."""
    with transaction.atomic():
        waiting = Page.objects.filter(due(), step=step, state=Page.State.WAITING)
        ids = list(
            waiting.order_by("number", "document_id")
            .select_for_update(skip_locked=True)
            .values_list("pk", flat=True)[:limit]
        )
        if not ids:
            return []
        Page.objects.filter(pk__in=ids).update(
            state=Page.State.CLAIMED,
            worker=worker_name(),
            lease_until=_lease_end(),
            attempts=F("attempts") + 1,
        )
        enqueue(_QUEUES[step])
    pages = Page.objects.filter(pk__in=ids).select_related("document")
    return sorted(pages, key=lambda page: ids.index(page.pk))


def pages_heartbeat(pages: Sequence[Page]) -> bool:
    """Extend the leases of those that are still ours; False when none is."""
    return int(_my_pages(pages).update(lease_until=_lease_end())) > 0


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
    return int(_my_pages([page]).update(**changes)) == 1


def page_failed(page: Page, error: SearchappError) -> None:
    """Record a page's failure; a retryable one tries again, at most MAX_ATTEMPTS times."""
    retry = error.retryable and page.attempts < MAX_ATTEMPTS
    _my_pages([page]).update(
        state=Page.State.WAITING if retry else Page.State.FAILED,
        not_before=_back_off(page.attempts) if retry else None,
        lease_until=None,
        worker="",
        error_code=error.code,
        error_message=error.message,
    )


def pages_release(pages: Sequence[Page], seconds: int) -> None:
    """Give claims back untouched (the engine is away): no attempt is counted."""
    _my_pages(pages).update(
        state=Page.State.WAITING,
        attempts=F("attempts") - 1,
        lease_until=None,
        worker="",
        not_before=timezone.now() + timedelta(seconds=seconds),
    )


def _my_pages(pages: Sequence[Page]) -> Any:
    return Page.objects.filter(
        pk__in=[page.pk for page in pages],
        step=pages[0].step,
        state=Page.State.CLAIMED,
        worker=worker_name(),
    )
