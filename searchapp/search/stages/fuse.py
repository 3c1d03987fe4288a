"""Lanes and words into one ranking.

Cosines of the text lane are the backbone; the words add at most LEXICAL_WEIGHT, scaled by the best
word rank of this query, so that an exact rare term lifts a page without burying meaning. What was
measured is in docs/experiments.md.
"""

from collections.abc import Mapping, Sequence

from searchapp.search.types import LaneHit, LexicalHit, Ranked

LEXICAL_WEIGHT = 0.1


def fuse(lanes: Mapping[str, Sequence[LaneHit]], lexical: Sequence[LexicalHit]) -> list[Ranked]:
    """All pages of all lists, best first. Scores are comparable within one answer only."""
    top = max((hit.rank for hit in lexical), default=0.0) or 1.0
    scores: dict[int, float] = {}
    reasons: dict[int, dict[str, object]] = {}
    for lane, hits in lanes.items():
        for rank, hit in enumerate(hits, start=1):
            scores[hit.page_id] = max(scores.get(hit.page_id, 0.0), hit.score)
            reasons.setdefault(hit.page_id, {})[lane] = {
                "rank": rank,
                "score": round(hit.score, 4),
                "hamming": hit.distance,
            }
    for rank, word in enumerate(lexical, start=1):
        scores[word.page_id] = scores.get(word.page_id, 0.0) + LEXICAL_WEIGHT * word.rank / top
        reasons.setdefault(word.page_id, {})["words"] = {"rank": rank, "score": round(word.rank, 4)}
    order = sorted(scores, key=lambda page_id: (-scores[page_id], page_id))
    return [Ranked(page_id, round(scores[page_id], 6), reasons[page_id]) for page_id in order]
