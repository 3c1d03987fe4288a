"""Judged queries that people saved, as questions; and as a file, out and in. Asks nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction
from django.db.models import QuerySet

from searchapp import access, judging
from searchapp.errors import NotFound
from searchapp.evaluation.asking import Question
from searchapp.evaluation.questions import FileQuery, Place, half_of, queries_read, queries_write
from searchapp.models import JudgedQuery, Judgement, Page

_FOLDER = "documents"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import brought. missing: judged pages of documents that are not here."""

    queries: int
    judgements: int
    missing: int


def saved_questions() -> list[Question]:
    """All saved queries that have a page on which people agree, the oldest first.

    Where several people judged a page the majority counts; one they are divided on counts for
    nothing. A query whose picture is gone from storage is left out.
    """
    questions = []
    judged = Judgement.objects.values_list("page_id", "page__document__filename")
    names = dict(judged.distinct())
    for row in _rows():
        relevant, irrelevant = _agreed(row.judgements.all())
        if not relevant | irrelevant:
            continue
        try:
            parts = judging.query_parts(row)
        except NotFound:
            continue
        half = half_of(names[page_id] for page_id in relevant)
        questions.append(
            Question(str(row.pk), judging.query_kind(row), parts, relevant, irrelevant, half=half)
        )
    return questions


def _rows() -> QuerySet[JudgedQuery]:
    return JudgedQuery.objects.order_by("pk").prefetch_related("judgements")


def _agreed(judgements: Iterable[Judgement]) -> tuple[frozenset[int], frozenset[int]]:
    """The pages that more people call an answer than not, and the other way round."""
    balance: Counter[int] = Counter()
    for judgement in judgements:
        balance[judgement.page_id] += 1 if judgement.is_relevant else -1
    relevant = frozenset(page_id for page_id, count in balance.items() if count > 0)
    return relevant, frozenset(page_id for page_id, count in balance.items() if count < 0)


def saved_export(path: Path) -> int:
    """Write the saved queries in the format of `evaluate DIR`; how many.

    Documents are named `documents/<file name>`: beside the file, that folder makes it a set for
    `evaluate DIR`. `sha256` tells apart documents of one name where the file is imported again.
    """
    questions = saved_questions()
    places = _places({pk for q in questions for pk in q.relevant | q.irrelevant})
    queries = [
        FileQuery(
            id=f"saved-{question.id}",
            kind=question.kind,
            parts=question.parts,
            relevant=frozenset(places[pk] for pk in question.relevant),
            irrelevant=frozenset(places[pk] for pk in question.irrelevant),
        )
        for question in questions
    ]
    return queries_write(path, queries)


def _places(page_ids: set[int]) -> Mapping[int, Place]:
    rows = Page.objects.filter(pk__in=page_ids).values_list(
        "pk", "document__filename", "number", "document__sha256"
    )
    return {row[0]: Place(f"{_FOLDER}/{row[1]}", row[2], row[3]) for row in rows}


@transaction.atomic
def saved_import(path: Path) -> Imported:
    """Save the queries of a file, judged by nobody in particular; pages are found by the sha256 of
    their document, else by its file name. Raises InvalidInput as `queries_read`."""
    queries = queries_read(path)
    judged = missing = 0
    for query in queries:
        for places, is_relevant in ((query.relevant, True), (query.irrelevant, False)):
            for place in places:
                page = _page(place)
                if page is None:
                    missing += 1
                    continue
                judged += 1
                judging.judgement_set(
                    actor=access.SYSTEM,
                    parts=query.parts,
                    page_id=page,
                    is_relevant=is_relevant,
                    kind=query.kind,
                )
    return Imported(len(queries), judged, missing)


def _page(place: Place) -> int | None:
    pages = Page.objects.filter(number=place.page).order_by("-document_id")
    if place.sha256:
        pages = pages.filter(document__sha256=place.sha256)
    else:
        pages = pages.filter(document__filename=Path(place.file).name)
    return pages.values_list("pk", flat=True).first()
