"""The Celery tasks: each does one claimed piece of work; the claim has called the next worker.

A message says only "there is work"; losing or doubling one changes nothing.
"""

import logging
import threading
import time
from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from redis.exceptions import RedisError

from searchapp import indexing, ingest, jobs, judging

logger = logging.getLogger(__name__)

_BEAT_SECONDS = 5.0


@shared_task(name="searchapp.tasks.render_next")
def render_next() -> None:
    """Render one document."""
    jobs.woken("render")
    ingest.render_next()


@shared_task(name="searchapp.tasks.read_next")
def read_next() -> None:
    """Read one page."""
    jobs.woken("read")
    ingest.read_next()


@shared_task(name="searchapp.tasks.embed_next")
def embed_next() -> None:
    """Embed one batch of pages, new ones first; index builds get what time is left."""
    jobs.woken("embed")
    if not indexing.embed_next():
        indexing.finish_beside()


@shared_task(name="searchapp.tasks.sweep")
def sweep() -> None:
    """Take back lost work, wake what waits."""
    counts = jobs.sweep()
    counts["build_back"] = indexing.pending_take_back()
    counts["judged_pruned"] = judging.judged_queries_prune()
    if indexing.is_work_left():
        jobs.wake("embed")
    if any(counts.values()):
        logger.info("sweep: %s", counts)


@worker_ready.connect
def _announce(sender: Any = None, **_: Any) -> None:
    """Leave a sign of life every few seconds, from the worker's main process."""
    queues = [queue.name for queue in sender.task_consumer.queues]

    def beat() -> None:
        while True:
            try:
                jobs.worker_announce(queues)
            except (RedisError, OSError) as error:
                logger.debug("no sign of life possible: %s", error)
            time.sleep(_BEAT_SECONDS)

    threading.Thread(target=beat, name="sign-of-life", daemon=True).start()
