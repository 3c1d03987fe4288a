"""The statement of a search at 100,000 pages: its plan, and its hits against exact search."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from benchmarks.retrieval_rows import embeddings_copy, pages_make
from embedding_engine.types import FloatArray
from searchapp.indexing.hnsw import hnsw_create
from searchapp.indexing.partitions import partition_create
from searchapp.models import Collection, Document, Index, Page
from searchapp.search.query import Query
from searchapp.search.search import LANE_DEPTH
from searchapp.search.stages.vectors import lanes_search
from searchapp.search.types import LaneAnswer, PageFilter, Scope

pytestmark = [pytest.mark.long, pytest.mark.django_db]

PAGES, FEW, FIRST = 100_000, 12_000, 10_000_000
SHARES = (1, 5, 20, 50, 24)
QUERIES = 20
ALL = Scope(None)


class Filled:
    """An index of the first `pages` pages, bulk loaded, and queries for it."""

    def __init__(self, dimension: int, pages: int, collections: np.ndarray) -> None:
        rng = np.random.default_rng(dimension)
        # Neighbours as texts have them: few directions, spread over all components.
        axes = rng.standard_normal((24, dimension), dtype=np.float32)
        self.vectors = _unit(rng.standard_normal((pages, 24), dtype=np.float32) @ axes)
        self.queries = _unit(rng.standard_normal((QUERIES, 24), dtype=np.float32) @ axes)
        self.index = Index.objects.create(model="large", revision="r", dimension=dimension)
        partition_create(self.index)
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")  # no look-up of each page
            for start in range(0, pages, 10_000):
                rows = np.arange(start, min(start + 10_000, pages))
                at = FIRST + rows, collections[rows], self.vectors[rows]
                embeddings_copy(cursor, self.index.pk, *at)
            cursor.execute("SET session_replication_role = DEFAULT")
        hnsw_create(self.index)
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE searchapp_embedding_{self.index.pk}")

    def exact(self, among: np.ndarray) -> list[set[int]]:
        """By query: ids of the ten pages of the best cosines among those."""
        rows = np.flatnonzero(among[: len(self.vectors)])
        scores = self.queries @ self.vectors[rows].T
        found = np.argpartition(-scores, 10, axis=1)[:, :10]
        return [{FIRST + int(row) for row in rows[best]} for best in found]


class Large:
    """Pages in collections of several sizes, in an index of all and one of the first FEW.

    512 dimensions in the large one: a third of the work of 1536, and 120 candidates are enough.
    """

    def __init__(self) -> None:
        named = [f"large-{share}" for share in SHARES]
        made = Collection.objects.bulk_create(Collection(name=n, slug=n) for n in named)
        self.collections = [collection.pk for collection in made]
        of_hundred = np.repeat(self.collections, SHARES)
        self.collection_of = of_hundred[np.arange(PAGES) % 100]
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            pages_make(cursor, FIRST, PAGES, [int(one) for one in of_hundred])
            cursor.execute("ANALYZE searchapp_page")
            cursor.execute("SET statement_timeout = DEFAULT")
        self.all = Filled(512, PAGES, self.collection_of)
        self.few = Filled(768, FEW, self.collection_of)

    def remove(self) -> None:
        """As if it had not been there."""
        with connection.cursor() as cursor:
            for filled in (self.all, self.few):
                cursor.execute(f"DROP TABLE searchapp_embedding_{filled.index.pk}")
            cursor.execute("SET statement_timeout = 0; SET session_replication_role = replica")
            for model in (Page, Document):
                cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE id >= %s", [FIRST])
            cursor.execute("SET session_replication_role = DEFAULT; RESET statement_timeout")
        Index.objects.filter(model="large").delete()
        Collection.objects.filter(pk__in=self.collections).delete()


def _unit(rows: np.ndarray) -> FloatArray:
    unit: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.fixture(scope="module")
def large(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Large]:
    with django_db_blocker.unblock():
        made = Large()
    yield made
    with django_db_blocker.unblock():
        made.remove()


def searched(
    filled: Filled, scope: Scope, among: np.ndarray | None = None
) -> tuple[float, LaneAnswer, str]:
    """(recall@10 against exact search `among` the pages, the last answer, the plan of the statement
    that was sent for it). Candidates as many as the product takes for ten hits."""
    sent: list[tuple[str, Any]] = []

    def noted(execute: Callable[..., Any], sql: str, parameters: Any, *rest: Any) -> Any:
        sent.append((sql, parameters))
        return execute(sql, parameters, *rest)

    right = 0
    everything = np.ones(PAGES, bool)
    with connection.execute_wrapper(noted):
        for query, wanted in zip(
            filled.queries, filled.exact(everything if among is None else among), strict=True
        ):
            answer = lanes_search(
                *(filled.index, {"text": query}, scope),
                pages=10 * LANE_DEPTH,
                oversampling=Query().oversampling,
            )
            found = {hit.page_id for hit in answer.hits["text"][:10]}
            right += len(found & wanted)
    return right / (10 * QUERIES), answer, plan(*sent[-1])


def plan(text: str, parameters: Any) -> str:
    """EXPLAIN of a message: its settings are made first, as they were then."""
    settings, _, query = text.partition("WITH near")
    with connection.cursor() as cursor:
        cursor.execute(settings)
        cursor.execute(f"EXPLAIN WITH near{query}", parameters)
        return "\n".join(row[0] for row in cursor.fetchall())


def scans(found: str) -> Sequence[str]:
    """The lines of a plan that say how a table is read."""
    return [line for line in found.split("\n") if "Scan" in line and "embedding" in line]


def test_without_filter_the_graph_is_walked(large: Large) -> None:
    recall, answer, found = searched(large.all, ALL)
    assert answer.method == "hnsw"
    walk, *others = scans(found)
    index = large.all.index.pk
    assert f"Index Scan using searchapp_embedding_{index}_bits_text" in walk
    assert all(f"embedding_{index}_pkey" in line for line in others)
    assert answer.candidates["text"] == 120
    assert recall >= 0.97


def test_second_index_of_another_dimension_has_its_own_graph(large: Large) -> None:
    recall, answer, found = searched(large.few, ALL)
    assert answer.method == "hnsw"
    assert f"searchapp_embedding_{large.few.index.pk}_bits_text" in scans(found)[0]
    assert f"embedding_{large.all.index.pk}" not in found
    assert recall >= 0.97


def test_one_percent_by_page_filter_is_compared_exactly(large: Large) -> None:
    sql = "SELECT page.id FROM searchapp_page page WHERE page.id %% 100 = %(rest)s"
    scope = Scope(None, PageFilter(sql, {"rest": 7}, PAGES // 100))
    recall, answer, found = searched(large.all, scope, np.arange(PAGES) % 100 == 7)
    assert answer.method == "exact"
    assert "_bits_" not in found
    assert answer.candidates["text"] == 120
    assert recall >= 0.99


@pytest.mark.parametrize(("place", "method"), list(enumerate(["exact", "exact", "exact", "hnsw"])))
def test_rights_on_a_share_of_the_pages(large: Large, place: int, method: str) -> None:
    """1, 5, 20 and 50 %: a full list, nothing of others, and nearly all that exact search finds."""
    collection = large.collections[place]
    scope = Scope(collections=(collection,))
    recall, answer, found = searched(large.all, scope, large.collection_of == collection)
    assert answer.method == method
    assert ("_bits_text" in found) == (method == "hnsw")
    pages = [hit.page_id - FIRST for hit in answer.hits["text"]]
    assert len(pages) >= 30
    assert set(large.collection_of[pages]) == {collection}
    assert recall >= 0.98
