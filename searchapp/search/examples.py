"""Pages as examples of what is wanted or not: their stored vectors, and what these make of a query.

Relevance feedback after Rocchio (1971), with the weights of Manning, Raghavan and Schütze,
Introduction to Information Retrieval (2008), section 9.1.1: what is asked counts 1, the mean of the
wanted examples 0.75, that of the unwanted ones -0.15.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection

from searchapp import access
from searchapp.access import Actor
from searchapp.engine import FloatArray
from searchapp.errors import InvalidInput
from searchapp.models import Index
from searchapp.search.query import Query

ASKED, LIKE, UNLIKE = 1.0, 0.75, -0.15

# A page's vector in a lane is the mean of its units', as a document's is in Rocchio's method.
_SQL = """
SELECT lane, page_id, avg(vec)::text FROM searchapp_embedding
WHERE index_id = %(index)s AND page_id = ANY(%(pages)s) GROUP BY lane, page_id
"""


@dataclass(frozen=True, slots=True)
class Examples:
    """By lane, the unit vectors (D,) of the pages that have units there."""

    like: Mapping[str, Sequence[FloatArray]]
    unlike: Mapping[str, Sequence[FloatArray]]


def examples_get(actor: Actor, index: Index, query: Query) -> Examples:
    """The vectors in `index` of the query's examples.

    Raises InvalidInput (field like or unlike): unknown_page for one that does not exist or is not
    visible, page_not_embedded for one without vectors in this index.
    """
    if not query.like and not query.unlike:
        return Examples({}, {})
    pages = {*query.like, *query.unlike}
    visible = set(access.visible_pages(actor).filter(pk__in=pages).values_list("pk", flat=True))
    stored = _stored(index, visible)
    found = {page_id for lane in stored.values() for page_id in lane}
    for field, ids in (("like", query.like), ("unlike", query.unlike)):
        for page_id in ids:
            if page_id not in visible:
                raise InvalidInput("unknown_page", f"There is no page {page_id}.", field=field)
            if page_id not in found:
                raise InvalidInput(
                    "page_not_embedded",
                    f"Page {page_id} has no vectors yet: try again when it is searchable.",
                    field=field,
                )
    return Examples(_of(stored, query.like), _of(stored, query.unlike))


def _stored(index: Index, pages: Iterable[int]) -> dict[str, dict[int, FloatArray]]:
    with connection.cursor() as cursor:
        cursor.execute(_SQL, {"index": index.pk, "pages": list(pages)})
        rows = cursor.fetchall()
    stored: dict[str, dict[int, FloatArray]] = {}
    for lane, page_id, mean in rows:
        stored.setdefault(lane, {})[page_id] = unit(np.array(json.loads(mean), np.float32))
    return stored


def _of(
    stored: Mapping[str, Mapping[int, FloatArray]], pages: Sequence[int]
) -> dict[str, list[FloatArray]]:
    chosen = {lane: [vectors[p] for p in pages if p in vectors] for lane, vectors in stored.items()}
    return {lane: vectors for lane, vectors in chosen.items() if vectors}


def feedback(asked: Mapping[str, FloatArray], examples: Examples) -> dict[str, FloatArray]:
    """By lane, what is asked moved towards the wanted examples and away from the others.

    asked: by lane, (D,) of unit length. A lane where nothing is asked or wanted has no vector.
    """
    moved = {}
    for lane in [*asked, *(lane for lane in examples.like if lane not in asked)]:
        terms = [ASKED * asked[lane]] if lane in asked else []
        for share, vectors in ((LIKE, examples.like), (UNLIKE, examples.unlike)):
            if lane in vectors:
                terms.append(share * np.mean(vectors[lane], axis=0))
        moved[lane] = unit(np.sum(terms, axis=0))
    return moved


def unit(vector: FloatArray) -> FloatArray:
    """The vector at length 1; a null vector stays one."""
    length = float(np.linalg.norm(vector))
    scaled: FloatArray = (vector / length).astype(np.float32) if length else vector
    return scaled
