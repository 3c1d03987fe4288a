"""Lanes, words and picture matches into one ranking, each hit with a band. Reads no rows.

A page's meaning is its best cosine: of its text, the mean of its best window's and best passage's;
of its picture, brought to the scale of texts (`Background`). In spreads of that scale it is then
lifted by its words: by the share of the query's words it holds and how often, once more as far as
a rare word of the query is among them, and by a part number or code. A picture match that is sure
goes first. What each is worth, and what else was tried: docs/decisions/0005-fusion.md.

Bands say how far a page stands above what a query that nothing answers finds at best. Words that
many pages have make none strong whose meaning does not agree, and a title alone means nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from searchapp.search.types import (
    Background,
    Band,
    LaneHit,
    LexicalHit,
    PictureHit,
    Question,
    Ranked,
    Scale,
)

# In spreads of the background: 3 are 0.25 in cosines of the built-in model.
SHARE_WEIGHT = 3.0
RARE_WEIGHT = 3.0
CODE_WEIGHT = 3.0
# More than any meaning and words: the best cosine lies some 9 above the background.
PICTURE_WEIGHT = 40.0
SURE_PICTURE = 0.5

LIKELY = 0.75
STRONG = 2.0
# A strong hit is no more than this below the best one.
STRONG_GAP = 0.5
# A page that holds the word that most of the query hangs on need not mean the same.
RARE = 0.5

# Of the built-in model; for an index of which no background is known.
_UNKNOWN = Scale(0.3, 0.08)


@dataclass(slots=True)
class _Found:
    """What is known of a page: by lane its cosine, its words, its picture match."""

    cosines: dict[str, float] = field(default_factory=dict)
    words: list[LexicalHit] = field(default_factory=list)
    picture: PictureHit | None = None
    reasons: dict[str, dict[str, object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Height:
    """In spreads above the background: meaning, and what words and picture add to it.

    is_blank: the page has no text, so that the meaning is its title's. is_exact: what was asked for
    stands there literally or is shown.
    """

    meaning: float
    lift: float
    is_blank: bool
    is_exact: bool

    @property
    def total(self) -> float:
        return self.meaning + self.lift

    @property
    def fit(self) -> float:
        """What its band hangs on."""
        return (min(self.meaning, 0.0) if self.is_blank else self.meaning) + self.lift

    @property
    def is_agreed(self) -> bool:
        """Whether it may be strong: it means what is asked, or holds or shows just that."""
        return self.is_exact or (not self.is_blank and self.meaning >= LIKELY)


def fuse(
    lanes: Mapping[str, Sequence[LaneHit]],
    lexical: Sequence[LexicalHit],
    background: Background,
    pictures: Sequence[PictureHit] = (),
    *,
    question: Question | None = None,
    blank: Collection[int] = (),
) -> list[Ranked]:
    """All pages of all lists, best first. `reasons` hold ranks and the lanes' own cosines.

    blank: ids of pages without text. A page may be in `lexical` more than once, by words of
    different weight.

    Scores are cosines of the text lane (of the image lane where there are no texts), raised by
    words and pictures; they may be compared within one answer.
    """
    found = _collected(lanes, lexical, pictures)
    scale = background.lanes.get("text") or background.lanes.get("image") or _UNKNOWN
    question = question or Question()
    heights = {
        page_id: _height(page, background, scale, question, is_blank=page_id in blank)
        for page_id, page in found.items()
    }
    best = max((height.fit for height in heights.values()), default=0.0)
    return [
        Ranked(
            page_id,
            round(scale.mean + scale.spread * height.total, 6),
            {**found[page_id].reasons},
            _band(height, best) if question.is_telling else "weak",
        )
        for page_id, height in sorted(heights.items(), key=lambda one: (-one[1].total, one[0]))
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
        page.words.append(words)
        held = list(dict.fromkeys(word for hit in page.words for word in hit.words))
        score = round(sum(hit.weight * hit.share for hit in page.words), 4)
        page.reasons.setdefault("words", {"rank": rank}).update(score=score, found=held)
    for rank, picture in enumerate(pictures, start=1):
        page = found.setdefault(picture.page_id, _Found())
        page.picture = picture
        score = round(picture.score, 4)
        page.reasons["picture"] = {"rank": rank, "score": score, "points": picture.inliers}
    return found


def _height(
    page: _Found, background: Background, scale: Scale, question: Question, *, is_blank: bool
) -> _Height:
    meaning = _meaning(page.cosines, background, scale)
    lift = sum(hit.weight * _lift(hit) for hit in page.words)
    is_shown = page.picture is not None and page.picture.score >= SURE_PICTURE
    if page.picture and is_shown:
        shown = question.picture_weight * PICTURE_WEIGHT * page.picture.score
        lift = shown + max(lift, -meaning)
    is_held = any(hit.weight * hit.rarity >= RARE or has_code(hit.words) for hit in page.words)
    return _Height(
        meaning,
        lift,
        # Its picture says what a title cannot.
        is_blank=is_blank and "image" not in page.cosines,
        is_exact=is_shown or is_held or question.is_quoted,
    )


def _lift(hit: LexicalHit) -> float:
    return (
        SHARE_WEIGHT * hit.share * hit.density
        + RARE_WEIGHT * hit.share**2 * hit.rarity
        + CODE_WEIGHT * has_code(hit.words)
    )


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


def _band(height: _Height, best: float) -> Band:
    if height.fit >= STRONG and height.fit >= best - STRONG_GAP and height.is_agreed:
        return "strong"
    return "likely" if height.fit >= LIKELY else "weak"


def has_code(words: Iterable[str]) -> bool:
    """Whether one of them looks like a part number or an error code; a year does not."""
    return any(_is_code(word) for word in words)


def _is_code(word: str) -> bool:
    if word.isdecimal():
        return len(word) >= 4 and not (len(word) == 4 and word[:2] in {"19", "20"})
    return len(word) >= 3 and any(map(str.isdecimal, word)) and any(map(str.isalpha, word))
