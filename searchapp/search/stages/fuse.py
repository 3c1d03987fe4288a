"""Lanes, words and picture matches into one ranking, each hit with a band. Reads no rows.

A page's meaning is its best cosine: of its text, the mean of its best window's and best passage's;
of its picture, brought to the scale of texts (`Background`). In spreads of that scale it is then
lifted by its words: by the share of the query's words it holds and how often, once more when it
holds all of them, and by a part number or code. A picture match that is sure goes first. What each
is worth, and what else was tried: docs/decisions/0005-fusion.md.

Bands say how far a page stands above what a query that nothing answers finds at best.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from searchapp.search.types import (
    Background,
    Band,
    LaneHit,
    LexicalHit,
    PictureHit,
    Ranked,
    Scale,
)

# In spreads of the background: 3 are 0.25 in cosines of the built-in model.
SHARE_WEIGHT = 3.0
ALL_WORDS_WEIGHT = 3.0
CODE_WEIGHT = 3.0
# More than any meaning and words: the best cosine lies some 9 above the background.
PICTURE_WEIGHT = 40.0
SURE_PICTURE = 0.5

LIKELY = 0.75
STRONG = 2.0
# A strong hit is no more than this below the best one.
STRONG_GAP = 0.5

# Of the built-in model; for an index of which no background is known.
_UNKNOWN = Scale(0.3, 0.08)


@dataclass(slots=True)
class _Found:
    """What is known of a page: by lane its cosine, its words, its picture match."""

    cosines: dict[str, float] = field(default_factory=dict)
    words: LexicalHit | None = None
    picture: PictureHit | None = None
    reasons: dict[str, object] = field(default_factory=dict)


def fuse(
    lanes: Mapping[str, Sequence[LaneHit]],
    lexical: Sequence[LexicalHit],
    background: Background,
    pictures: Sequence[PictureHit] = (),
) -> list[Ranked]:
    """All pages of all lists, best first. `reasons` hold ranks and the lanes' own cosines.

    Scores are cosines of the text lane (of the image lane where there are no texts), raised by
    words and pictures; they may be compared within one answer.
    """
    found = _collected(lanes, lexical, pictures)
    scale = background.lanes.get("text") or background.lanes.get("image") or _UNKNOWN
    height = {page_id: _height(page, background, scale) for page_id, page in found.items()}
    order = sorted(height, key=lambda page_id: (-height[page_id], page_id))
    best = height[order[0]] if order else 0.0
    return [
        Ranked(
            page_id,
            round(scale.mean + scale.spread * height[page_id], 6),
            found[page_id].reasons,
            _band(height[page_id], best),
        )
        for page_id in order
    ]


def _collected(
    lanes: Mapping[str, Sequence[LaneHit]],
    lexical: Sequence[LexicalHit],
    pictures: Sequence[PictureHit],
) -> dict[int, _Found]:
    found: dict[int, _Found] = {}
    for lane, hits in lanes.items():
        for rank, hit in enumerate(hits, start=1):
            page = found.setdefault(hit.page_id, _Found())
            page.cosines[lane] = hit.score
            score = round(hit.score, 4)
            page.reasons[lane] = {"rank": rank, "score": score, "hamming": hit.distance}
    for rank, words in enumerate(lexical, start=1):
        page = found.setdefault(words.page_id, _Found())
        page.words = words
        score = round(words.share, 4)
        page.reasons["words"] = {"rank": rank, "score": score, "found": list(words.words)}
    for rank, picture in enumerate(pictures, start=1):
        page = found.setdefault(picture.page_id, _Found())
        page.picture = picture
        score = round(picture.score, 4)
        page.reasons["picture"] = {"rank": rank, "score": score, "points": picture.inliers}
    return found


def _height(page: _Found, background: Background, scale: Scale) -> float:
    """How many spreads the page stands above the background."""
    height = _meaning(page.cosines, background, scale)
    if page.words:
        share = page.words.share
        height += SHARE_WEIGHT * share * page.words.density + ALL_WORDS_WEIGHT * share**4
        height += CODE_WEIGHT * has_code(page.words.words)
    if page.picture and page.picture.score >= SURE_PICTURE:
        height = max(height, 0.0) + PICTURE_WEIGHT * page.picture.score
    return height


def _meaning(cosines: Mapping[str, float], background: Background, scale: Scale) -> float:
    """The better of text and picture, each by its own background; 0 cosine for neither."""
    heights = []
    if "text" in cosines:
        text = (cosines["text"] + cosines.get("passage", cosines["text"])) / 2
        heights.append(_above(text, background.lanes.get("text", scale)))
    if "image" in cosines:
        heights.append(_above(cosines["image"], background.lanes.get("image", scale)))
    return max(heights, default=_above(0.0, scale))


def _above(cosine: float, scale: Scale) -> float:
    return (cosine - scale.mean) / scale.spread


def _band(height: float, best: float) -> Band:
    if height >= STRONG and height >= best - STRONG_GAP:
        return "strong"
    return "likely" if height >= LIKELY else "weak"


def has_code(words: Iterable[str]) -> bool:
    """Whether one of them looks like a part number or an error code; a year does not."""
    return any(_is_code(word) for word in words)


def _is_code(word: str) -> bool:
    if word.isdecimal():
        return len(word) >= 4 and not (len(word) == 4 and word[:2] in {"19", "20"})
    return len(word) >= 3 and any(map(str.isdecimal, word)) and any(map(str.isalpha, word))
