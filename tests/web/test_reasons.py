"""Why a page was found: words first, figures only for those who open them."""

import pytest

from searchapp.models import Page
from searchapp.search.types import Hit
from searchapp.web.reasons import ordinal, reason_details, reason_line


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        (
            {
                "text": {"rank": 2, "score": 0.6172},
                "words": {"rank": 1, "score": 0.1, "found": ["battery", "storm"]},
            },
            "Its words: battery, storm · meaning: 2nd",
        ),
        ({"picture": {"rank": 1, "score": 0.9, "points": 40}}, "Shows your picture"),
        ({"picture": {"rank": 2, "score": 0.1, "points": 4}}, ""),
        ({"image": {"rank": 1, "score": 0.4}}, "Look: 1st"),
        ({"text": {"rank": 11, "score": 0.4}}, ""),
        ({"words": {"rank": 3, "score": 0.4, "found": []}}, ""),
        (
            {"words": {"rank": 1, "found": ["1", "ab", "x", "cd", "海", "gh"]}},
            "Its words: ab, cd, 海",
        ),
        ({"filters": ["tags"]}, ""),
    ],
)
def test_reason_lines(reasons: dict[str, object], said: str) -> None:
    assert reason_line(reasons) == said


def test_details_hold_every_figure() -> None:
    reasons: dict[str, object] = {
        "text": {"rank": 2, "score": 0.61724},
        "words": {"found": ["storm", "sea"]},
        "filters": ["tags", "types"],
    }
    hit = Hit(1, 0.81256, Page(), "", reasons, band="strong")
    assert reason_details(hit) == (
        ("match", "strong"),
        ("score", "0.813"),
        ("meaning", "rank 2, score 0.617"),
        ("words", "found storm, sea"),
        ("filters", "tags, types"),
    )


def test_ordinals() -> None:
    numbers = (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)
    said = "1st 2nd 3rd 4th 11th 12th 13th 21st 102nd 111th"
    assert " ".join(ordinal(number) for number in numbers) == said
