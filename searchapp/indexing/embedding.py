"""embed and store: the units of new pages become vectors in the partition of the active index.

A page's vectors are written and the page is marked done in one transaction, only while the claim is
held and the index is still the active one: each page ends with each unit exactly once. Other
indexes get a row of work each (pending.py).
"""

from collections.abc import Sequence

from django.db import connection, transaction

from searchapp import jobs
from searchapp.indexing.apart import work_apart
from searchapp.indexing.building import build_next
from searchapp.indexing.pending import pending_add
from searchapp.indexing.vectors import Rows, pages_embed, vectors_write
from searchapp.models import Index, Page
from searchapp.models.indexes import index_active

_PAGES_AT_A_TIME = 16


def embed_next() -> bool:
    """Embed one batch of waiting pages, or, when none waits, of pages that a build lacks.

    False when there is nothing to do or the engine is away.
    """
    pages = jobs.pages_claim(Page.Step.EMBED, _PAGES_AT_A_TIME)
    if not pages:
        return build_next()
    with jobs.lease_held(lambda: jobs.pages_heartbeat(pages)):
        is_there = work_apart(pages, work=_embed, fail=jobs.page_failed, release=jobs.pages_release)
    for document_id in {page.document_id for page in pages}:
        jobs.document_refresh(document_id)
    return is_there


def _embed(pages: Sequence[Page]) -> None:
    index = index_active()
    for page, rows in pages_embed(pages, index.space):
        _store(index, page, rows)


@transaction.atomic
def _store(index: Index, page: Page, rows: Rows) -> None:
    if not _is_active(index):
        # These vectors would be missed where they are needed now: the page is embedded again.
        jobs.pages_release([page], 0)
        jobs.enqueue("embed")
    elif jobs.page_advance(page, Page.Step.DONE):
        vectors_write(index, page, rows)
        pending_add(page, but=index)


def _is_active(index: Index) -> bool:
    """Whether it is the active one, and stays so until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM searchapp_index WHERE id = %s AND state = 'active' FOR SHARE",
            [index.pk],
        )
        return cursor.fetchone() is not None
