"""Two runs of the same questions, side by side: figures, wins and losses, and whether chance alone
would do as much. Asks nothing.

Sign test: two-sided, exact, over questions that differ (Dixon and Mood 1946, J. of the American
Statistical Association 41). Interval: percentile bootstrap of the mean of the paired differences
(Efron and Tibshirani 1993, chapter 13; for retrieval: Sakai, SIGIR 2006), seeded, so that a report
can be repeated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np

from searchapp.errors import InvalidInput
from searchapp.evaluation.asking import Question, Run, Setting, questions_ask, setting_described
from searchapp.evaluation.figures import MEASURES, Figures, Outcome, figures_of, kind_groups
from searchapp.evaluation.questions import HALVES

_RESAMPLES = 10_000
_SEED = 20_261_121
# Differences below this are rounding.
_EQUAL = 1e-9
_SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Contest:
    """The questions of one kind in two runs, by nDCG@10; `wins` are those of the second.

    difference: second minus first, with its 95 % interval (low, high). p: of the sign test.
    """

    first: Figures
    second: Figures
    wins: int
    losses: int
    ties: int
    difference: float
    low: float
    high: float
    p: float

    @property
    def is_clear(self) -> bool:
        """Whether chance is a poor explanation: the sign test and the interval agree."""
        return self.p < _SIGNIFICANT and not self.low <= 0 <= self.high


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs and what differs, by kind; `all` joins the kinds, `half A` and `half B` are those
    of the documents (`questions.half_of`)."""

    first: Run
    second: Run
    kinds: dict[str, Contest]

    @property
    def verdict(self) -> str:
        """One sentence about all questions that warns of reading too much into few."""
        contest = self.kinds["all"]
        where = f"nDCG@10 {contest.difference:+.4f} [{contest.low:+.4f}, {contest.high:+.4f}]"
        decided = contest.wins + contest.losses
        if decided == 0:
            return f"No difference: all {contest.ties} questions are answered alike."
        if contest.is_clear:
            better = "second" if contest.difference > 0 else "first"
            return f"The {better} is better: {where}, sign test p = {contest.p:.3g}."
        return (
            f"Not decided: {where}, sign test p = {contest.p:.3g} over the {decided} questions "
            "that differ; chance may do as much."
        )


def compare(questions: Sequence[Question], first: Setting, second: Setting) -> Comparison:
    """Ask the questions with both settings. Raises InvalidInput `no_queries`, NotFound."""
    if not questions:
        raise InvalidInput("no_queries", "There are no judged queries to compare by.")
    return runs_compare(questions_ask(questions, first), questions_ask(questions, second))


def runs_compare(first: Run, second: Run) -> Comparison:
    """Both runs have the same questions in the same order, as `questions_ask` leaves them.

    Questions that no page is known to answer have no nDCG and are left out.
    """
    pairs = [pair for pair in zip(first.outcomes, second.outcomes, strict=True) if pair[0].relevant]
    if any(one.id != other.id for one, other in pairs):
        raise ValueError("the runs are of different questions")
    if not pairs:
        raise InvalidInput("no_queries", "No judged query has a page that answers it.")
    after = {one.id: other for one, other in pairs}
    asked = [one for one, _ in pairs]
    halves = {f"half {half}": [one for one in asked if one.half == half] for half in HALVES}
    groups = kind_groups(asked) | {name: half for name, half in halves.items() if half}
    groups["all"] = asked
    kinds = {kind: _contest(group, [after[o.id] for o in group]) for kind, group in groups.items()}
    return Comparison(first, second, kinds)


def _contest(before: Sequence[Outcome], after: Sequence[Outcome]) -> Contest:
    differences = np.array([b.ndcg - a.ndcg for a, b in zip(before, after, strict=True)])
    wins = int((differences > _EQUAL).sum())
    losses = int((differences < -_EQUAL).sum())
    low, high = bootstrap_interval(differences)
    return Contest(
        first=figures_of(before),
        second=figures_of(after),
        wins=wins,
        losses=losses,
        ties=len(differences) - wins - losses,
        difference=round(float(differences.mean()), 4),
        low=round(low, 4),
        high=round(high, 4),
        p=round(sign_test(wins, losses), 6),
    )


def sign_test(wins: int, losses: int) -> float:
    """How likely fair coins are at least as uneven: two-sided, exact; 1 when nothing differs."""
    decided, fewer = wins + losses, min(wins, losses)
    tail: float = sum(comb(decided, count) for count in range(fewer + 1)) / 2**decided
    return min(1.0, 2.0 * tail)


def bootstrap_interval(differences: np.ndarray) -> tuple[float, float]:
    """The 2.5 and 97.5 percentiles of the mean over resampled questions. differences: (n,)."""
    chosen = np.random.default_rng(_SEED).integers(
        len(differences), size=(_RESAMPLES, len(differences))
    )
    low, high = np.percentile(differences[chosen].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def comparison_described(comparison: Comparison) -> dict[str, Any]:
    """All of it as JSON can hold it, with every question's two figures."""
    pairs = zip(comparison.first.outcomes, comparison.second.outcomes, strict=True)
    return {
        "first": setting_described(comparison.first),
        "second": setting_described(comparison.second),
        "verdict": comparison.verdict,
        "kinds": {kind: _described(contest) for kind, contest in comparison.kinds.items()},
        "queries": [
            {
                "id": one.id,
                "kind": one.kind,
                "half": one.half,
                "first": {"ranks": list(one.ranks), "ndcg@10": round(one.ndcg, 4)},
                "second": {"ranks": list(other.ranks), "ndcg@10": round(other.ndcg, 4)},
            }
            for one, other in pairs
        ],
    }


def _described(contest: Contest) -> dict[str, Any]:
    return {
        "first": contest.first,
        "second": contest.second,
        "wins": contest.wins,
        "losses": contest.losses,
        "ties": contest.ties,
        "difference": contest.difference,
        "interval": [contest.low, contest.high],
        "p": contest.p,
        "is_clear": contest.is_clear,
    }


_LEGEND = (
    "Each pair: first, second. won/lost/tied: questions that the second answers better, worse, "
    "alike (nDCG@10).",
    "p: how often chance alone would be as uneven (sign test); below 0.05 is no chance.",
    "half A, half B: questions of one and the other half of the documents: choose a setting by one,"
    " believe it by the other.",
)


def comparison_lines(comparison: Comparison) -> list[str]:
    """What a terminal shows: for each kind both runs' figures side by side, wins and losses."""
    lines = [f"first:  {comparison.first.setting}", f"second: {comparison.second.setting}", ""]
    heads = "".join(f"{name:>16}" for name in MEASURES)
    lines.append(f"{'kind':<14}{'queries':>8}{heads}{'won/lost/tied':>16}{'p':>8}")
    for kind, contest in comparison.kinds.items():
        figures = "".join(
            f"{f'{contest.first[name]:.3f} {contest.second[name]:.3f}':>16}" for name in MEASURES
        )
        score = f"{contest.wins}/{contest.losses}/{contest.ties}"
        queries = int(contest.first["queries"])
        lines.append(f"{kind:<14}{queries:>8}{figures}{score:>16}{contest.p:>8.3f}")
    bad = f"{comparison.first.bad} -> {comparison.second.bad}"
    lines += ["", *_LEGEND, "", f"hits judged to be no answer: {bad}", comparison.verdict]
    return lines
