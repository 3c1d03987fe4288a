"""How well questions were answered: hit@k, nDCG@10, MRR, recall@10, by group. Asks nothing.

nDCG with binary gains and log2 discounts (Järvelin and Kekäläinen 2002); MRR is of the first
relevant page within DEPTH; recall@10 is the share of a question's relevant pages within DEPTH.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from searchapp.evaluation.questions import HALVES

DEPTH = 10
MEASURES = ("hit@1", "hit@5", "ndcg@10", "mrr", "recall@10")
# Kinds whose queries are pictures, or about pictures without words.
_PICTURE_KINDS = frozenset({"photo", "image-query", "picture"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one question went: `ranks` are those of its relevant pages within DEPTH, from 1.

    relevant: how many pages answer it; bad: how many hits were judged to be no answer. language and
    file_type are those of the page that answers; half as `questions.half_of`.
    """

    id: str
    kind: str
    ranks: tuple[int, ...]
    relevant: int
    ms: float
    language: str = "unknown"
    file_type: str = "unknown"
    half: str = HALVES[0]
    bad: int = 0

    @property
    def ndcg(self) -> float:
        """nDCG at DEPTH, 0 to 1; 0 when nothing is known to answer."""
        ideal = sum(1 / math.log2(i + 1) for i in range(1, min(self.relevant, DEPTH) + 1))
        return sum(1 / math.log2(rank + 1) for rank in self.ranks) / ideal if ideal else 0.0

    @property
    def reciprocal(self) -> float:
        """One over the rank of the first relevant page; 0 when there is none."""
        return 1 / self.ranks[0] if self.ranks else 0.0

    def hit(self, depth: int) -> float:
        """1 when a relevant page is among the first `depth`."""
        return float(bool(self.ranks) and self.ranks[0] <= depth)


Figures = dict[str, float]


def figures_of(outcomes: Sequence[Outcome]) -> Figures:
    """The means over the questions that some page answers, and bad@10 over all of them."""
    answered = [outcome for outcome in outcomes if outcome.relevant]
    table: Figures = {"queries": len(answered)}
    if answered:
        table |= {
            "hit@1": round(fmean(o.hit(1) for o in answered), 4),
            "hit@5": round(fmean(o.hit(5) for o in answered), 4),
            "ndcg@10": round(fmean(o.ndcg for o in answered), 4),
            "mrr": round(fmean(o.reciprocal for o in answered), 4),
            "recall@10": round(fmean(len(o.ranks) / o.relevant for o in answered), 4),
        }
    return table | {"bad@10": sum(outcome.bad for outcome in outcomes)}


def figures_by(outcomes: Iterable[Outcome], group: Callable[[Outcome], str]) -> dict[str, Figures]:
    """The figures of each group, by name."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(group(outcome), []).append(outcome)
    return {name: figures_of(groups[name]) for name in sorted(groups)}


def kind_groups(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """The questions by kind; `all text` joins the kinds that words answer."""
    kinds = sorted({outcome.kind for outcome in outcomes})
    groups = {kind: [o for o in outcomes if o.kind == kind] for kind in kinds}
    words = [outcome for outcome in outcomes if outcome.kind not in _PICTURE_KINDS]
    if words:
        groups["all text"] = words
    return groups


def report(outcomes: Sequence[Outcome], *, half: str = "") -> dict[str, Any]:
    """All figures as JSON can hold them: by kind, language, type and half, latency, each query.

    half: bounds what is told by kind, language and type to one half; the two halves are always
    told beside each other.
    """
    chosen = [outcome for outcome in outcomes if half in ("", outcome.half)]
    return {
        "half": half or "both",
        "kinds": {kind: figures_of(group) for kind, group in kind_groups(chosen).items()},
        "languages": figures_by(chosen, lambda outcome: outcome.language),
        "types": figures_by(chosen, lambda outcome: outcome.file_type),
        "halves": _halves(outcomes),
        "latency_ms": _latency(chosen),
        "queries": [_row(outcome) for outcome in chosen],
    }


def _halves(outcomes: Sequence[Outcome]) -> dict[str, Figures]:
    """Of the questions that words answer, where there are any."""
    words = kind_groups(outcomes).get("all text", list(outcomes))
    return figures_by(words, lambda outcome: outcome.half)


def _latency(outcomes: Sequence[Outcome]) -> Figures:
    words = sorted(o.ms for o in outcomes if o.kind not in {"image-query", "picture"})
    if not words:
        return {}
    return {"p50": round(median(words), 1), "p95": round(words[int(0.95 * (len(words) - 1))], 1)}


def _row(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": outcome.id,
        "kind": outcome.kind,
        "half": outcome.half,
        "language": outcome.language,
        "type": outcome.file_type,
        "ranks": list(outcome.ranks),
        "relevant": outcome.relevant,
        "ndcg@10": round(outcome.ndcg, 4),
        "bad@10": outcome.bad,
    }
