"""One system on one corpus: built (or found built), its knob turned up to the wanted recall, timed.

`python -m benchmarks.retrieval_run NAME --work DIR --rows N --dimension D --out FILE`, called by
benchmarks.retrieval, each system in a process of its own. Needs numpy, and what the system needs.
"""

import argparse
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.report import Row, percentile
from benchmarks.retrieval_corpus import HITS, Corpus
from embedding_engine.types import FloatArray

SYSTEMS = {
    "searchapp": "benchmarks.retrieval_ours:Searchapp",
    "pgvector-halfvec-hnsw": "benchmarks.retrieval_pgvector:HalfvecHnsw",
    "exact-float": "benchmarks.retrieval_pgvector:ExactFloat",
    "faiss": "benchmarks.retrieval_peers:Faiss",
    "lancedb": "benchmarks.retrieval_peers:LanceDb",
    "chroma": "benchmarks.retrieval_peers:Chroma",
    "milvus-lite": "benchmarks.retrieval_peers:MilvusLite",
}
RECALL = 0.99
CLIENTS = 8
_CLIENT_SECONDS = 10.0


class System(Protocol):
    """What is compared. Rows are numbered from 0; a knob is what buys recall with time."""

    knob: str
    settings: Sequence[int]
    queries: int
    described: dict[str, Any]

    def __init__(self, work: Path, corpus: Corpus) -> None: ...
    def load(self) -> None: ...
    def index(self) -> None: ...
    def open(self) -> None: ...
    def search(self, query: FloatArray, setting: int) -> Sequence[int]: ...
    def sizes(self) -> dict[str, int]: ...
    def pids(self) -> list[int]: ...
    def more(self, setting: int) -> list[Row]: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Pass:
    """One setting of the knob: ms of each query, share of the true ten that it found."""

    setting: int
    took: list[float]
    recall: float


def measured(name: str, work: Path, corpus: Corpus) -> list[Row]:
    """All rows of one system."""
    module, _, kind = SYSTEMS[name].partition(":")
    system: System = getattr(importlib.import_module(module), kind)(work, corpus)
    try:
        rows = _built(system, name, work / f"built-{name}-{corpus.rows}-{corpus.dimension}.json")
        system.open()
        passes = _passes(system, corpus)
        best = passes[-1]
        rows += [_row(name, corpus, "recall_at_10", one, "share", system) for one in passes]
        rows += [
            Row(name, "p50_ms", percentile(best.took, 0.5), "ms", _at(system, corpus, best)),
            Row(name, "p95_ms", percentile(best.took, 0.95), "ms", _at(system, corpus, best)),
            Row(name, "qps", _rate(system, corpus, best.setting), "1/s", {"clients": CLIENTS}),
        ]
        rows += [Row(name, metric, size, "bytes") for metric, size in system.sizes().items()]
        rows.append(Row(name, "peak_rss_mb", _memory(system.pids()), "MB"))
        return rows + system.more(best.setting)
    finally:
        system.close()


def _built(system: System, name: str, kept: Path) -> list[Row]:
    """Seconds of wall and CPU of loading and indexing, measured now or when it was built."""
    if not kept.exists():
        took: dict[str, float] = {}
        for step, work in (("load", system.load), ("build", system.index)):
            began, cpu = time.perf_counter(), cpu_seconds(system.pids())
            work()
            took[f"{step}_s"] = time.perf_counter() - began
            took[f"{step}_cpu_s"] = cpu_seconds(system.pids()) - cpu
            print(name, step, took, file=sys.stderr, flush=True)
        kept.write_text(json.dumps(took))
    built: dict[str, float] = json.loads(kept.read_text())
    return [
        Row(name, metric, value, "s", dict(system.described)) for metric, value in built.items()
    ]


def _passes(system: System, corpus: Corpus) -> list[Pass]:
    """Each setting, from the cheapest to the first that finds enough."""
    queries, truth = corpus.queries[: system.queries], corpus.truth[: system.queries]
    passes: list[Pass] = []
    for setting in system.settings:
        one = timed(partial(system.search, setting=setting), queries, truth)
        passes.append(Pass(setting, *one))
        if passes[-1].recall >= RECALL:
            break
    return passes


def timed(
    search: Callable[[FloatArray], Sequence[int]], queries: FloatArray, truth: np.ndarray
) -> tuple[list[float], float]:
    """(ms of each query, recall): all are asked once before, so that nothing is cold."""
    for query in queries:
        search(query)
    took, found = [], 0
    for query, wanted in zip(queries, truth, strict=True):
        began = time.perf_counter()
        rows = search(query)
        took.append((time.perf_counter() - began) * 1000)
        found += len(set(rows[:HITS]) & set(wanted.tolist()))
    return took, found / (HITS * len(queries))


def _rate(system: System, corpus: Corpus, setting: int) -> float:
    """Queries a second of CLIENTS clients, each with queries of its own order."""
    queries = corpus.queries
    until = time.perf_counter() + _CLIENT_SECONDS

    def client(number: int) -> int:
        done = 0
        while time.perf_counter() < until:
            system.search(queries[(number * 61 + done) % len(queries)], setting)
            done += 1
        return done

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        done = sum(pool.map(client, range(CLIENTS)))
    return done / (time.perf_counter() - began)


def _row(name: str, corpus: Corpus, metric: str, one: Pass, unit: str, system: System) -> Row:
    p50 = round(percentile(one.took, 0.5), 3)
    return Row(name, metric, one.recall, unit, {**_at(system, corpus, one), "p50_ms": p50})


def _at(system: System, corpus: Corpus, one: Pass) -> dict[str, Any]:
    return {system.knob: one.setting, "rows": corpus.rows, "queries": system.queries}


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time of these processes and all below them, the ended ones too."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0.0
    for pid in _tree(pids):
        fields = _proc_read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        total += sum(map(int, fields[11:15])) / ticks
    return total


def _tree(pids: Sequence[int]) -> list[int]:
    found = list(pids)
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in _proc_read(task).split()]
    return found


def _proc_read(path: Path) -> str:
    """What /proc says of a process; nothing when it has ended meanwhile."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _memory(pids: Sequence[int]) -> float:
    """MB: the peak of this process, or what others hold now (shared pages counted once)."""
    if list(pids) == [os.getpid()]:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sizes = 0
    for pid in _tree([pid for pid in pids if pid != os.getpid()]):
        lines = _proc_read(Path(f"/proc/{pid}/smaps_rollup")).split("\n")
        sizes += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return sizes / 1024


def main() -> None:
    """Measure and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=SYSTEMS)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--dimension", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    corpus = Corpus(chosen.work / "corpus", chosen.rows, chosen.dimension)
    rows = measured(chosen.name, chosen.work, corpus)
    chosen.out.write_text(json.dumps([asdict(row) for row in rows]))


if __name__ == "__main__":
    main()
