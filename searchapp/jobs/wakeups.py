"""Wake-ups: a Celery message says only "there is work in queue X", and signs of life of workers.

At most one message a queue waits unread (a token in the cache), whoever sends it: a claim passes
the word on, so as many workers join in as there are, and no chain grows. Without Redis the sweep
does it later; nobody waits long.
"""

import logging
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Literal

from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

Queue = Literal["render", "read", "embed"]
TASKS: dict[Queue, str] = {
    "render": "searchapp.tasks.render_next",
    "read": "searchapp.tasks.read_next",
    "embed": "searchapp.tasks.embed_next",
}
_ALIVE_SECONDS = 20
# A message that is not read within this time counts as lost; the next wake-up sends another.
_TOKEN_SECONDS = 30
_PAUSE_AFTER_FAILURE = 5.0
_silent_until = 0.0


def wake(queue: Queue) -> None:
    """Tell a queue that there is work, unless a message to it is on its way already."""
    global _silent_until
    if not settings.WAKE_WORKERS or time.monotonic() < _silent_until:
        return
    try:
        if cache.add(_token(queue), 1, _TOKEN_SECONDS):
            _task(queue).apply_async(retry=False)
    except (OperationalError, RedisError, OSError) as error:
        _silent_until = time.monotonic() + _PAUSE_AFTER_FAILURE
        logger.warning("cannot wake queue %s, the sweep will: %s", queue, error)


def woken(queue: Queue) -> None:
    """A message was read: the next wake-up may send another."""
    try:
        cache.delete(_token(queue))
    except (RedisError, OSError) as error:
        logger.debug("token of queue %s stays until it expires: %s", queue, error)


def enqueue(queue: Queue) -> None:
    """`wake` once the current transaction is committed."""
    transaction.on_commit(lambda: wake(queue))


def worker_announce(queues: Sequence[str]) -> None:
    """Leave a sign of life for the queues this worker serves. Raises RedisError, OSError."""
    for queue in queues:
        cache.set(f"worker:{queue}", 1, _ALIVE_SECONDS)


def workers_alive() -> dict[str, bool]:
    """Which queues have a worker, by the signs of life in the cache; none without Redis."""
    try:
        return {queue: cache.get(f"worker:{queue}") is not None for queue in ("render", "embed")}
    except (RedisError, OSError):
        return {"render": False, "embed": False}


def _token(queue: Queue) -> str:
    return f"wake:{queue}"


def _task(queue: Queue) -> Any:
    """By name and from the app's registry, so that steps never import the tasks above them."""
    # Celery's own autodiscovery runs once and lets a second thread pass while the first imports.
    import_module("searchapp.tasks")
    return current_app.tasks[TASKS[queue]]
