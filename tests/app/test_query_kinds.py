"""Kinds of queries against arithmetic on the stored vectors: weights, examples, parts of pages;
order, counts and groups against the plain ranking."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.db.utils import OperationalError
from numpy.typing import NDArray

from searchapp import engine
from searchapp.access import SYSTEM, Actor
from searchapp.errors import InvalidInput, Unavailable
from searchapp.models import Document, Page
from searchapp.models.indexes import index_active
from searchapp.search.crops import page_part
from searchapp.search.query import Filters, Query, text_query
from searchapp.search.search import search_pages
from searchapp.search.stages.fuse import fuse
from searchapp.search.types import Answer, Hit
from tests.app.conftest import People, index_switch, ingested, pdf_make, png_make
from tests.app.test_filters import corpus, vectors_make

pytestmark = pytest.mark.django_db

Vector = NDArray[np.float32]

TOPICS = (
    "Turbine blades are inspected every spring because salt corrodes the coating.",
    "The rotor of the wind turbine is greased by the maintenance crew.",
    "Employees receive thirty days of paid vacation each year.",
    "Holiday requests of workers are approved by their manager.",
    "Revenue grew by twelve percent, driven by battery storage.",
    "The profit of the quarter fell short of the forecast.",
)


def stored(lane: str = "text") -> dict[int, Vector]:
    """Each page's unit vector in a lane: the mean of its units."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT page_id, vec::text FROM searchapp_embedding WHERE index_id = %s AND lane = %s",
            [index_active().pk, lane],
        )
        units: dict[int, list[Vector]] = {}
        for page_id, vec in cursor.fetchall():
            units.setdefault(page_id, []).append(np.array(json.loads(vec), np.float32))
    return {page_id: unit(np.mean(found, axis=0)) for page_id, found in units.items()}


def unit(vector: Vector) -> Vector:
    scaled: Vector = vector / np.linalg.norm(vector)
    return scaled


def embedded(text: str) -> Vector:
    return engine.embed_query([engine.TextPart(text)], space=index_active().space)


def cosines(answer: Answer, lane: str = "text") -> dict[int, float]:
    """What the hits say of a lane."""
    return {hit.page.pk: _lane(hit, lane)["score"] for hit in answer.hits if lane in hit.reasons}


def _lane(hit: Hit, lane: str) -> dict[str, Any]:
    reason = hit.reasons[lane]
    assert isinstance(reason, dict)
    return reason


def agree(answer: Answer, query: Vector, lane: str = "text") -> None:
    """The hits' cosines, and the lane's order, are those of `query` with the stored vectors."""
    found, vectors = cosines(answer, lane), stored(lane)
    assert found
    for page_id, cosine in found.items():
        assert cosine == pytest.approx(float(vectors[page_id] @ query), abs=2e-3)
    ranks = {hit.page.pk: _lane(hit, lane)["rank"] for hit in answer.hits if lane in hit.reasons}
    order = sorted(found, key=lambda page_id: -float(vectors[page_id] @ query))
    assert sorted(ranks, key=lambda page_id: ranks[page_id]) == order


@pytest.fixture
def pages(people: People) -> list[Page]:
    """One page for each of TOPICS."""
    document = ingested(people, pdf_make(TOPICS), "topics.pdf")
    return list(document.pages.order_by("number"))


# --- words and pictures -----------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.8, 1.0])
def test_picture_and_words_are_mixed_by_the_weight(
    people: People, pages: list[Page], weight: float
) -> None:
    words, read = "vacation of employees", "turbine maintenance"
    parts = (engine.TextPart(words), engine.ImagePart(png_make(), text=read))
    answer = search_pages(actor=SYSTEM, query=Query(parts=parts, image_weight=weight))
    agree(answer, unit((1 - weight) * embedded(words) + weight * embedded(read)))


def test_words_of_a_picture_without_weight_are_not_looked_up(
    people: People, pages: list[Page]
) -> None:
    parts = (engine.TextPart("turbine"), engine.ImagePart(png_make(), text="vacation"))
    for weight, expected in ((0.0, {"turbine"}), (1.0, {"vacation"})):
        answer = search_pages(actor=SYSTEM, query=Query(parts=parts, image_weight=weight))
        reasons = [hit.reasons["words"] for hit in answer.hits if "words" in hit.reasons]
        assert {word for one in reasons for word in one["found"]} == expected  # type: ignore[index]


def test_a_weight_beside_words_alone_changes_nothing(people: People, pages: list[Page]) -> None:
    plain = search_pages(actor=SYSTEM, query=text_query("vacation"))
    weighted = search_pages(actor=SYSTEM, query=text_query("vacation", image_weight=0.9))
    assert [hit.page.pk for hit in plain.hits] == [hit.page.pk for hit in weighted.hits]
    agree(weighted, embedded("vacation"))


def test_quotes_and_exclusions_bound_the_hits_and_are_not_embedded(
    people: People, pages: list[Page]
) -> None:
    answer = search_pages(actor=SYSTEM, query=text_query('"wind turbine" -salt'))
    assert [hit.page.number for hit in answer.hits] == [2]
    agree(answer, embedded("wind turbine"))
    without = search_pages(actor=SYSTEM, query=text_query("turbine -rotor"))
    assert {hit.page.number for hit in without.hits} == {1, 3, 4, 5, 6}
    agree(without, embedded("turbine"))


# --- pages as examples --------------------------------------------------------------------------


def test_similar_pages_are_those_nearest_to_the_page(people: People, pages: list[Page]) -> None:
    answer = search_pages(actor=SYSTEM, query=Query(like=(pages[0].pk,)))
    assert {hit.page.pk for hit in answer.hits} == {page.pk for page in pages[1:]}
    assert answer.hits[0].page.number == 2
    agree(answer, stored()[pages[0].pk])


def test_more_like_this_less_like_that_is_rocchio(people: People, pages: list[Page]) -> None:
    vectors = stored()
    like, unlike = (pages[0].pk, pages[2].pk), (pages[1].pk,)
    answer = search_pages(actor=SYSTEM, query=Query(like=like, unlike=unlike))
    mean = (vectors[like[0]] + vectors[like[1]]) / 2
    agree(answer, unit(0.75 * mean - 0.15 * vectors[unlike[0]]))
    assert not {hit.page.pk for hit in answer.hits} & {*like, *unlike}
    with_words = text_query("profit", like=like[:1], unlike=unlike)
    asked = embedded("profit") + 0.75 * vectors[like[0]] - 0.15 * vectors[unlike[0]]
    agree(search_pages(actor=SYSTEM, query=with_words), unit(asked))
    less = search_pages(actor=SYSTEM, query=text_query("profit", unlike=unlike))
    agree(less, unit(embedded("profit") - 0.15 * vectors[unlike[0]]))


def test_pages_of_many_units_are_their_mean(people: People) -> None:
    long = " ".join(f"{TOPICS[0]} {TOPICS[4]} Number {n}." for n in range(40))
    document = ingested(people, pdf_make([long, *TOPICS]), "long.pdf")
    first = document.pages.get(number=1)
    assert len(stored()) == 7
    answer = search_pages(actor=SYSTEM, query=Query(like=(first.pk,)))
    agree(answer, stored()[first.pk])


def test_each_lane_is_asked_with_its_own_vectors(people: People) -> None:
    """A model that sees: pictures are like pictures, texts like texts."""
    ingested(people, pdf_make(TOPICS[:4]), "topics.pdf")
    index_switch("fake")
    first = Page.objects.get(number=1)
    answer = search_pages(actor=SYSTEM, query=Query(like=(first.pk,)))
    for lane in ("image", "text"):
        agree(answer, stored(lane)[first.pk], lane)


def test_vectors_of_a_retired_index_are_not_used(people: People) -> None:
    document = ingested(people, pdf_make(TOPICS[:3]), "topics.pdf")
    page = document.pages.get(number=1)
    index_switch("fake")
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM searchapp_embedding WHERE page_id = %s AND index_id = %s",
            [page.pk, index_active().pk],
        )
    with pytest.raises(InvalidInput) as caught:
        search_pages(actor=SYSTEM, query=Query(like=(page.pk,)))
    assert (caught.value.code, caught.value.field) == ("page_not_embedded", "like")


@pytest.mark.parametrize("field", ["like", "unlike"])
def test_pages_of_others_are_unknown(people: People, pages: list[Page], field: str) -> None:
    codes = []
    for who, page_id in ((people.charlie, pages[0].pk), (people.bob, 10**9)):
        query = text_query("turbine", **{field: (page_id,)})
        with pytest.raises(InvalidInput) as caught:
            search_pages(actor=Actor.from_user(who), query=query)
        codes.append((caught.value.code, caught.value.field))
    assert set(codes) == {("unknown_page", field)}
    bob = search_pages(actor=Actor.from_user(people.bob), query=Query(like=(pages[0].pk,)))
    assert bob.hits


# --- a part of a page ---------------------------------------------------------------------------


def test_a_part_of_a_page_is_its_picture_and_its_words(people: People, pages: list[Page]) -> None:
    whole = page_part(SYSTEM, pages[0].pk, (0, 0, 1, 1), field="query")
    assert whole.text is not None and whole.text.startswith("Turbine blades")
    upper = page_part(SYSTEM, pages[0].pk, (0, 0, 1, 0.5), field="query")
    assert upper.text == whole.text
    assert page_part(SYSTEM, pages[0].pk, (0, 0.5, 1, 1), field="query").text == ""
    answer = search_pages(actor=SYSTEM, query=Query(parts=(upper,)))
    assert answer.hits[0].page.pk == pages[0].pk


@pytest.mark.parametrize("box", [(0, 0, 1e-9, 1e-9), (1 - 1e-9, 1 - 1e-9, 1, 1)])
def test_the_smallest_part_is_still_a_picture(
    people: People, pages: list[Page], box: tuple[float, ...]
) -> None:
    part = page_part(SYSTEM, pages[0].pk, box, field="query")
    assert part.content.startswith(b"\x89PNG")
    assert search_pages(actor=SYSTEM, query=text_query("turbine")).hits


@pytest.mark.parametrize(
    "box",
    [(0, 0, 1), (0, 0, 0, 1), (0.5, 0, 0.4, 1), (-1, 0, 1, 1), (0, 0, float("nan"), 1)],
)
def test_boxes_that_are_none(people: People, pages: list[Page], box: tuple[float, ...]) -> None:
    with pytest.raises(InvalidInput) as caught:
        page_part(SYSTEM, pages[0].pk, box, field="query.content.0")
    assert (caught.value.code, caught.value.field) == ("invalid_box", "query.content.0")


def test_parts_of_pages_of_others_are_unknown(people: People, pages: list[Page]) -> None:
    with pytest.raises(InvalidInput) as caught:
        page_part(Actor.from_user(people.charlie), pages[0].pk, (0, 0, 1, 1), field="query")
    assert caught.value.code == "unknown_page"


# --- order, counts, groups ----------------------------------------------------------------------


@pytest.fixture
def many(people: People) -> list[Page]:
    """The random corpus of the filters, with random vectors."""
    found = [page for page in corpus(people, seed=5) if page.step == Page.Step.DONE]
    vectors_make(people, found)
    return found


def asked(**bounds: Any) -> Answer:
    return search_pages(actor=SYSTEM, query=text_query("plan", limit=200, **bounds))


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("sort", ["newest", "document"])
def test_order_is_of_what_fits_and_the_rest_comes_last(
    people: People, many: list[Page], sort: str, group: bool
) -> None:
    plain = asked(group=group).hits

    def key(hit: Hit) -> tuple[Any, ...]:
        document = hit.page.document
        if hit.band == "weak":
            return (True, hit.rank)
        if sort == "newest":
            return (False, -document.created_at.timestamp(), -document.pk, hit.rank)
        return (False, document.title.casefold(), document.pk, hit.page.number)

    expected = [hit.page.pk for hit in sorted(plain, key=key)]
    answer = asked(sort=sort, group=group)
    assert [hit.page.pk for hit in answer.hits] == expected
    assert [hit.rank for hit in answer.hits] == list(range(1, len(expected) + 1))


def test_weak_pages_come_after_all_others_in_any_order(
    people: People, many: list[Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bands as they may be: every second page weak."""

    def banded(*args: Any, **named: Any) -> Any:
        ranked = fuse(*args, **named)
        return [replace(r, band="weak" if n % 2 else "strong") for n, r in enumerate(ranked)]

    monkeypatch.setattr("searchapp.search.search.fuse", banded)
    plain = [hit.page.pk for hit in asked().hits]
    answer = asked(sort="newest", facets=True)
    bands = [hit.band for hit in answer.hits]
    assert bands == sorted(bands)
    assert set(bands) == {"strong", "weak"}
    weak = [hit.page.pk for hit in answer.hits if hit.band == "weak"]
    assert weak == plain[1::2]
    newest = [hit.page.document.created_at for hit in answer.hits if hit.band == "strong"]
    assert newest == sorted(newest, reverse=True)
    assert sum(answer.facets["types"].values()) == bands.count("strong")
    assert answer.is_answered


def test_facets_count_what_fits(people: People, many: list[Page]) -> None:
    answer = asked(facets=True)
    fitting = [hit.page for hit in answer.hits if hit.band != "weak"]
    counts = {
        "collections": Counter(page.document.collection.slug for page in fitting),
        "types": Counter(page.document.kind for page in fitting),
        "tags": Counter(tag for page in fitting for tag in page.document.tags),
        "languages": Counter(page.language for page in fitting if page.language),
        "uploaded": Counter(f"{page.document.created_at:%Y-%m}" for page in fitting),
    }
    assert {name: dict(found) for name, found in counts.items()} == answer.facets
    for found in answer.facets.values():
        assert list(found.values()) == sorted(found.values(), reverse=True)
    assert asked().facets == {}


def test_facets_count_no_page_of_others(people: People, many: list[Page]) -> None:
    query = text_query("plan", limit=200, facets=True)
    bob = search_pages(actor=Actor.from_user(people.bob), query=query)
    assert set(bob.facets["collections"]) <= {"reports"}
    charlie = search_pages(actor=Actor.from_user(people.charlie), query=query)
    assert all(not found for found in charlie.facets.values())


def test_a_facet_can_be_sent_back_as_a_filter(people: People, many: list[Page]) -> None:
    facets = asked(facets=True).facets
    for name in ("collections", "types", "tags", "languages"):
        for value, count in facets[name].items():
            chosen: dict[str, Any] = {name: (value,)}
            narrowed = asked(filters=Filters(**chosen))
            assert sum(hit.band != "weak" for hit in narrowed.hits) >= count


def test_facets_are_over_more_than_is_shown(people: People, many: list[Page]) -> None:
    answer = search_pages(actor=SYSTEM, query=text_query("plan", limit=5, facets=True))
    shown = sum(hit.band != "weak" for hit in answer.hits)
    assert sum(answer.facets["types"].values()) >= shown


# --- an answer ----------------------------------------------------------------------------------


def test_an_answer_counts_its_stages(people: People, pages: list[Page]) -> None:
    answer = search_pages(
        actor=SYSTEM, query=text_query("turbine", filters=Filters(types=("pdf",)))
    )
    stages = {stage.name: stage.count for stage in answer.stages}
    assert stages["scope"] == 6
    assert stages["prefilter + rerank"] == 6
    assert stages["show"] == len(answer.hits) == 6
    assert stages["words"] == 2
    assert all(stage.ms >= 0 for stage in answer.stages)
    assert answer.took_ms >= max(stage.ms for stage in answer.stages)


def test_a_document_deleted_meanwhile_is_left_out(
    people: People, pages: list[Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    def deleting(*args: Any, **named: Any) -> Any:
        ranked = fuse(*args, **named)
        Document.objects.all().delete()
        return ranked

    monkeypatch.setattr("searchapp.search.search.fuse", deleting)
    assert search_pages(actor=SYSTEM, query=text_query("turbine")).hits == ()


def test_a_search_that_takes_too_long_says_so(
    people: People, pages: list[Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres itself ends a statement, in whichever stage."""

    def slow(*args: Any, **named: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 20; SELECT pg_sleep(5)")

    monkeypatch.setattr("searchapp.search.search.lexical_search", slow)
    with pytest.raises(Unavailable) as caught:
        search_pages(actor=SYSTEM, query=text_query("turbine"))
    assert (caught.value.code, caught.value.status) == ("search_timeout", 503)


def test_another_fault_of_the_database_is_none_of_time(
    people: People, pages: list[Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **named: Any) -> Any:
        raise OperationalError("gone")

    monkeypatch.setattr("searchapp.search.search.lexical_search", broken)
    with pytest.raises(OperationalError):
        search_pages(actor=SYSTEM, query=text_query("turbine"))
