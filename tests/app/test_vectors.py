"""The vector stage against exact arithmetic: both methods, lanes, scopes, bounds, one message."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction

from benchmarks.retrieval_rows import embeddings_copy
from embedding_engine.types import FloatArray
from searchapp.errors import Unavailable
from searchapp.indexing.hnsw import hnsw_create
from searchapp.indexing.partitions import partition_create
from searchapp.models import Collection, Document, Index, Page
from searchapp.models.literals import bits_literal, vector_literal
from searchapp.search.stages import vectors
from searchapp.search.stages.estimate import rows_estimate
from searchapp.search.stages.vectors import (
    Method,
    ef_search,
    lanes_search,
    lanes_statement,
    method_choose,
)
from searchapp.search.types import LaneAnswer, PageFilter, Scope

pytestmark = pytest.mark.django_db

PAGES, UNITS, D = 600, 3, 256
ALL = Scope(collections=None)


class Stored:
    """An index of PAGES pages in two collections (one holds every twentieth), UNITS text units and
    an image unit a page, all random: cosine and Hamming order differ as much as they can."""

    def __init__(self) -> None:
        self.index = Index.objects.create(model="m", revision="r", dimension=D)
        partition_create(self.index)
        few, many = (Collection.objects.create(name=n, slug=n) for n in ("few", "many"))
        self.few, self.many = few.pk, many.pk
        documents = [_document(few), _document(many)]
        rows = Page.objects.bulk_create(
            Page(document=documents[bool(i % 20)], number=i + 1, step="done") for i in range(PAGES)
        )
        self.pages = np.array([page.pk for page in rows])
        self.collections = np.where(np.arange(PAGES) % 20 == 0, few.pk, many.pk)
        rng = np.random.default_rng(11)
        self.query = _unit(rng.normal(size=(1, D)))[0]
        self.text = [_unit(rng.normal(size=(PAGES, D)) + 2 * self.query) for _ in range(UNITS)]
        self.image = _unit(rng.normal(size=(PAGES, D)) + self.query)
        with connection.cursor() as cursor:
            for position, block in enumerate(self.text):
                self._copy(cursor, block, "text", position)
            self._copy(cursor, self.image, "image", 0)
            hnsw_create(self.index)
            cursor.execute(f"ANALYZE searchapp_embedding_{self.index.pk}")

    def _copy(self, cursor: object, block: FloatArray, lane: str, position: int) -> None:
        embeddings_copy(
            *(cursor, self.index.pk, self.pages, self.collections, block),
            lane=lane,
            position=position,
        )

    def best(self, lane: str) -> FloatArray:
        """(pages,) the exact answer: each page's best cosine in the lane."""
        blocks = self.text if lane == "text" else [self.image]
        found: FloatArray = np.max([block @ self.query for block in blocks], axis=0)
        return found

    def exact(self, lane: str, count: int, among: np.ndarray | None = None) -> list[int]:
        """The pages of the `count` best cosines, of those where `among` is true."""
        scores = self.best(lane) if among is None else np.where(among, self.best(lane), -2)
        return [int(self.pages[i]) for i in np.argsort(-scores)[:count]]

    def search(self, scope: Scope = ALL, **bounds: object) -> LaneAnswer:
        query = {"text": self.query, "image": self.query}
        wanted: dict[str, object] = {"pages": 10, "oversampling": 50, **bounds}
        return lanes_search(self.index, query, scope, **wanted)  # type: ignore[arg-type]


def _document(collection: Collection) -> Document:
    return Document.objects.create(
        collection=collection, title="t", filename="t", kind="pdf", bytes=1, sha256=collection.slug
    )


def _unit(rows: np.ndarray) -> FloatArray:
    unit: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.fixture
def stored(db: None) -> Stored:
    return Stored()


def use(monkeypatch: pytest.MonkeyPatch, method: Method) -> None:
    monkeypatch.setattr(vectors, "method_choose", lambda *_: method)


@pytest.mark.parametrize("method", ["hnsw", "exact"])
def test_both_methods_find_what_exact_cosine_finds(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, method: Method
) -> None:
    use(monkeypatch, method)
    answer = stored.search()
    assert answer.method == method
    for lane in ("text", "image"):
        found = [hit.page_id for hit in answer.hits[lane]][:10]
        assert len(set(found) & set(stored.exact(lane, 10))) >= 9
        scores = [hit.score for hit in answer.hits[lane]]
        assert scores == sorted(scores, reverse=True)


def test_every_candidate_page_has_its_best_score_in_every_lane(stored: Stored) -> None:
    """The best pages, one that only the other lane found, and one that was merely named: their best
    unit need not be a candidate."""
    named = int(stored.pages[stored.best("text").argmin()])
    answer = stored.search(named=[named], oversampling=5)
    pages = [{hit.page_id for hit in answer.hits[lane]} for lane in ("text", "image")]
    assert pages[0] == pages[1]
    assert len(pages[0]) > answer.candidates["image"]
    for lane in ("text", "image"):
        best = dict(zip(stored.pages.tolist(), stored.best(lane).tolist(), strict=True))
        hits = {hit.page_id: hit.score for hit in answer.hits[lane]}
        for page in (*[hit.page_id for hit in answer.hits[lane][:10]], named):
            assert hits[page] == pytest.approx(best[page], abs=2e-3)


def test_an_estimate_and_one_message_for_all_lanes(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, "hnsw")
    sent: list[str] = []

    def noted(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        sent.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(noted):
        stored.search()
    assert len(sent) == 2
    assert "pg_stats" in sent[0]
    assert "hnsw.ef_search" in sent[1]


@pytest.mark.parametrize("method", ["hnsw", "exact"])
@pytest.mark.parametrize("bound", ["collection", "pages"])
def test_a_bounded_search_fills_its_list(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, method: Method, bound: str
) -> None:
    """Thirty of 600 pages are in scope: all thirty are found, and no other."""
    use(monkeypatch, method)
    scope = Scope(collections=(stored.few,))
    if bound == "pages":
        sql = "SELECT page.id FROM searchapp_page page WHERE page.number %% %(step)s = 1"
        scope = Scope(None, PageFilter(sql, {"step": 20}, 30))
    answer = stored.search(scope, pages=30, oversampling=1)
    among = np.arange(PAGES) % 20 == 0
    for lane in ("text", "image"):
        found = [hit.page_id for hit in answer.hits[lane]]
        assert set(found) == set(stored.exact(lane, 30, among))
    assert answer.hits["image"][0].page_id == stored.exact("image", 1, among)[0]


def test_a_walk_that_ends_early_is_finished_exactly(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, "hnsw")
    monkeypatch.setitem(vectors._SETTINGS, "hnsw.max_scan_tuples", 1)
    monkeypatch.setattr(vectors, "ef_search", lambda *_: 10)
    answer = stored.search(Scope(collections=(stored.few,)), pages=30, oversampling=2)
    assert answer.method == "exact"
    assert len(answer.hits["text"]) == 30


def test_a_page_of_many_units_does_not_fill_the_list(stored: Stored) -> None:
    """Its 300 further units are the 300 nearest."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO searchapp_embedding (index_id, page_id, collection_id, lane, position,"
            " bits, vec) VALUES (%s, %s, %s, 'text', %s, %s::varbit, %s::halfvec)",
            [
                (stored.index.pk, int(stored.pages[0]), stored.few, position, bits, vec)
                for bits, vec in [(bits_literal(stored.query), vector_literal(stored.query))]
                for position in range(UNITS, UNITS + 300)
            ],
        )
    answer = stored.search(pages=10, oversampling=1)
    assert len({hit.page_id for hit in answer.hits["text"]}) >= 10
    assert answer.hits["text"][0].score == pytest.approx(1.0, abs=2e-3)


def test_nothing_in_scope_asks_nothing(stored: Stored) -> None:
    with connection.execute_wrapper(lambda *_: pytest.fail("asked the database")):
        answer = stored.search(Scope(collections=()))
    assert answer.hits == {"text": [], "image": []}


def test_a_search_that_takes_too_long_is_unavailable(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vectors._SETTINGS, "statement_timeout", 20)
    sql = "SELECT page.id FROM searchapp_page page WHERE pg_sleep(0.01) IS NOT NULL"
    with pytest.raises(Unavailable) as caught, transaction.atomic():
        stored.search(Scope(None, PageFilter(sql, {}, None)))
    assert caught.value.code == "search_timeout"


def test_estimate_follows_collections_and_pages(stored: Stored) -> None:
    rows = PAGES * (UNITS + 1)
    assert rows_estimate(stored.index, ALL) == (rows, rows)
    total, few = rows_estimate(stored.index, Scope(collections=(stored.few,)))
    assert total == rows
    assert few == pytest.approx(rows / 20, rel=0.1)
    both = Scope(collections=(stored.few, stored.many))
    assert rows_estimate(stored.index, both)[1] == pytest.approx(rows, rel=0.01)
    bounded = Scope(None, PageFilter("SELECT 1", {}, 7))
    assert rows_estimate(stored.index, bounded)[1] == 7


@pytest.mark.parametrize(
    ("total", "matching", "expected"),
    [
        (5_000, 5_000, "exact"),
        (100_000, 100_000, "hnsw"),
        (100_000, 1_000, "exact"),
        (1_000_000, 10_000, "exact"),
        (1_000_000, 200_000, "hnsw"),
        (10_000_000, 9_000, "exact"),
    ],
)
def test_the_method_that_looks_at_less(total: int, matching: int, expected: str) -> None:
    assert method_choose(total, matching, 120) == expected


@pytest.mark.parametrize(
    ("total", "matching", "expected"),
    [
        (10_000, 10_000, 120),
        (0, 0, 120),
        (1e6, 1e6, 333),
        (1e6, 250_000, 480),
        (1e6, 50_000, 1000),
        (1e9, 1e9, 1000),
    ],
)
def test_the_walk_is_wider_in_larger_graphs_and_under_filters(
    total: float, matching: float, expected: int
) -> None:
    assert ef_search(120, total, matching) == expected


def test_walk_reads_the_lane_s_own_graph(stored: Stored) -> None:
    statement = lanes_statement(
        stored.index, {"text": stored.query}, ALL, pages=10, candidates=40, method="hnsw", width=80
    )
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {statement.sql}", statement.parameters)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert f"searchapp_embedding_{stored.index.pk}_bits_text" in plan
