"""Measured quality: ingest a folder into a scratch database, ask its judged queries, score.

Format: `queries.jsonl`, a line a query:
`{"id", "kind", "query" | "query_image", "relevant": [{"file", "page"}]}`; paths are relative to the
folder. nDCG uses binary gains and log2 discounts (Järvelin and
Kekäläinen 2002); MRR is of the first relevant page.
"""

import json
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from django.conf import settings
from django.db import connection
from django.test.utils import override_settings

from searchapp import access, engine, indexing, library, pipeline
from searchapp.errors import InvalidInput, SearchappError
from searchapp.models import Document, Page
from searchapp.search.query import Query
from searchapp.search.search import search_pages
from searchapp.uploads import Upload, document_upload

DEPTH = 10
Report = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """One query and the pages that answer it, as (file, page) with file relative to the folder."""

    id: str
    kind: str
    parts: tuple[engine.Part, ...]
    relevant: frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one query went: its ranks are those of the relevant pages within DEPTH, from 1."""

    id: str
    kind: str
    ranks: tuple[int, ...]
    relevant: int
    ms: float

    @property
    def ndcg(self) -> float:
        """nDCG at DEPTH."""
        ideal = sum(1 / math.log2(i + 1) for i in range(1, min(self.relevant, DEPTH) + 1))
        return sum(1 / math.log2(rank + 1) for rank in self.ranks) / ideal


def queries_read(folder: Path) -> list[JudgedQuery]:
    """The judged queries of a folder. Raises InvalidInput naming the bad line."""
    path = folder / "queries.jsonl"
    if not path.is_file():
        raise InvalidInput("no_queries", f"{path} is missing.")
    queries = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            queries.append(_query(json.loads(line), folder))
        except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
            raise InvalidInput("bad_query", f"{path} line {number}: {error!r}") from error
    return queries


def _query(row: dict[str, Any], folder: Path) -> JudgedQuery:
    parts: list[engine.Part] = []
    if row.get("query"):
        parts.append(engine.TextPart(row["query"]))
    if row.get("query_image"):
        parts.append(engine.ImagePart((folder / row["query_image"]).read_bytes()))
    relevant = frozenset((item["file"], int(item["page"])) for item in row["relevant"])
    if not relevant or not parts:
        raise ValueError("a query needs words or a picture, and at least one relevant page")
    return JudgedQuery(row["id"], row["kind"], tuple(parts), relevant)


def files_of(folder: Path, queries: Iterable[JudgedQuery]) -> list[Path]:
    """All files of the folders that hold a relevant page: distractors included."""
    folders = {Path(file).parent for query in queries for file, _ in query.relevant}
    return sorted(p for sub in folders for p in (folder / sub).iterdir() if p.is_file())


@contextmanager
def scratch_database(report: Report) -> Iterator[None]:
    """An empty database and storage for a block; both are gone afterwards, whatever happens."""
    name = connection.settings_dict["NAME"]
    with tempfile.TemporaryDirectory(prefix="evaluate-") as media:
        report("Preparing a scratch index ...")
        _pool_close()
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        try:
            with override_settings(STORAGES=_local_storage(media), WAKE_WORKERS=False):
                yield
        finally:
            _pool_close()
            connection.creation.destroy_test_db(name, verbosity=0)


def _local_storage(folder: str) -> dict[str, Any]:
    """Whatever the settings say, a scratch run never touches the storage that is kept."""
    local = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": folder, "allow_overwrite": True},
    }
    return {**settings.STORAGES, "default": local}


def _pool_close() -> None:
    """Pooled connections would keep the scratch database from being dropped."""
    connection.close()
    close_pool = getattr(connection, "close_pool", None)
    if close_pool is not None:
        close_pool()


def evaluate(folder: Path, *, report: Report) -> dict[str, Any]:
    """Ingest, ask, score. Returns figures by kind, latency and pages per second.

    Raises InvalidInput for a folder that does not follow the format.
    """
    queries = queries_read(folder)
    with scratch_database(report):
        indexing.index_ensure()
        ingest = _ingest(folder, files_of(folder, queries), report)
        outcomes = [_ask(query, ingest["names"]) for query in queries]
    names = ingest.pop("names")
    return {
        "model": engine.spec().name,
        "dimension": engine.dimension(),
        "documents": len(names),
        "kinds": figures_by_kind(outcomes),
        "latency_ms": _latency(outcomes),
        "ingest": ingest,
        "queries": [_row(outcome) for outcome in outcomes],
    }


def _ingest(folder: Path, files: list[Path], report: Report) -> dict[str, Any]:
    collection = library.collection_create(actor=access.SYSTEM, name="Evaluation")
    names: dict[int, list[str]] = {}
    refused = []
    began = time.perf_counter()
    for path in files:
        upload = Upload(filename=path.name, chunks=[path.read_bytes()], source="evaluate")
        try:
            done = document_upload(actor=access.SYSTEM, collection=collection, upload=upload)
            # The same bytes under two names are one document with both names.
            names.setdefault(done.document.pk, []).append(path.relative_to(folder).as_posix())
        except SearchappError as error:
            refused.append({"file": path.name, "code": error.code})
    pipeline.documents_wait(list(names), drain=True, report=report)
    seconds = time.perf_counter() - began
    pages = Page.objects.count()
    failed = Document.objects.filter(status=Document.Status.FAILED)
    refused += [{"file": d.filename, "code": d.error_code} for d in failed]
    return {
        "names": names,
        "pages": pages,
        "seconds": round(seconds, 1),
        "pages_per_s": round(pages / seconds, 2),
        "refused": refused,
    }


def _ask(query: JudgedQuery, names: dict[int, list[str]]) -> Outcome:
    began = time.perf_counter()
    answer = search_pages(actor=access.SYSTEM, query=Query(parts=query.parts, limit=DEPTH))
    ms = (time.perf_counter() - began) * 1000
    ranks = tuple(
        hit.rank
        for hit in answer.hits
        if any((n, hit.page.number) in query.relevant for n in names[hit.page.document_id])
    )
    return Outcome(query.id, query.kind, ranks, len(query.relevant), ms)


def figures_by_kind(outcomes: list[Outcome]) -> dict[str, dict[str, float]]:
    """hit@1, hit@5, nDCG@10, MRR, count by kind; `all text` joins the kinds words answer."""
    kinds = sorted({outcome.kind for outcome in outcomes})
    table = {kind: _figures([o for o in outcomes if o.kind == kind]) for kind in kinds}
    words = [o for o in outcomes if o.kind not in {"photo", "image-query"}]
    if words:
        table["all text"] = _figures(words)
    return table


def _figures(outcomes: list[Outcome]) -> dict[str, float]:
    def share(depth: int) -> float:
        return fmean(bool(o.ranks) and o.ranks[0] <= depth for o in outcomes)

    return {
        "queries": len(outcomes),
        "hit@1": round(share(1), 4),
        "hit@5": round(share(5), 4),
        "ndcg@10": round(fmean(o.ndcg for o in outcomes), 4),
        "mrr": round(fmean(1 / o.ranks[0] if o.ranks else 0.0 for o in outcomes), 4),
    }


def _latency(outcomes: list[Outcome]) -> dict[str, float]:
    words = sorted(o.ms for o in outcomes if o.kind != "image-query")
    if not words:
        return {}
    return {"p50": round(median(words), 1), "p95": round(words[int(0.95 * (len(words) - 1))], 1)}


def _row(outcome: Outcome) -> dict[str, Any]:
    return {"id": outcome.id, "kind": outcome.kind, "ranks": list(outcome.ranks)}
