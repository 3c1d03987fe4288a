"""search against exact arithmetic; filters, rights, grouping, bounds."""

import pytest

from searchapp import engine, library
from searchapp.access import SYSTEM, Actor
from searchapp.errors import InvalidInput
from searchapp.search.excerpts import _places, excerpt_get
from searchapp.search.query import Filters, Query, text_query
from searchapp.search.search import search_pages
from tests.app.conftest import TEXTS, People, index_switch, ingested, pdf_make, png_make

pytestmark = pytest.mark.django_db


def test_meaning_finds_the_page_in_other_words(people: People) -> None:
    ingested(people, pdf_make(), "report.pdf")
    answer = search_pages(actor=SYSTEM, query=text_query("how much holiday do workers get"))
    assert answer.hits[0].page.number == 2
    assert answer.hits[0].score > answer.hits[1].score
    assert "vacation" in answer.hits[0].excerpt
    assert {stage.name for stage in answer.stages} >= {"embed", "prefilter + rerank", "fuse"}
    assert answer.index["dimension"] == 1536


def test_picture_query_and_mixed_query(people: People) -> None:
    ingested(people, png_make("Emergency exit plan"), "exit.png")
    ingested(people, pdf_make(), "report.pdf")
    picture = engine.ImagePart(png_make("Emergency exit plan"))
    by_picture = search_pages(actor=SYSTEM, query=Query(parts=(picture,)))
    assert by_picture.hits[0].page.document.filename == "exit.png"
    both = Query(parts=(engine.TextPart("vacation days for employees"), picture))
    found = [hit.page.document.filename for hit in search_pages(actor=SYSTEM, query=both).hits[:2]]
    assert "exit.png" in found


def test_stranger_finds_nothing_and_bob_finds(people: People) -> None:
    ingested(people, pdf_make(), "report.pdf")
    query = text_query("turbine blades")
    assert search_pages(actor=Actor.from_user(people.charlie), query=query).hits == ()
    assert search_pages(actor=Actor.from_user(people.bob), query=query).hits[0].page.number == 1


def test_filters_bound_the_hits(people: People) -> None:
    report = ingested(people, pdf_make(), "report.pdf", tags=("finance",))
    ingested(people, png_make("turbine blades"), "turbine.png", tags=("photo",))
    for filters, expected in [
        (Filters(types=("image",)), {"turbine.png"}),
        (Filters(tags=("finance", "none")), {"report.pdf"}),
        (Filters(documents=(report.pk,)), {"report.pdf"}),
        (Filters(documents=(report.pk,), types=("image",)), set()),
        (Filters(collections=("reports",)), {"report.pdf", "turbine.png"}),
    ]:
        answer = search_pages(actor=SYSTEM, query=text_query("turbine", filters=filters))
        assert {hit.page.document.filename for hit in answer.hits} == expected


def test_grouping_gives_each_document_once_with_its_other_pages(people: People) -> None:
    blades = ["Turbine blades.", "Blades of a turbine.", "How to boil an egg.", "Turbine blade."]
    ingested(people, pdf_make(blades), "report.pdf")
    ingested(people, pdf_make(["The turbine spins."]), "other.pdf")
    answer = search_pages(actor=SYSTEM, query=text_query("turbine blades", group=True))
    names = [hit.page.document.filename for hit in answer.hits]
    assert sorted(names) == ["other.pdf", "report.pdf"]
    report = next(h for h in answer.hits if h.page.document.filename == "report.pdf")
    assert sorted([report.page.number, *report.also]) == [1, 2, 4]


def test_exact_rare_term_comes_first(people: People) -> None:
    texts = [f"Maintenance manual of pump number {i}, general notes." for i in range(6)]
    texts[4] = "Replacement seal kit ZX-4711B fits the pump."
    ingested(people, pdf_make(texts), "manual.pdf")
    answer = search_pages(actor=SYSTEM, query=text_query("ZX-4711B"))
    assert answer.hits[0].page.number == 5
    assert "words" in answer.hits[0].reasons


def test_a_page_of_many_units_does_not_fill_the_list(people: People) -> None:
    long = " ".join(TEXTS[0].replace("blades", f"blades number {i}") for i in range(120))
    ingested(people, pdf_make([long]), "long.pdf")
    ingested(people, pdf_make([f"{TEXTS[0]} Variant {i}." for i in range(9)]), "short.pdf")
    query = text_query("turbine blades inspection", limit=10, oversampling=1)
    assert len(search_pages(actor=SYSTEM, query=query).hits) == 10


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (text_query("  "), "query"),
        (text_query("\x00"), "query"),
        (Query(parts=()), "query"),
        (text_query("x" * 100_000), "query"),
        (text_query("x", limit=0), "limit"),
        (text_query("x", limit=10_000), "limit"),
        (text_query("x", oversampling=1000), "oversampling"),
        (text_query("x", filters=Filters(collections=("none",))), "filters.collections"),
        (text_query("x", filters=Filters(types=("video",))), "filters.types"),
        (text_query("x", filters=Filters(tags=("t",) * 500)), "filters.tags"),
    ],
)
def test_bad_queries_name_the_field(people: People, query: Query, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        search_pages(actor=SYSTEM, query=query)
    assert caught.value.field == field


def test_collection_of_others_is_unknown(people: People) -> None:
    query = text_query("x", filters=Filters(collections=("reports",)))
    with pytest.raises(InvalidInput) as caught:
        search_pages(actor=Actor.from_user(people.charlie), query=query)
    assert caught.value.code == "unknown_collection"


def test_model_that_sees_fills_the_image_lane(people: People) -> None:
    index_switch("fake")
    ingested(people, png_make("anything"), "a.png")
    answer = search_pages(actor=SYSTEM, query=text_query("anything"))
    assert {"image", "text"} <= set(answer.hits[0].reasons)


def test_demo_is_removed_whole(people: People) -> None:
    ingested(people, pdf_make(), "report.pdf")
    people.collection.is_demo = True
    people.collection.save()
    assert library.demo_remove() == 1
    assert search_pages(actor=SYSTEM, query=text_query("turbine")).hits == ()


def test_excerpt_stands_around_the_words() -> None:
    text = "filler " * 200 + "the needle is here " + "filler " * 200
    excerpt = excerpt_get(text, "find the needle")
    assert "needle" in excerpt
    assert excerpt.startswith("… ")
    assert excerpt.endswith(" …")
    assert excerpt_get("short text", "x") == "short text"


def test_excerpt_of_a_long_page_for_a_long_query() -> None:
    """Its work is bounded: 20 places of each of 32 words, whatever is asked of whatever page."""
    text = "abcd " * 20_000 + "the needle is here"
    query = " ".join(f"abcd{i}" for i in range(2_000))
    assert len(_places(text.strip(), query + " needle")) <= 32 * 20


def test_excerpt_takes_the_place_with_most_words() -> None:
    text = "wind " + "filler " * 100 + "wind energy turbine " + "filler " * 100 + "turbine"
    assert "wind energy turbine" in excerpt_get(text, "wind energy turbine")
