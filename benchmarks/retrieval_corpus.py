"""The vectors of the retrieval benchmark: real texts, a stated generator, exact answers.

Real: paragraphs of the documentation that the machine has anyway (docstrings of installed Python
packages, man pages, /usr/share/doc), embedded with the built-in model; none is shipped. Texts that
are no rows are the queries. Generated: a real vector moved along its own neighbours (`generated`).
Knows no search system.
"""

import gzip
import random
import re
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from embedding_engine.models.builtin_head import load_head
from embedding_engine.quantization import at_dimension
from embedding_engine.types import FloatArray

SEED = 4_401
REAL, QUERIES = 24_000, 500
HITS = 10
NEIGHBOURS, REACH = 12, 1.0
"""Of the generator: neighbours of a real vector, and how far along them a new one lies."""
_BLOCK = 10_000
_LEAST = 2_000
_FILES = 4_000


@dataclass(frozen=True, slots=True)
class Corpus:
    """`rows` vectors in `folder`; a smaller corpus is the beginning of a larger one."""

    folder: Path
    rows: int
    dimension: int

    def blocks(self) -> Iterator[tuple[int, FloatArray]]:
        """(first row, (n, dimension) unit float32 vectors), in order."""
        native = np.load(self.folder / f"native-{self.rows}.npy", mmap_mode="r")
        for start in range(0, self.rows, _BLOCK):
            yield start, projected(native[start : start + _BLOCK], self.dimension)

    @property
    def queries(self) -> FloatArray:
        """(queries, dimension) unit float32 vectors of texts that are no rows."""
        return projected(np.load(self.folder / "queries.npy"), self.dimension)

    @property
    def truth(self) -> np.ndarray:
        """(queries, HITS) row numbers by exact float cosine, best first."""
        answers: np.ndarray = np.load(self.folder / f"truth-{self.rows}-{self.dimension}.npy")
        return answers

    def truth_among(self, chosen: np.ndarray, name: str) -> np.ndarray:
        """The same among the rows where `chosen` (rows,) is true; kept under `name`."""
        kept = self.folder / f"truth-{self.rows}-{self.dimension}-{name}.npy"
        if not kept.exists():
            numbers = np.flatnonzero(chosen)
            native = np.load(self.folder / f"native-{self.rows}.npy", mmap_mode="r")
            parts = range(0, len(numbers), _BLOCK)
            blocks = (
                (at, projected(native[numbers[at : at + _BLOCK]], self.dimension)) for at in parts
            )
            np.save(kept, numbers[exact(blocks, self.queries)])
        answers: np.ndarray = np.load(kept)
        return answers


def corpus_make(work: Path, rows: int, dimension: int) -> Corpus:
    """The corpus below `work`; what is there already is taken as it is."""
    folder = work / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(folder, rows, dimension)
    if not (folder / f"native-{rows}.npy").exists():
        real = real_get(folder, rows)
        stored = np.lib.format.open_memmap(
            folder / f"native-{rows}.tmp", mode="w+", dtype=np.float16, shape=(rows, real.shape[1])
        )
        stored[: len(real)] = real[:rows]
        for start, vectors in generated(real, max(0, rows - len(real))):
            stored[len(real) + start : len(real) + start + len(vectors)] = vectors
        stored.flush()
        (folder / f"native-{rows}.tmp").rename(folder / f"native-{rows}.npy")
    answers = folder / f"truth-{rows}-{dimension}.npy"
    if not answers.exists():
        np.save(answers, exact(corpus.blocks(), corpus.queries))
    return corpus


def generated(
    real: FloatArray, count: int, *, neighbours: int = NEIGHBOURS, reach: float = REACH
) -> Iterator[tuple[int, FloatArray]]:
    """(first, vectors): `count` new unit vectors like `real` (n, d), in blocks.

    x = r + reach / sqrt(k) * sum_j w_j (n_j - r), w_j ~ N(0, 1), over the k nearest n_j of a random
    real r: a Gaussian with the sample's own local covariance, a smoothed bootstrap (Silverman 1986,
    section 6.4) with a bandwidth that differs from place to place.
    """
    near = _nearest(real, neighbours)
    for start in range(0, count, _BLOCK):
        rng = np.random.default_rng((SEED, start))
        size = min(_BLOCK, count - start)
        chosen = rng.integers(0, len(real), _BLOCK)[:size]
        weights = rng.standard_normal((_BLOCK, neighbours), dtype=np.float32)[:size]
        weights *= reach / np.sqrt(neighbours)
        steps = real[near[chosen]] - real[chosen, None, :]
        yield start, at_dimension(real[chosen] + np.einsum("nk,nkd->nd", weights, steps), 384)


def exact(blocks: Iterator[tuple[int, FloatArray]], queries: FloatArray) -> np.ndarray:
    """(queries, HITS) row numbers by exact float cosine, best first."""
    scores = np.full((len(queries), HITS), -2.0, np.float32)
    rows = np.zeros((len(queries), HITS), np.int64)
    for start, vectors in blocks:
        found = queries @ vectors.T
        top = np.argpartition(-found, HITS, axis=1)[:, :HITS]
        scores = np.concatenate([scores, np.take_along_axis(found, top, 1)], axis=1)
        rows = np.concatenate([rows, top + start], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :HITS]
        scores, rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)
    return rows


def projected(native: np.ndarray, dimension: int) -> FloatArray:
    """(n, 384) -> (n, dimension) through the built-in model's head, unit length."""
    return at_dimension(native.astype(np.float32) @ load_head()[:dimension].T, dimension)


def _nearest(vectors: FloatArray, count: int) -> np.ndarray:
    """(n, count) the nearest others of each vector."""
    near = np.empty((len(vectors), count), np.int64)
    for start in range(0, len(vectors), 2_000):
        found = vectors[start : start + 2_000] @ vectors.T
        found[np.arange(len(found)), np.arange(start, start + len(found))] = -2.0
        near[start : start + 2_000] = np.argpartition(-found, count, axis=1)[:, :count]
    return near


def real_get(folder: Path, rows: int) -> FloatArray:
    """(n, 384) the first real vectors: REAL of them, or as few as `rows` needs; embedded and kept
    where they are not yet, and the queries with them."""
    kept = folder / f"real-{min(rows, REAL)}.npy"
    if not kept.exists():
        texts = texts_found(REAL + QUERIES)
        print("embedding real texts", file=sys.stderr, flush=True)
        np.save(folder / "queries.npy", _embedded(texts[-QUERIES:]))
        np.save(kept, _embedded(texts[:-QUERIES][:rows]))
    vectors: FloatArray = np.load(kept)
    return vectors


def texts_found(count: int) -> list[str]:
    """`count` different paragraphs of 80 to 600 characters, in an order of no meaning; on a machine
    with little documentation as many as there are."""
    from embedding_engine.models.fit_builtin_head import file_paragraphs

    paths = sysconfig.get_paths()
    roots = {Path(paths["stdlib"]), Path(paths["purelib"])}
    sources = sorted({path for root in roots for path in root.rglob("*.py")})
    prose = [
        *sorted(Path("/usr/share/man").glob("man[1-8]/*")),
        *sorted(Path("/usr/share/doc").glob("*/*")),
    ]
    chooser = random.Random(SEED)
    found: set[str] = set()
    for path in chooser.sample(sources, min(_FILES, len(sources))):
        found.update(islice(file_paragraphs(path), 40))
    for path in chooser.sample(prose, min(_FILES, len(prose))):
        found.update(islice(_prose_paragraphs(path), 20))
    texts = sorted(found)
    chooser.shuffle(texts)
    if len(texts) < _LEAST:
        sys.exit(f"{len(texts)} paragraphs found on this machine, {_LEAST} needed")
    return texts[:count]


def _prose_paragraphs(path: Path) -> Iterator[str]:
    """Paragraphs of a man page or plain text, perhaps gzipped, without its formatting requests."""
    if not path.is_file() or path.suffix not in {".gz", ".txt", ""}:
        return
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode(
            errors="ignore"
        )
    except (OSError, EOFError):
        return
    text = re.sub(r"(?m)^[.'](?:\\\"|[A-Z]).*$", "\n", text)
    for paragraph in re.split(r"\n\s*\n", re.sub(r"\\f[A-Z(]|\\[-&|]", "", text)):
        joined = " ".join(paragraph.split())
        if 80 < len(joined) < 600:
            yield joined


def _embedded(texts: list[str], batch: int = 32) -> FloatArray:
    """(n, 384) unit vectors of the bare model, without its head."""
    from embedding_engine.models.builtin import BuiltinModel
    from embedding_engine.registry import model_spec
    from embedding_engine.types import EmbedInput, ModelOptions, TextPart

    model = BuiltinModel(model_spec("builtin"), None, ModelOptions())
    limit = model.spec.window_tokens
    rows = [
        model.prepare(
            EmbedInput((TextPart(text),)),
            input_type="search_document",
            max_tokens=limit,
            truncate="END",
        ).rows[0]
        for text in texts
    ]
    order = sorted(range(len(rows)), key=lambda place: rows[place].cost)
    vectors = np.zeros((len(rows), 384), dtype=np.float32)
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        vectors[places] = model.forward([rows[place] for place in places])
    return vectors
