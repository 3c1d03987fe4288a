"""Lanes and words into one ranking.

A page's score is its best cosine plus WORDS_WEIGHT times the share of the query's words it holds:
meaning is the backbone, and an exact rare term lifts its page. What was tried and measured is in
docs/experiments.md.
"""

from collections.abc import Mapping, Sequence

from searchapp.search.types import LaneHit, LexicalHit, Ranked

WORDS_WEIGHT = 0.2


def fuse(lanes: Mapping[str, Sequence[LaneHit]], lexical: Sequence[LexicalHit]) -> list[Ranked]:
    """All pages of all lists, best first."""
    scores: dict[int, float] = {}
    reasons: dict[int, dict[str, object]] = {}
    for lane, hits in lanes.items():
        for rank, hit in enumerate(hits, start=1):
            scores[hit.page_id] = max(scores.get(hit.page_id, -1.0), hit.score)
            reasons.setdefault(hit.page_id, {})[lane] = {
                "rank": rank,
                "score": round(hit.score, 4),
                "hamming": hit.distance,
            }
    for rank, word in enumerate(lexical, start=1):
        scores[word.page_id] = scores.get(word.page_id, 0.0) + WORDS_WEIGHT * word.share
        reasons.setdefault(word.page_id, {})["words"] = {
            "rank": rank,
            "score": round(word.share, 4),
            "found": list(word.words),
        }
    order = sorted(scores, key=lambda page_id: (-scores[page_id], page_id))
    return [Ranked(page_id, round(scores[page_id], 6), reasons[page_id]) for page_id in order]
