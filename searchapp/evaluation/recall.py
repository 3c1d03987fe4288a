"""What the binary prefilter loses on this corpus: searches measured against exact float cosines.

In each lane, for each oversampling: recall as the search is set, with HNSW, and with an exact scan
of the bits. What the exact scan still misses the bits lose; what HNSW misses beyond that the graph
loses. Recall@k is the share of the k best pages that are found among the first k.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

import numpy as np

from searchapp.errors import InvalidInput, Unavailable
from searchapp.evaluation.comparison import bootstrap_interval
from searchapp.evaluation.exact import Truth, truth_get
from searchapp.evaluation.probes import Probe, probes_get
from searchapp.models import Index, Measurement
from searchapp.models.indexes import index_active
from searchapp.search.query import MAX_LIMIT, MAX_OVERSAMPLING, Query
from searchapp.search.search import LANE_DEPTH
from searchapp.search.stages.vectors import Method, lanes_search
from searchapp.search.types import LaneAnswer, LaneHit, Scope

CURVE = (1, 2, 4, 8, 16)
QUERIES = 50
MAX_QUERIES = 1000
SECONDS = 300.0
TARGET = 0.99
AS_SET = "set"
# Beside the way that the search chooses by itself.
_WAYS: Mapping[str, Method] = {"hnsw": "hnsw", "exact": "exact"}
_SEED = 7


@dataclass(slots=True)
class _Tally:
    """What came of one setting looked for in one way, a value a probe."""

    recalls: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    candidates: list[int] = field(default_factory=list)
    methods: set[str] = field(default_factory=set)


def recall_measure(
    *,
    index: Index | None = None,
    queries: int = QUERIES,
    limit: int = 10,
    curve: Sequence[int] = CURVE,
    seconds: float = SECONDS,
    report: Callable[[str], object] = lambda _: None,
) -> Measurement:
    """Measure and keep the figures. `seconds` bounds the scan of all floats and, apart from it, the
    searches: probes that come too late for the scans of all bits are left out of these.

    Raises InvalidInput (bounds, `nothing_to_measure`), Unavailable `no_index`, `recall_timeout`.
    """
    index = index or index_active()
    _bounds_check(queries, limit, curve)
    curve = tuple(sorted({*curve, Query().oversampling}))
    probes = probes_get(index, queries, seed=_SEED)
    if not probes:
        raise InvalidInput("nothing_to_measure", f"{index} holds no vectors yet.")
    figures = recall_figures(
        index, probes, limit=limit, curve=curve, seconds=seconds, report=report
    )
    return Measurement.objects.create(index=index, figures=figures)


def recall_figures(
    index: Index,
    probes: Sequence[Probe],
    *,
    limit: int,
    curve: Sequence[int],
    seconds: float,
    report: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Of these probes, in every lane that has vectors; `curve` holds the present oversampling."""
    lanes = {}
    asked = np.stack([probe.vector for probe in probes])
    for lane in map(str, index.space.spec.lanes):
        report(f"Lane {lane}: comparing {len(probes)} queries with every vector ...")
        truth = truth_get(index, lane, asked, limit=limit, seconds=seconds)
        if truth.rows:
            report(f"Lane {lane}: searching among {truth.rows} vectors ...")
            meter = _Meter(index, lane, probes, truth, limit)
            meter.run(curve, time.perf_counter() + seconds)
            lanes[lane] = meter.figures(curve)
    return _figures(limit, probes, lanes)


def _bounds_check(queries: int, limit: int, curve: Sequence[int]) -> None:
    for name, values, most in (
        ("queries", [queries], MAX_QUERIES),
        ("limit", [limit], MAX_LIMIT),
        ("oversampling", curve, MAX_OVERSAMPLING),
    ):
        if not all(1 <= value <= most for value in values):
            raise InvalidInput(f"invalid_{name}", f"{name} is 1 to {most}.", field=name)


def _figures(
    limit: int, probes: Sequence[Probe], lanes: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    sources = [probe.source for probe in probes]
    found: dict[str, Any] = {
        "limit": limit,
        "oversampling": Query().oversampling,
        "queries": {source: sources.count(source) for source in dict.fromkeys(sources)},
        "lanes": dict(lanes),
    }
    return found | {"advice": advice(found)}


class _Meter:
    """One lane: every probe is looked for at every setting, in every way."""

    def __init__(
        self, index: Index, lane: str, probes: Sequence[Probe], truth: Truth, limit: int
    ) -> None:
        self.index = index
        self.lane = lane
        self.probes = probes
        self.truth = truth
        self.limit = limit
        self.tallies: dict[tuple[int, str], _Tally] = {}

    def run(self, curve: Sequence[int], deadline: float) -> None:
        """The first probe is asked once for nothing: it warms the caches. The ways that the
        settings do not choose are left out after `deadline`, or where a search is too long."""
        self._search(0, curve[-1], None)
        ways = dict(_WAYS)
        for number in range(len(self.probes)):
            for oversampling in curve:
                self._look(number, oversampling, AS_SET, None)
                for way, method in tuple(ways.items()):
                    try:
                        self._look(number, oversampling, way, method)
                    except Unavailable:
                        del ways[way]
            if time.perf_counter() > deadline:
                ways.clear()

    def _search(self, number: int, oversampling: int, method: Method | None) -> LaneAnswer:
        return lanes_search(
            self.index,
            {self.lane: self.probes[number].vector},
            Scope(None),
            pages=self.limit * LANE_DEPTH,
            oversampling=oversampling,
            method=method,
        )

    def _look(self, number: int, oversampling: int, way: str, method: Method | None) -> None:
        began = time.perf_counter()
        answer = self._search(number, oversampling, method)
        ms = (time.perf_counter() - began) * 1000
        tally = self.tallies.setdefault((oversampling, way), _Tally())
        tally.ms.append(ms)
        tally.recalls.append(self._recall(number, answer.hits[self.lane]))
        tally.candidates.append(answer.candidates[self.lane])
        tally.methods.add(answer.method)

    def _recall(self, number: int, hits: Sequence[LaneHit]) -> float:
        right = sum(
            self.truth.is_right(number, hit.page_id, hit.score) for hit in hits[: self.limit]
        )
        return right / len(self.truth.pages[number])

    def figures(self, curve: Sequence[int]) -> dict[str, Any]:
        """Of all settings, and of the present one by where the probes are from."""
        present = self.tallies[Query().oversampling, AS_SET].recalls
        by_source: dict[str, list[float]] = {}
        for probe, recall in zip(self.probes, present, strict=True):
            by_source.setdefault(probe.source, []).append(recall)
        return {
            "units": self.truth.rows,
            "sources": {source: round(fmean(got), 4) for source, got in by_source.items()},
            "settings": [self._row(oversampling) for oversampling in curve],
        }

    def _row(self, oversampling: int) -> dict[str, Any]:
        present = self.tallies[oversampling, AS_SET]
        row: dict[str, Any] = {
            "oversampling": oversampling,
            "candidates": round(fmean(present.candidates)),
            "method": " or ".join(sorted(present.methods)),
            "recall": round(fmean(present.recalls), 4),
            "interval": [round(x, 4) for x in bootstrap_interval(np.array(present.recalls))],
            "p50_ms": round(median(present.ms), 2),
            "p95_ms": round(float(np.percentile(present.ms, 95)), 2),
        }
        return row | self._losses(oversampling)

    def _losses(self, oversampling: int) -> dict[str, Any]:
        """Of the bits alone, and of the graph on top of them, over the probes that have both."""
        ways = [self.tallies.get((oversampling, way)) for way in ("hnsw", "exact")]
        if ways[0] is None or ways[1] is None:
            return {"bits_loss": None, "hnsw_loss": None, "compared": 0}
        compared = min(len(ways[0].recalls), len(ways[1].recalls))
        hnsw, exact = (fmean(way.recalls[:compared]) for way in ways if way)
        return {
            "bits_loss": round(1 - exact, 4),
            "hnsw_loss": round(exact - hnsw, 4),
            "exact_p50_ms": round(median(ways[1].ms), 2),
            "compared": compared,
        }


def advice(figures: Mapping[str, Any]) -> str:
    """What the figures say to do, in a sentence a lane."""
    return " ".join(
        _lane_advice(lane, found["settings"], int(figures["oversampling"]))
        for lane, found in figures["lanes"].items()
    )


def _lane_advice(lane: str, settings: Sequence[Mapping[str, Any]], present: int) -> str:
    at = {row["oversampling"]: row for row in settings}
    now, enough = at[present], [row for row in settings if row["recall"] >= TARGET]
    said = f"Lane {lane}: recall {now['recall']:.3f} at oversampling {present}"
    if now["recall"] >= TARGET:
        if enough[0]["oversampling"] == present:
            return f"{said}; nothing needs to change."
        return (
            f"{said}; {enough[0]['oversampling']} would do ({enough[0]['recall']:.3f}), "
            "nothing needs to change."
        )
    if enough:
        cost = enough[0]["p50_ms"] - now["p50_ms"]
        return (
            f"{said}: ask with oversampling {enough[0]['oversampling']} "
            f"({enough[0]['recall']:.3f}, {cost:+.1f} ms)."
        )
    last = settings[-1]
    if (last["hnsw_loss"] or 0) > (last["bits_loss"] or 0):
        return (
            f"{said}, and {last['recall']:.3f} at {last['oversampling']}: the HNSW graph loses "
            "most; build the index anew."
        )
    return (
        f"{said}, and {last['recall']:.3f} at {last['oversampling']}: the sign bits lose most; "
        "build an index of a larger dimension."
    )


def recall_latest(index: Index) -> Measurement | None:
    """What was measured of an index last."""
    return Measurement.objects.filter(index=index).first()
