"""embed and store: the units of pages become vectors in the partition of their index.

A page's vectors are written and the page is marked done in one transaction, only while the claim is
held: each page ends with each unit exactly once.
"""

import logging
from collections.abc import Iterable, Sequence

import numpy as np
from django.db import connection, transaction

from searchapp import engine, jobs
from searchapp.errors import EngineLost, SearchappError, Unavailable, unexpected
from searchapp.indexing.units import Unit, page_units
from searchapp.models import Index, Page
from searchapp.models.indexes import index_active
from searchapp.models.literals import bits_literal, vector_literal

logger = logging.getLogger(__name__)

_PAGES_AT_A_TIME = 16
_RETRY_SECONDS = 5
_ENGINE_BACK_SECONDS = 30


def embed_next() -> bool:
    """Embed one batch of waiting pages. False when none waits or the engine is away."""
    pages = jobs.pages_claim(Page.Step.EMBED, _PAGES_AT_A_TIME)
    if not pages:
        return False
    with jobs.lease_held(lambda: jobs.pages_heartbeat(pages)):
        is_there = _embed_apart(pages)
    for document_id in {page.document_id for page in pages}:
        jobs.document_refresh(document_id)
    return is_there


def _embed_apart(pages: Sequence[Page]) -> bool:
    """Embed together; where that fails one by one, so that only the page at fault pays.

    False when the engine is away: then the pages wait, and no attempt is counted.
    """
    try:
        _embed(pages)
    except EngineLost as error:
        engine.wait_reachable(_ENGINE_BACK_SECONDS)
        return _blame(pages, error)
    except Unavailable as error:
        logger.warning("pages wait: %s", error)
        jobs.pages_release(pages, _RETRY_SECONDS)
        return False
    except Exception as error:  # noqa: BLE001  (the top of a task)
        return _blame(pages, error)
    return True


def _blame(pages: Sequence[Page], error: Exception) -> bool:
    """One of these pages is at fault: find it one by one; for a single page count the attempt."""
    if len(pages) > 1:
        return min(_embed_apart([page]) for page in pages)
    known = error if isinstance(error, SearchappError) else unexpected(error, f"page {pages[0]}")
    jobs.page_failed(pages[0], known)
    return True


def _embed(pages: Sequence[Page]) -> None:
    index = index_active()
    units = [unit for page in pages for unit in page_units(page)]
    vectors = engine.embed_documents([unit.parts for unit in units]) if units else ()
    for page in pages:
        rows = [(u, v) for u, v in zip(units, vectors, strict=True) if u.page is page]
        _store(index, page, rows)


@transaction.atomic
def _store(index: Index, page: Page, rows: Iterable[tuple[Unit, np.ndarray]]) -> None:
    if not jobs.page_advance(page, Page.Step.DONE):
        return
    values = [
        (
            index.pk,
            page.pk,
            page.document.collection_id,
            unit.lane,
            unit.position,
            bits_literal(vector),
            vector_literal(vector),
        )
        for unit, vector in rows
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM searchapp_embedding WHERE page_id = %s AND index_id = %s",
            [page.pk, index.pk],
        )
        cursor.executemany(
            "INSERT INTO searchapp_embedding "
            "(index_id, page_id, collection_id, lane, position, bits, vec) "
            "VALUES (%s, %s, %s, %s, %s, %s::varbit, %s::halfvec)",
            values,
        )
