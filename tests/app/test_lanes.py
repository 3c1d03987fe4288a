"""Lanes of models that see, that read, and of both: units of a page, and one ranking of them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from embedding_engine import registry
from embedding_engine.types import Lane
from searchapp import indexing
from searchapp.access import SYSTEM
from searchapp.models import Page
from searchapp.models.indexes import index_active
from searchapp.search.query import text_query
from searchapp.search.search import search_pages
from searchapp.search.stages.fuse import fuse, lane_scores
from searchapp.search.types import LaneHit, LexicalHit
from tests.app.conftest import People, index_switch, ingested, pdf_make


def hits(*scores: float, first: int = 1) -> list[LaneHit]:
    """Pages `first`, `first` + 1, ... with these cosines, best first."""
    return [LaneHit(page, score, 0, 0) for page, score in enumerate(scores, start=first)]


def order(lanes: dict[str, list[LaneHit]]) -> list[int]:
    return [one.page_id for one in fuse(lanes, [])]


@pytest.mark.parametrize("lane", ["text", "image"])
def test_one_lane_alone_keeps_its_cosines(lane: str) -> None:
    lanes = {"image": [], "text": [], lane: hits(0.31, 0.12, -0.05)}
    assert [one.score for one in fuse(lanes, [])] == [0.31, 0.12, -0.05]
    words = [LexicalHit(3, 0.5)]
    assert {one.page_id: one.score for one in fuse(lanes, words)}[3] == pytest.approx(0.05)


def test_lanes_on_different_scales_are_compared_by_how_far_a_page_stands_out() -> None:
    """A picture that is clearly the right one is above texts that are all alike, and the other way
    round; by plain cosines texts would always win."""
    alike = hits(0.62, 0.61, 0.60, 0.59, 0.58, 0.57)
    clear = hits(0.21, 0.08, 0.07, 0.07, 0.06, 0.06, first=11)
    assert order({"text": alike, "image": clear})[0] == 11
    alike = hits(0.110, 0.109, 0.108, 0.107, 0.106, 0.105, first=11)
    clear = hits(0.81, 0.55, 0.54, 0.54, 0.53, 0.52)
    assert order({"text": clear, "image": alike})[0] == 1


def test_scale_and_offset_of_the_image_lane_do_not_matter() -> None:
    text, image = hits(0.6, 0.5, 0.3, 0.2, 0.1), [0.3, 0.25, 0.1, 0.05, 0.04]
    moved = [0.05 + score / 10 for score in image]
    orders = [order({"text": text, "image": hits(*found, first=6)}) for found in (image, moved)]
    assert orders[0] == orders[1]


def test_the_text_lane_is_the_reference_so_that_words_weigh_as_before() -> None:
    image = hits(0.25, 0.2, 0.15, 0.1, 0.05)
    found = lane_scores({"image": image, "text": hits(0.7, 0.6, 0.5, 0.4, 0.3)})
    assert found["text"] == pytest.approx([0.7, 0.6, 0.5, 0.4, 0.3])
    assert found["image"] == pytest.approx([0.7, 0.6, 0.5, 0.4, 0.3])


def test_equal_cosines_and_single_hits_divide_by_nothing() -> None:
    assert order({"text": hits(0.5), "image": hits(0.1, 0.1, first=2)}) == [1, 2, 3]
    assert order({"text": hits(0.5), "image": hits(0.1, first=2)}) == [1, 2]
    assert order({"text": hits(0.1), "image": hits(0.5, first=2)}) == [2, 1]


PHOTOS = (0.31, 0.12, 0.10, 0.09, 0.02)
TEXTS = (0.62, 0.55, 0.54, 0.52, 0.51)


@pytest.mark.parametrize("texts", [(0.05,), (0.05, 0.05), (0.05, 0.04, 0.05)])
def test_a_poor_text_in_a_photo_folder_flattens_nothing(texts: tuple[float, ...]) -> None:
    """Photos keep their cosines, and the texts their place among the poor ones."""
    found = lane_scores({"text": hits(*texts), "image": hits(*PHOTOS, first=11)})
    assert found["image"] == pytest.approx(PHOTOS)
    assert all(found["image"][3] > score > 0 for score in found["text"])


def test_a_text_that_says_nothing_by_its_cosine_stands_in_the_middle_of_the_photos() -> None:
    lanes = {"text": hits(0.6), "image": hits(*PHOTOS, first=11)}
    assert order(lanes) == [11, 1, 12, 13, 14, 15]
    # ... and rises by its words.
    assert fuse(lanes, [LexicalHit(1, 1.0)])[0].page_id == 1


def test_a_photo_above_all_texts_is_first_and_others_stand_in_the_middle() -> None:
    poor = hits(0.20, 0.19, 0.10, 0.05, 0.04)
    assert order({"text": poor, "image": hits(0.4, first=11)})[0] == 11
    assert order({"text": poor[:3], "image": hits(0.4, first=11)})[0] == 11
    texts = {"text": hits(*TEXTS)}
    assert order({**texts, "image": hits(0.2, first=11)}) == [1, 2, 11, 3, 4, 5]
    assert lane_scores({**texts, "image": hits(0.2, first=11)})["text"] == pytest.approx(TEXTS)


def test_of_few_photos_the_better_one_is_above_the_middle() -> None:
    lanes = {"text": hits(*TEXTS), "image": hits(0.3, 0.1, first=11)}
    good, bad = lane_scores(lanes)["image"]
    assert TEXTS[0] > good > TEXTS[1] > TEXTS[3] > bad


@pytest.fixture
def lanes_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Gives the model other lanes and an index of its own."""

    def change(*lanes: Lane) -> None:
        changed = replace(registry.MODELS["fake"], lanes=lanes)
        monkeypatch.setattr(registry, "MODELS", {**registry.MODELS, "fake": changed})
        index_switch("fake")

    return change


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("lanes", "with_text", "without"),
    [
        (("text",), {"text"}, {"text"}),
        (("image",), {"image"}, {"image"}),
        (("image", "text"), {"image", "text"}, {"image"}),
    ],
)
def test_units_of_pages_with_and_without_text(
    people: People,
    lanes_of: Callable[..., None],
    lanes: tuple[Lane, ...],
    with_text: set[str],
    without: set[str],
) -> None:
    lanes_of(*lanes)
    document = ingested(people, pdf_make(["A page with words on it.", ""]), "report.pdf")
    assert document.status == "ready"
    found = [
        {unit.lane for unit in indexing.page_units(page, index_active().space.spec)}
        for page in Page.objects.filter(document=document).order_by("number")
    ]
    assert found == [with_text, without]
    answer = search_pages(actor=SYSTEM, query=text_query("words"))
    assert {hit.page.number for hit in answer.hits} == {1, 2}


@pytest.mark.django_db
def test_a_page_without_picture_and_text_is_no_obstacle(
    people: People, lanes_of: Callable[..., None]
) -> None:
    lanes_of("image")
    document = ingested(people, pdf_make(["one", "two"]), "report.pdf")
    Page.objects.filter(document=document, number=2).update(
        image="", text="", step="embed", state="waiting"
    )
    assert indexing.embed_next() is True
    assert set(document.pages.values_list("state", flat=True)) == {"done"}
