"""The steps after upload inside one command: where no worker runs, and for `evaluate`.

The same claimed pieces of work that the Celery tasks do, in three threads that overlap: render,
read, embed.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from django.db import connection

from searchapp import indexing, ingest, jobs
from searchapp.errors import SearchappError
from searchapp.models import Document

logger = logging.getLogger(__name__)

_PAUSE = 0.1
_SWEEP_EVERY = 10.0
_OPEN = (
    Document.Status.QUEUED,
    Document.Status.RENDERING,
    Document.Status.READING,
    Document.Status.EMBEDDING,
)


def documents_wait(
    document_ids: Sequence[int], *, drain: bool, report: Callable[[str], object]
) -> None:
    """Return when none of the documents is in work any more; `drain`: do the work here.

    `report` gets a line whenever the count of finished documents changes. Raises SearchappError
    when one of the steps ends by a fault.
    """
    stop = threading.Event()
    steps = (ingest.render_next, ingest.read_next, indexing.embed_next) if drain else ()
    threads = [threading.Thread(target=_loop, args=(step, stop), daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    try:
        _watch(document_ids, threads, report)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _watch(
    document_ids: Sequence[int],
    threads: Sequence[threading.Thread],
    report: Callable[[str], object],
) -> None:
    last, swept = -1, time.monotonic()
    documents = Document.objects.filter(pk__in=document_ids)
    while (waiting := documents.filter(status__in=_OPEN).count()) > 0:
        if waiting != last:
            report(f"{len(document_ids) - waiting} of {len(document_ids)} done")
            last = waiting
        if not all(thread.is_alive() for thread in threads):
            raise SearchappError("step_ended", "A step ended unexpectedly; the log says more.")
        if threads and time.monotonic() - swept > _SWEEP_EVERY:
            jobs.sweep()
            swept = time.monotonic()
        time.sleep(_PAUSE)


def _loop(step: Callable[[], bool], stop: threading.Event) -> None:
    try:
        while not stop.is_set():
            if not step():
                stop.wait(_PAUSE)
    except Exception:
        logger.exception("step %s stopped", step.__name__)
        raise
    finally:
        connection.close()
