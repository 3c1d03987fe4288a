"""Pages to vectors to rows of a partition. Knows no queues and no claims."""

from collections.abc import Sequence

import numpy as np
from django.db import connection

from searchapp import engine
from searchapp.indexing.units import Unit, page_units
from searchapp.models import Index, Page
from searchapp.models.literals import bits_literal, vector_literal

Rows = Sequence[tuple[Unit, np.ndarray]]


def pages_embed(pages: Sequence[Page], space: engine.VectorSpace) -> list[tuple[Page, Rows]]:
    """The units of each page with their vectors. Raises as `engine.embed_documents`."""
    units = [unit for page in pages for unit in page_units(page, space.spec)]
    inputs = [unit.parts for unit in units]
    vectors = engine.embed_documents(inputs, space=space) if units else ()
    pairs = list(zip(units, vectors, strict=True))
    return [(page, [pair for pair in pairs if pair[0].page is page]) for page in pages]


def vectors_write(index: Index, page: Page, rows: Rows) -> None:
    """What the index has of the page is these rows; inside the caller's transaction."""
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
