"""Which pages fit: titles alone, words that say nothing, weights of words and picture, what is
counted and named of a document."""

import pytest

from searchapp import engine
from searchapp.access import SYSTEM
from searchapp.search.query import Filters, Query, text_query
from searchapp.search.search import search_pages
from tests.app.conftest import TEXTS, People, ingested, pdf_make, png_make

pytestmark = pytest.mark.django_db


def bands(text: str) -> dict[str, str]:
    """By title of the document the band of its best page."""
    hits = search_pages(actor=SYSTEM, query=text_query(text, group=True)).hits
    return {hit.page.document.title: hit.band for hit in hits}


def test_a_page_without_text_fits_by_the_words_of_its_title_only(people: People) -> None:
    ingested(people, pdf_make([""]), "Vacation of employees.pdf")
    ingested(people, pdf_make(TEXTS[:1]), "report.pdf")
    assert bands("holidays for workers")["Vacation of employees"] == "weak"
    assert bands("vacation of employees")["Vacation of employees"] == "strong"


@pytest.mark.parametrize("text", ["the", "what is this", "to be or not to be"])
def test_stop_words_alone_are_answered_by_nothing(people: People, text: str) -> None:
    ingested(people, pdf_make(["The this. What is this? To be or not to be."]), "the.pdf")
    answer = search_pages(actor=SYSTEM, query=text_query(text))
    assert [hit.band for hit in answer.hits] == ["weak"]
    assert not answer.is_answered


def test_all_pages_of_a_document_that_fit_are_named_whatever_the_limit(people: People) -> None:
    texts = [f"Turbine blades are inspected, part {n}." for n in range(12)]
    texts += ["Employees receive thirty days of vacation."]
    ingested(people, pdf_make(texts), "report.pdf")
    for limit in (1, 10):
        query = text_query("inspection of turbine blades", limit=limit, group=True)
        (hit,) = search_pages(actor=SYSTEM, query=query).hits
        assert sorted((hit.page.number, *hit.also)) == list(range(1, 13))


def test_counts_hang_neither_on_the_limit_nor_on_the_filter_itself(people: People) -> None:
    texts = [f"Turbine blades are inspected, part {n}." for n in range(8)]
    ingested(people, pdf_make(texts), "report.pdf", tags=["wind"])
    ingested(people, pdf_make(texts[:5]), "other.pdf", tags=["sea"])

    def counted(limit: int, *tags: str) -> dict[str, dict[str, int]]:
        filters = Filters(tags=tags, types=("pdf",))
        query = text_query("turbine blades", limit=limit, facets=True, filters=filters)
        return {n: dict(c) for n, c in search_pages(actor=SYSTEM, query=query).facets.items()}

    assert counted(1)["tags"] == counted(100)["tags"] == {"wind": 8, "sea": 5}
    narrowed = counted(1, "wind")
    assert narrowed["tags"] == {"wind": 8, "sea": 5}
    assert narrowed["types"] == {"pdf": 8}


def test_words_and_picture_weigh_what_they_are_given(people: People) -> None:
    """Words that were typed are not diluted by those on the picture, and count by their weight."""
    ingested(people, pdf_make(TEXTS), "report.pdf")
    picture = engine.ImagePart(png_make(), text="exit stairs corridor storey alarm")
    parts = (engine.TextPart("turbine blades"), picture)

    def words(weight: float | None) -> float:
        query = Query(parts=parts, image_weight=weight)
        hits = search_pages(actor=SYSTEM, query=query).hits
        reason = next(hit.reasons.get("words") for hit in hits if hit.page.number == 1)
        return float(reason["score"]) if isinstance(reason, dict) else 0.0

    assert words(0.0) == 1.0
    assert [words(weight) for weight in (0.25, 0.5, 1.0)] == pytest.approx([0.75, 0.5, 0.0])
    assert 0 < words(None) < 0.5
