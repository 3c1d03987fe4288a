"""Retrieval beside its peers: `python -m benchmarks.retrieval --rows N --dimension 1536 --json F`.

`--peers all|none|a,b`; `--work DIR` keeps data and built indexes, so that a later run only asks.
Packages of peers need not be in our environment: `--peer-python PATH` names the Python that has
them. What is compared and how: docs/benchmarks.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.report import Row, rows_show
from benchmarks.retrieval_corpus import (
    HITS,
    Corpus,
    corpus_make,
    exact,
    generated,
    projected,
    real_get,
)
from benchmarks.retrieval_run import SYSTEMS
from embedding_engine.types import FloatArray

_OURS = ("searchapp", "pgvector-halfvec-hnsw", "exact-float")
_PACKAGES = {
    "faiss": "faiss",
    "lancedb": "lancedb",
    "chroma": "chromadb",
    "milvus-lite": "pymilvus",
}
_CURVE = (10, 20, 40, 60, 100, 200)
_COLUMNS = ("recall_at_10", "p50_ms", "p95_ms", "qps", "build_s", "index_bytes")


def seconds_most(rows: int) -> float:
    """For one system; then it is left out. Ten minutes, at a million rows two hours."""
    return 600 + rows * 0.0066


def main() -> None:
    """Corpus, generator, every system, one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--dimension", type=int, default=1536)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peers", default="all")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--peer-python", type=Path, default=Path(sys.executable))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = (chosen.work or Path(scratch)).resolve()
        corpus = corpus_make(work, chosen.rows, chosen.dimension)
        rows = generator_curves(corpus)
        for name in systems_chosen(chosen.peers):
            python = chosen.peer_python if name in _PACKAGES else Path(sys.executable)
            rows += system_rows(name, python, work, corpus)
        rows_show(rows, chosen.json)
        print(f"\n{comparison(rows)}")


def systems_chosen(peers: str) -> list[str]:
    """Ours, and the named ones."""
    named = {"all": list(SYSTEMS), "none": []}.get(peers, peers.split(","))
    unknown = set(named) - set(SYSTEMS)
    if unknown:
        sys.exit(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(SYSTEMS)}")
    return [name for name in SYSTEMS if name == "searchapp" or name in named]


def system_rows(name: str, python: Path, work: Path, corpus: Corpus) -> list[Row]:
    """One system, in a process of its own; a row that says why not, when that cannot be."""
    package = _PACKAGES.get(name, "numpy")
    if subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode:
        return left_out(name, f"{package} is not installed")
    out = work / f"rows-{name}-{corpus.rows}-{corpus.dimension}.json"
    bounds = ["--rows", str(corpus.rows), "--dimension", str(corpus.dimension), "--out", str(out)]
    argv = [str(python), "-m", "benchmarks.retrieval_run", name, "--work", str(work), *bounds]
    # One thread for the little arithmetic around a query; servers and builders take all cores.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    try:
        subprocess.run(argv, env=environment, check=True, timeout=seconds_most(corpus.rows))
    except subprocess.TimeoutExpired as error:
        return left_out(name, f"not ready after {error.timeout:.0f} s")
    except subprocess.CalledProcessError as error:
        return left_out(name, f"it ended with {error.returncode}; why is above")
    return [Row(**row) for row in json.loads(out.read_text())]


def left_out(name: str, reason: str) -> list[Row]:
    """Said at once, and in the table."""
    print(f"{name}: left out: {reason}", file=sys.stderr, flush=True)
    return [Row(name, "left_out", 1, "system", {"reason": reason})]


def comparison(rows: list[Row]) -> str:
    """A line for each system: its best recall and what that took, without filters."""
    lines = [f"{'system':<23}" + "".join(f"{column:>14}" for column in _COLUMNS)]
    for name in SYSTEMS:
        found = {row.metric: row for row in rows if row.system == name and not _is_filtered(row)}
        if "left_out" in found:
            lines.append(f"{name:<23}left out: {found['left_out'].parameters['reason']}")
        elif found:
            values = [found[column].value for column in _COLUMNS]
            lines.append(f"{name:<23}" + "".join(f"{value:>14,.3f}" for value in values))
    return "\n".join(lines)


def _is_filtered(row: Row) -> bool:
    return "share" in row.parameters


def generator_curves(corpus: Corpus) -> list[Row]:
    """Candidates against recall: all real vectors, and half of them extended to as many."""
    real = real_get(corpus.folder, corpus.rows)
    half = real[: len(real) // 2]
    made = np.concatenate([half, *(block for _, block in generated(half, len(half)))])
    rows = []
    for name, vectors in (("real", real[: len(made)]), ("half real, half generated", made)):
        shares = recall_curve(projected(vectors, corpus.dimension), corpus.queries)
        at = {"vectors": name, "rows": len(made)}
        rows += [
            Row("exact-bits", "recall_at_10", share, "share", {"candidates": count, **at})
            for count, share in shares.items()
        ]
    return rows


def recall_curve(vectors: FloatArray, queries: FloatArray) -> dict[int, float]:
    """By number of candidates: the share of the true ten among the nearest by Hamming distance."""
    truth = exact(iter([(0, vectors)]), queries)
    signs = np.where(vectors >= 0, np.float32(1), np.float32(-1))
    found = dict.fromkeys(_CURVE, 0)
    for query, wanted in zip(queries, truth, strict=True):
        agreeing = signs @ np.where(query >= 0, np.float32(1), np.float32(-1))
        nearest = np.argsort(-agreeing, kind="stable")[: max(_CURVE)]
        for count in _CURVE:
            found[count] += len(np.intersect1d(nearest[:count], wanted))
    return {count: hits / (HITS * len(queries)) for count, hits in found.items()}


if __name__ == "__main__":
    main()
