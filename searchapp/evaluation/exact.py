"""The truth that a search is measured by: exact cosines with all stored floats of a lane.

All queries are answered in one pass: the vectors are streamed out of Postgres once and compared
here, block by block, so memory does not grow with the index. A million vectors of 1536 dimensions
are 3 GB to read. Knows no search.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray
from psycopg.errors import QueryCanceled

from searchapp.engine import FloatArray
from searchapp.errors import Unavailable
from searchapp.models import Embedding, Index

_BLOCK = 4096
# halfvec_send: two 16-bit words (dimensions, unused), then the components, all big-endian.
_HEAD_WORDS = 2
# Two summing orders of 1536 float32 products differ by less.
EQUAL = 1e-5


@dataclass(frozen=True, slots=True)
class Truth:
    """The best pages of each query by their best unit. rows: units compared, of how many pages.

    pages: of query q the (at most `limit`) best, best first; scores: their cosines, descending.
    """

    pages: tuple[tuple[int, ...], ...]
    scores: tuple[tuple[float, ...], ...]
    rows: int

    def is_right(self, query: int, page_id: int, score: float) -> bool:
        """Whether a found page is one of the best; one as good as the last of them is, too, as
        copies of a page are (ann-benchmarks counts by distance for the same reason)."""
        wanted = self.scores[query]
        return page_id in self.pages[query] or bool(wanted and score >= wanted[-1] - EQUAL)


def truth_get(index: Index, lane: str, queries: FloatArray, *, limit: int, seconds: float) -> Truth:
    """queries: (n, D), unit length. Raises Unavailable `recall_timeout` after `seconds`."""
    # What SQL compares with is a halfvec, too.
    asked = queries.astype(np.float16).astype(np.float32)
    best = [_Best(limit) for _ in asked]
    rows = 0
    for page_ids, vectors in _blocks(index, lane, seconds):
        rows += len(page_ids)
        for kept, scores in zip(best, asked @ vectors.T, strict=True):
            kept.add(page_ids, scores)
    return Truth(
        tuple(tuple(kept.pages.tolist()) for kept in best),
        tuple(tuple(kept.scores.tolist()) for kept in best),
        rows,
    )


class _Best:
    """The best distinct pages so far. A unit below the last of them can change nothing."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.pages = np.empty(0, np.int64)
        self.scores = np.empty(0, np.float32)

    def add(self, pages: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """One block: the page and the score of each unit."""
        if len(self.scores) == self.limit:
            better = scores > self.scores[-1]
            pages, scores = pages[better], scores[better]
        pages = np.concatenate([self.pages, pages])
        scores = np.concatenate([self.scores, scores])
        order = np.lexsort((pages, -scores))
        pages, scores = pages[order], scores[order]
        # The first of each page is its best unit.
        first = np.sort(np.unique(pages, return_index=True)[1])[: self.limit]
        self.pages, self.scores = pages[first], scores[first]


def _blocks(
    index: Index, lane: str, seconds: float
) -> Iterator[tuple[NDArray[np.int64], FloatArray]]:
    """Page ids (b,) and vectors (b, D) of a lane, in the order they are stored."""
    sql = (
        "COPY (SELECT page_id, halfvec_send(vec) FROM searchapp_embedding"  # noqa: S608  (ours)
        f" WHERE index_id = {int(index.pk)} AND lane = '{Embedding.Lane(lane)}')"
        " TO STDOUT (FORMAT BINARY)"
    )
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}")
            with cursor.copy(sql) as copy:
                copy.set_types(["int8", "bytea"])
                rows = copy.rows()
                while block := list(islice(rows, _BLOCK)):
                    yield (
                        np.array([row[0] for row in block], np.int64),
                        vectors_read([row[1] for row in block]),
                    )
    except QueryCanceled as error:
        raise Unavailable(
            "recall_timeout",
            f"Comparing every vector took longer than {seconds:.0f} s; allow more with --seconds.",
        ) from error


def vectors_read(sent: list[bytes]) -> FloatArray:
    """Vectors (n, D) from what `halfvec_send` gives of each."""
    words = np.frombuffer(b"".join(sent), ">f2").reshape(len(sent), -1)
    return words[:, _HEAD_WORDS:].astype(np.float32)
