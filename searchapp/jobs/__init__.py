"""Claims, leases and wake-ups: who works on what, and how lost work comes back.

Postgres holds the truth; a Celery message only says "there is work in queue X". Knows nothing of
how a step does its work.
"""

from searchapp.jobs.claims import (
    MAX_ATTEMPTS,
    is_dead,
    job_claim,
    job_failed,
    job_heartbeat,
    job_rendered,
    lease_held,
    page_advance,
    page_failed,
    pages_claim,
    pages_heartbeat,
    pages_release,
    worker_name,
)
from searchapp.jobs.status import document_refresh, document_reopen, document_retry
from searchapp.jobs.sweep import sweep
from searchapp.jobs.wakeups import enqueue, wake, woken, worker_announce, workers_alive

__all__ = [
    "MAX_ATTEMPTS",
    "document_refresh",
    "document_reopen",
    "document_retry",
    "enqueue",
    "is_dead",
    "job_claim",
    "job_failed",
    "job_heartbeat",
    "job_rendered",
    "lease_held",
    "page_advance",
    "page_failed",
    "pages_claim",
    "pages_heartbeat",
    "pages_release",
    "sweep",
    "wake",
    "woken",
    "worker_announce",
    "worker_name",
    "workers_alive",
]
