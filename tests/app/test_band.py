"""Bands on real vectors: corpora tiny and alike, queries that nothing answers, the background."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedding_engine.urgency import URGENT_INPUTS
from searchapp import engine
from searchapp.access import SYSTEM
from searchapp.errors import EngineFailed
from searchapp.models import Embedding, Index
from searchapp.models.indexes import index_active
from searchapp.search.query import Query, text_query
from searchapp.search.search import search_pages
from searchapp.search.stages import background
from searchapp.search.stages.background import (
    EVERYDAY,
    SAMPLE,
    background_get,
    background_prepare,
    scale_of,
    tops_of_pages,
    tops_of_queries,
)
from searchapp.search.types import Background
from tests.app.conftest import TEXTS, People, ingested, pdf_make, png_make

pytestmark = pytest.mark.django_db

UNANSWERED = ("asdf qwer zxcv uiop", "breeding season of emperor penguins", "rules of cricket")


def bands(query: Query | str) -> list[str]:
    asked = text_query(query) if isinstance(query, str) else query
    return [hit.band for hit in search_pages(actor=SYSTEM, query=asked).hits]


@pytest.mark.parametrize("count", [1, 3])
def test_a_tiny_corpus_tells_what_it_answers(people: People, count: int) -> None:
    ingested(people, pdf_make(TEXTS[:count]), "report.pdf")
    assert bands("when are the blades of wind turbines checked")[0] == "strong"
    for text in UNANSWERED:
        answer = search_pages(actor=SYSTEM, query=text_query(text))
        assert [hit.band for hit in answer.hits] == ["weak"] * count
        assert not answer.is_answered


def test_where_all_pages_are_alike_they_are_answers_to_their_subject_only(people: People) -> None:
    texts = [f"Invoice number {n}: {n} boxes of printer paper at nine euros." for n in range(12)]
    ingested(people, pdf_make(texts), "invoices.pdf")
    assert "weak" not in bands("bill for printer paper")
    for text in UNANSWERED:
        assert set(bands(text)) == {"weak"}


def test_an_exact_code_is_an_answer_though_it_means_nothing(people: People) -> None:
    texts = [f"Maintenance manual, chapter {n}: pumps and valves." for n in range(8)]
    texts[5] = "Replacement seal kit ZX-4711B fits the pump."
    ingested(people, pdf_make(texts), "manual.pdf")
    for text in ("ZX-4711B", "what is zx4711b good for"):
        answer = search_pages(actor=SYSTEM, query=text_query(text))
        assert answer.hits[0].page.number == 6
        assert answer.hits[0].band in {"strong", "likely"}


def test_a_picture_is_judged_as_pages_are(people: People) -> None:
    ingested(people, png_make("Emergency exit plan"), "exit.png")
    ingested(people, pdf_make(), "report.pdf")
    picture = engine.ImagePart(png_make("Emergency exit plan"))
    assert bands(Query(parts=(picture,)))[0] == "strong"


def test_the_background_is_what_everyday_queries_find_at_best(people: People) -> None:
    ingested(people, pdf_make(), "report.pdf")
    index = index_active()
    stored = np.array([unit.vec for unit in Embedding.objects.filter(lane="text")])
    asked = [[engine.TextPart(text)] for text in EVERYDAY]
    queries = engine.embed_queries(asked, space=index.space)
    others = queries @ queries.T - 3 * np.eye(len(queries))
    tops = np.maximum((queries @ stored.T).max(axis=1), others.max(axis=1))
    found = background_get(index).lanes
    assert set(found) == {"text"}
    assert found["text"].mean == pytest.approx(float(np.median(tops)), abs=1e-3)


def test_the_background_is_kept_until_the_index_changes(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_active()
    assert background_get(index).lanes == {}
    ingested(people, pdf_make(), "report.pdf")
    first = background_get(index)
    assert set(first.lanes) == {"text"}
    with monkeypatch.context() as patch:
        patch.setattr(engine, "embed_queries", None)  # nothing is asked again
        assert background_get(index) is first
    ingested(people, pdf_make([f"Another page about matter {n}." for n in range(6)]), "more.pdf")
    assert background_get(index) is not first


def unknown_make(people: People) -> Index:
    ingested(people, pdf_make(), "report.pdf")
    background._known.clear()
    background._asked.clear()
    return index_active()


def time_passes() -> None:
    for key, known in background._known.items():
        background._known[key] = replace(known, until=0.0)


def test_everyday_queries_go_before_documents(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, asked, embed = unknown_make(people), list[int](), engine._embed

    def counted(inputs: Any, *rest: Any) -> Any:
        asked.append(len(inputs))
        return embed(inputs, *rest)

    monkeypatch.setattr(engine, "_embed", counted)
    background_get(index)
    assert sum(asked) == len(EVERYDAY)
    assert max(asked) <= URGENT_INPUTS


def test_a_search_goes_on_when_the_engine_fails_at_the_background(
    people: People, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    index, tries = unknown_make(people), list[int]()

    def failing(*args: Any, **named: Any) -> Any:
        tries.append(1)
        raise EngineFailed("timed out")

    with monkeypatch.context() as patch:
        patch.setattr(engine, "embed_queries", failing)
        assert background_get(index).lanes == {}
        assert background_get(index).lanes == {}
        assert len(tries) == 1
        time_passes()
        assert background_get(index).lanes == {}
    assert len(tries) == 2
    assert caplog.text.count("without a new background") == 1
    time_passes()
    assert set(background_get(index).lanes) == {"text"}


def test_others_search_while_one_makes_the_background(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, embed, meanwhile = unknown_make(people), engine.embed_queries, list[Background]()

    def slow(*args: Any, **named: Any) -> Any:
        meanwhile.append(background_get(index))
        return embed(*args, **named)

    monkeypatch.setattr(engine, "embed_queries", slow)
    assert set(background_get(index).lanes) == {"text"}
    assert meanwhile == [Background({})]


def test_what_was_prepared_is_found_by_other_processes(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = unknown_make(people)
    background_prepare(index)
    made = background_get(index), background_get(index, "page")
    background._known.clear()
    monkeypatch.setattr(background, "_made", None)  # nothing is made again
    index = index_active()
    assert (background_get(index), background_get(index, "page")) == made
    assert index.space.spec.name == index.model


def test_an_index_larger_than_a_sample_is_sampled_once(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("searchapp.search.stages.background.SAMPLE", 4)
    assert SAMPLE > 4
    ingested(people, pdf_make([f"A page about matter {n}." for n in range(9)]), "pages.pdf")
    index = index_active()
    first = background_get(index)
    ingested(people, pdf_make([f"Another page about matter {n}." for n in range(6)]), "more.pdf")
    assert background_get(index) is first


def test_queries_are_compared_with_units_and_where_these_are_texts_with_each_other() -> None:
    queries = np.array([[1, 0], [0.6, 0.8]], np.float32)
    units = np.array([[0, 1]], np.float32)
    assert tops_of_queries(queries, units, is_text=False) == pytest.approx([0, 0.8])
    assert tops_of_queries(queries, units, is_text=True) == pytest.approx([0.6, 0.8])


def test_pages_are_compared_with_those_of_other_documents() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], np.float32)
    tops = tops_of_pages(np.array([1, 1, 2]), vectors)
    assert tops == pytest.approx([0.6, 0.96, 0.96])
    assert len(tops_of_pages(np.array([1, 1, 1]), vectors)) == 0


def test_a_scale_is_the_middle_and_half_the_middle_two_thirds() -> None:
    scale = scale_of(np.linspace(0, 1, 101, dtype=np.float32))
    assert (scale.mean, scale.spread) == pytest.approx((0.5, 0.34))
    assert scale_of(np.full(9, 0.4, np.float32)).spread == pytest.approx(0.02)
