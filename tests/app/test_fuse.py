"""Fusion against arithmetic done by hand: one lane, both, words, codes, pictures, bands."""

import pytest

from searchapp.search.stages.fuse import fuse, has_code
from searchapp.search.types import (
    Background,
    LaneHit,
    LexicalHit,
    PictureHit,
    Question,
    Ranked,
    Scale,
)

# Text: 0.3 is what a query that nothing answers finds, 0.1 its spread; pictures: 0.2 and 0.02.
BACKGROUND = Background({"text": Scale(0.3, 0.1), "image": Scale(0.2, 0.02)})


def hits(*scores: float, first: int = 1) -> list[LaneHit]:
    """Pages `first`, `first` + 1, ... with these cosines."""
    return [LaneHit(page, score, 0, 0) for page, score in enumerate(scores, start=first)]


def scores(ranked: list[Ranked]) -> dict[int, float]:
    return {one.page_id: one.score for one in ranked}


def order(ranked: list[Ranked]) -> list[int]:
    return [one.page_id for one in ranked]


def test_a_text_is_its_window_and_its_best_passage_half_each() -> None:
    lanes = {"text": hits(0.5, 0.4), "passage": hits(0.7)}
    assert scores(fuse(lanes, [], BACKGROUND)) == pytest.approx({1: 0.6, 2: 0.4})


@pytest.mark.parametrize("lane", ["text", "image"])
def test_one_lane_alone_keeps_its_cosines(lane: str) -> None:
    alone = Background({lane: Scale(0.3, 0.1)})
    found = fuse({lane: hits(0.31, 0.12, -0.05)}, [], alone)
    assert scores(found) == pytest.approx({1: 0.31, 2: 0.12, 3: -0.05})


def test_pictures_are_brought_to_the_scale_of_texts() -> None:
    """0.26 is three spreads above the background of pictures, as 0.6 is of texts."""
    found = fuse({"text": hits(0.5), "image": hits(0.26, first=2)}, [], BACKGROUND)
    assert scores(found) == pytest.approx({1: 0.5, 2: 0.6})
    assert order(found) == [2, 1]


def test_of_text_and_picture_the_better_counts() -> None:
    found = fuse({"text": hits(0.5, 0.2), "image": hits(0.20, 0.23)}, [], BACKGROUND)
    assert scores(found) == pytest.approx({1: 0.5, 2: 0.45})


def test_words_lift_by_their_share_and_once_more_as_far_as_one_is_rare() -> None:
    """0.3 x share + 0.3 x share^2 x rarity, as a spread is 0.1."""
    words = [LexicalHit(1, 0.5, ("seal",)), LexicalHit(2, 1.0, ("seal", "pump"), rarity=0.25)]
    found = fuse({"text": hits(0.5, 0.5, 0.5)}, words, BACKGROUND)
    assert scores(found) == pytest.approx({1: 0.5 + 0.15 + 0.075, 2: 0.5 + 0.3 + 0.075, 3: 0.5})


def test_a_word_that_is_rare_goes_before_meaning_and_common_ones_do_not() -> None:
    lanes = {"text": hits(0.8, 0.3)}
    rare, common = (
        fuse(lanes, [LexicalHit(2, 1.0, ("zorvex",), 0.8, rarity)], BACKGROUND)
        for rarity in (1.0, 0.3)
    )
    assert order(rare) == [2, 1]
    assert rare[0].band == "strong"
    assert order(common) == [1, 2]


def test_words_that_many_pages_have_are_likely_unless_the_meaning_agrees() -> None:
    """0.37 is 0.7 spreads above the background, 0.38 is 0.8."""
    words = [LexicalHit(1, 1.0, ("customer", "phone"), rarity=0.49)]
    held = [LexicalHit(1, 1.0, ("customer", "phone"), rarity=0.5)]
    code = [LexicalHit(1, 0.5, ("ab1234",), rarity=0.1)]
    quoted = Question(is_quoted=True)
    assert fuse({"text": hits(0.37)}, words, BACKGROUND)[0].band == "likely"
    assert fuse({"text": hits(0.38)}, words, BACKGROUND)[0].band == "strong"
    assert fuse({"text": hits(0.37)}, held, BACKGROUND)[0].band == "strong"
    assert fuse({"text": hits(0.37)}, code, BACKGROUND)[0].band == "strong"
    assert fuse({"text": hits(0.37)}, words, BACKGROUND, question=quoted)[0].band == "strong"


def test_a_title_alone_fits_by_its_words_only() -> None:
    """Its rank stays; the cosine of a title says too little."""
    lanes = {"text": hits(0.9, 0.7)}
    found = fuse(lanes, [], BACKGROUND, blank={1})
    assert [(one.page_id, one.band) for one in found] == [(1, "weak"), (2, "strong")]
    named = [LexicalHit(1, 0.5, ("plan",), rarity=0.2)]
    assert fuse({"text": hits(0.9)}, named, BACKGROUND, blank={1})[0].band == "likely"
    seen = {"text": hits(0.2), "image": hits(0.3)}
    assert fuse(seen, [], BACKGROUND, blank={1})[0].band == "strong"


def test_a_query_that_asks_nothing_is_answered_by_nothing() -> None:
    asked = Question(is_telling=False)
    assert [r.band for r in fuse({"text": hits(0.9)}, [], BACKGROUND, question=asked)] == ["weak"]


def test_words_and_picture_weigh_what_they_are_given() -> None:
    """A page that has the words and one that shows the picture change places once, gradually."""
    gaps = []
    for weight in (0.0, 0.1, 0.25, 0.5, 0.75, 1.0):
        words = [LexicalHit(1, 1.0, ("seal",), weight=1 - weight)]
        pictures = [PictureHit(2, 0.5, 12)]
        asked = Question(picture_weight=weight)
        found = scores(fuse({"text": hits(0.8, 0.3)}, words, BACKGROUND, pictures, question=asked))
        gaps.append(found[2] - found[1])
    assert gaps == sorted(gaps)
    assert gaps[0] == pytest.approx(-1.1)
    assert gaps[1] == pytest.approx(0.3 + 0.2 - 0.8 - 0.9 * 0.6)
    assert gaps[-1] > 0


def test_words_of_two_weights_add_up() -> None:
    words = [LexicalHit(1, 1.0, ("seal",), weight=0.75), LexicalHit(1, 0.4, ("pump",), weight=0.25)]
    (found,) = fuse({"text": hits(0.5)}, words, BACKGROUND)
    assert found.score == pytest.approx(0.5 + 0.75 * 0.6 + 0.25 * (0.12 + 0.048))
    assert found.reasons["words"] == {"rank": 1, "score": 0.85, "found": ["seal", "pump"]}


def test_words_that_stand_more_often_lift_more() -> None:
    words = [LexicalHit(1, 0.5, ("seal",), density=0.8), LexicalHit(2, 0.5, ("seal",), density=0.9)]
    found = scores(fuse({"text": hits(0.3, 0.3)}, words, BACKGROUND))
    assert found[2] - found[1] == pytest.approx(3 * 0.5 * 0.1 * 0.1)


def test_a_code_goes_before_meaning_though_it_is_one_word_of_many() -> None:
    words = [
        LexicalHit(2, 0.4, ("ab1234",)),
        LexicalHit(1, 0.6, ("error", "code"), rarity=0.2),
    ]
    found = fuse({"text": hits(0.55, 0.35)}, words, BACKGROUND)
    assert order(found) == [2, 1]
    assert scores(found)[2] == pytest.approx(0.35 + 0.12 + 0.3 * 0.4**2 + 0.3, abs=1e-6)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("ab1234", True),
        ("0x80070057", True),
        ("1603", True),
        ("h264", True),
        ("2024", False),
        ("1987", False),
        ("42", False),
        ("a4", False),
        ("turbine", False),
        ("数据", False),
    ],
)
def test_what_is_a_code(word: str, expected: bool) -> None:
    assert has_code(["other", word]) is expected


def test_a_sure_picture_is_first_and_an_unsure_one_changes_nothing() -> None:
    """Also one that no lane found, before a page of cosine 1 with every word and a code."""
    lanes = {"text": hits(1.0, 0.2)}
    words = [LexicalHit(1, 1.0, ("ab1234",))]
    pictures = [PictureHit(3, 0.5, 12), PictureHit(2, 0.49, 11)]
    found = fuse(lanes, words, BACKGROUND, pictures)
    assert order(found) == [3, 1, 2]
    assert scores(found)[2] == pytest.approx(0.2)
    assert found[0].band == "strong"
    assert found[0].reasons == {"picture": {"rank": 1, "score": 0.5, "points": 12}}
    both = [PictureHit(3, 0.5, 12), PictureHit(2, 0.9, 40)]
    assert order(fuse(lanes, words, BACKGROUND, both)) == [2, 3, 1]


def test_a_page_that_has_only_words_counts_as_cosine_0() -> None:
    found = fuse({"text": hits(0.5)}, [LexicalHit(2, 0.5)], BACKGROUND)
    assert scores(found) == pytest.approx({1: 0.5, 2: 0.225})


def test_reasons_tell_ranks_and_the_lanes_own_cosines() -> None:
    lanes = {"text": [LaneHit(7, 0.51234, 300, 0)], "image": [LaneHit(7, 0.2, 400, 0)]}
    (found,) = fuse(lanes, [LexicalHit(7, 1.0, ("seal",))], BACKGROUND)
    assert found.reasons == {
        "text": {"rank": 1, "score": 0.5123, "hamming": 300},
        "image": {"rank": 1, "score": 0.2, "hamming": 400},
        "words": {"rank": 1, "score": 1.0, "found": ["seal"]},
    }


def test_bands_are_heights_above_the_background_and_strong_ones_are_near_the_best() -> None:
    """Strong from 2 spreads and within half a spread of the best, likely from 0.75."""
    found = fuse({"text": hits(0.60, 0.56, 0.54, 0.375, 0.37)}, [], BACKGROUND)
    assert [one.band for one in found] == ["strong", "strong", "likely", "likely", "weak"]
    assert fuse({"text": hits(0.49)}, [], BACKGROUND)[0].band == "likely"
    assert fuse({"text": hits(0.37)}, [], BACKGROUND)[0].band == "weak"


def test_equal_scores_are_in_the_order_of_pages_and_nothing_gives_nothing() -> None:
    assert order(fuse({"text": hits(0.5, 0.5, 0.5)}, [], BACKGROUND)) == [1, 2, 3]
    assert fuse({}, [], Background({})) == []
    assert order(fuse({"text": hits(0.2, 0.4)}, [], Background({}))) == [2, 1]


def test_of_sure_pictures_the_surer_goes_first_whatever_its_page_means() -> None:
    shows = [PictureHit(1, 0.6, 20), PictureHit(2, 0.55, 18)]
    lanes = {"text": hits(-1.0, BACKGROUND.lanes["text"].mean)}
    assert [one.page_id for one in fuse(lanes, [], BACKGROUND, shows)] == [1, 2]
