"""Why a page was found, in words, and in figures for those who want them. Knows no rows."""

from collections.abc import Iterator, Mapping
from typing import Any

from searchapp.search.stages.fuse import SURE_PICTURE
from searchapp.search.types import Hit

# A page that many others beat in a lane was not found for it.
_TELLING_RANK = 10
_WORDS_SHOWN = 3
_LANES = {"text": "meaning", "image": "look"}


def reason_line(reasons: Mapping[str, Any]) -> str:
    """`Its words: battery, storm · meaning: 2nd`, or `Shows your picture`; "" when nothing tells.

    Keys: lanes (text, image: `rank`), `words` (`rank`, `found`), `picture`.
    """
    said = list(_said(reasons))
    return " · ".join([said[0][0].upper() + said[0][1:], *said[1:]]) if said else ""


def _said(reasons: Mapping[str, Any]) -> Iterator[str]:
    picture = reasons.get("picture")
    if isinstance(picture, Mapping) and picture["score"] >= SURE_PICTURE:
        yield "shows your picture"
    if found := _telling_words(reasons.get("words")):
        yield "its words: " + ", ".join(found[:_WORDS_SHOWN])
    for lane, name in _LANES.items():
        rank = _rank(reasons.get(lane))
        if rank is not None and rank <= _TELLING_RANK:
            yield f"{name}: {ordinal(rank)}"


def _telling_words(words: object) -> list[str]:
    """The words found, without single letters and digits, of which pictures are full."""
    found = words.get("found", ()) if isinstance(words, Mapping) else ()
    return [word for word in found if len(word) > 1 or not word.isascii()]


def _rank(lane: object) -> int | None:
    return int(lane["rank"]) if isinstance(lane, Mapping) and "rank" in lane else None


def reason_details(hit: Hit) -> tuple[tuple[str, str], ...]:
    """Names and figures: all that the stages noted about this hit."""
    rows = [("match", hit.band), ("score", f"{hit.score:.3f}")]
    for key, value in hit.reasons.items():
        name = _LANES.get(key, key)
        rows.append((name, _figures(value)))
    return tuple(rows)


def _figures(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_figures(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th ... 11th, 21st."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
