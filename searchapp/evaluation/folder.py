"""Measured quality of a folder: ingest it into a scratch database, ask its queries, score."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from searchapp import engine, indexing
from searchapp.errors import InvalidInput
from searchapp.evaluation.asking import PRESENT, Question, Run, Setting, questions_ask
from searchapp.evaluation.comparison import Comparison, compare
from searchapp.evaluation.figures import report as figures_report
from searchapp.evaluation.questions import FileQuery, Place, half_of, queries_read
from searchapp.evaluation.scratch import Ingested, Report, files_of, folder_ingest, scratch_database
from searchapp.models import Page

QUERIES = "queries.jsonl"
_Asked = TypeVar("_Asked")


def evaluate(
    folder: Path,
    *,
    report: Report,
    setting: Setting = PRESENT,
    half: str = "",
) -> dict[str, Any]:
    """Ingest, ask, score: figures by kind, language, type and half, latency, pages per second.

    Raises InvalidInput for a folder that does not follow the format.
    """

    def ask(questions: list[Question]) -> Run:
        return questions_ask(questions, setting)

    ingested, run = _asked(folder, ask, report)
    return {
        "model": engine.spec().name,
        "dimension": engine.dimension(),
        "documents": len(set(ingested.documents.values())),
        "setting": str(setting),
        "ingest": ingested.described(),
    } | figures_report(run.outcomes, half=half)


def evaluate_against(
    folder: Path, first: Setting, second: Setting, *, report: Report, half: str = ""
) -> Comparison:
    """Ingest once, ask with both settings. Raises InvalidInput as `evaluate`."""

    def ask(questions: list[Question]) -> Comparison:
        return compare([q for q in questions if half in ("", q.half)], first, second)

    return _asked(folder, ask, report)[1]


def _asked(
    folder: Path, ask: Callable[[list[Question]], _Asked], report: Report
) -> tuple[Ingested, _Asked]:
    queries = queries_read(folder / QUERIES)
    files = files_of(folder, queries)
    if not files:
        raise InvalidInput("bad_query", f"None of the files that {QUERIES} names is in {folder}.")
    with scratch_database(report):
        indexing.index_ensure()
        ingested = folder_ingest(folder, [f for f in files if f.name != QUERIES], report)
        return ingested, ask(_questions(queries, ingested.documents))


def _questions(queries: Iterable[FileQuery], documents: Mapping[str, int]) -> list[Question]:
    rows = Page.objects.values_list("document_id", "number", "pk")
    pages = {(document_id, number): pk for document_id, number, pk in rows}

    def found(places: Iterable[Place]) -> tuple[frozenset[int], int]:
        """Ids of the pages that are stored, and how many are not."""
        keys = {(documents.get(place.file, place.file), place.page) for place in places}
        stored = frozenset(pages[key] for key in keys if key in pages)
        return stored, len(keys) - len(stored)

    return [
        Question(
            id=query.id,
            kind=query.kind,
            parts=query.parts,
            relevant=(relevant := found(query.relevant))[0],
            irrelevant=found(query.irrelevant)[0],
            missing=relevant[1],
            half=half_of(place.file for place in query.relevant),
        )
        for query in queries
    ]
