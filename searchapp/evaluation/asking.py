"""Questions asked of the real search, with one setting or another. Writes nothing.

Asked as SYSTEM over all collections, whoever judged them.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from searchapp import access, engine, indexing
from searchapp.errors import InvalidInput
from searchapp.evaluation.figures import DEPTH, Outcome
from searchapp.evaluation.questions import HALVES
from searchapp.models import Page
from searchapp.search.query import Query
from searchapp.search.search import search_pages

logger = logging.getLogger(__name__)

_OVERSAMPLING = Query().oversampling


@dataclass(frozen=True, slots=True)
class Question:
    """A judged query with its pages as rows. missing: relevant pages that are not stored here.

    half: as `questions.half_of`.
    """

    id: str
    kind: str
    parts: tuple[engine.Part, ...]
    relevant: frozenset[int]
    irrelevant: frozenset[int] = frozenset()
    missing: int = 0
    half: str = HALVES[0]


@dataclass(frozen=True, slots=True)
class Setting:
    """What may differ between two runs. index: a row's id, None for the active one."""

    oversampling: int = _OVERSAMPLING
    index: int | None = None

    def __str__(self) -> str:
        index = "active index" if self.index is None else f"index {self.index}"
        return f"{index}, oversampling {self.oversampling}"


PRESENT = Setting()
"""As people search now."""


@dataclass(frozen=True, slots=True)
class Run:
    """All outcomes of one setting, in the order of the questions."""

    setting: Setting
    index: Mapping[str, object]
    outcomes: tuple[Outcome, ...]

    @property
    def bad(self) -> int:
        """How many hits were judged to be no answer."""
        return sum(outcome.bad for outcome in self.outcomes)


def setting_read(text: str) -> Setting:
    """`oversampling=8`, `index=3`, or both with a comma between. Raises InvalidInput."""
    given: dict[str, int] = {}
    for item in filter(None, text.replace(" ", "").split(",")):
        name, _, value = item.partition("=")
        if name not in asdict(Setting()) or not (value.isascii() and value.isdigit()):
            raise InvalidInput(
                "bad_setting",
                f"'{item}' is no setting: write oversampling=8 or index=3, or both with a comma.",
                field="setting",
            )
        given[name] = int(value)
    return Setting(**given)


def questions_ask(questions: Sequence[Question], setting: Setting = PRESENT) -> Run:
    """Ask all of them; one that cannot be asked is left out. Raises NotFound (index) and what
    `search_pages` raises."""
    index = None if setting.index is None else indexing.index_get(setting.index)
    labels = _labels(questions)
    outcomes, described = [], dict[str, object]()
    for question in questions:
        query = Query(parts=question.parts, limit=DEPTH, oversampling=setting.oversampling)
        began = time.perf_counter()
        try:
            answer = search_pages(actor=access.SYSTEM, query=query, index=index)
        except InvalidInput as error:
            if not (error.field or "").startswith("query"):
                raise
            logger.warning("question %s is left out: %s", question.id, error.message)
            continue
        ms = (time.perf_counter() - began) * 1000
        pages = [hit.page.pk for hit in answer.hits]
        outcomes.append(_outcome(question, pages, ms, labels))
        described = dict(answer.index)
    return Run(setting, described, tuple(outcomes))


@dataclass(frozen=True, slots=True)
class _Label:
    language: str
    file_type: str


def _labels(questions: Iterable[Question]) -> dict[int, _Label]:
    """By page: what the figures are grouped by."""
    wanted = {page_id for question in questions for page_id in question.relevant}
    rows = Page.objects.filter(pk__in=wanted).values_list("pk", "language", "document__kind")
    return {row[0]: _Label(row[1] or "unknown", row[2]) for row in rows}


def _outcome(
    question: Question, pages: Sequence[int], ms: float, labels: Mapping[int, _Label]
) -> Outcome:
    known = sorted(page_id for page_id in question.relevant if page_id in labels)
    label = labels[known[0]] if known else _Label("unknown", "unknown")
    return Outcome(
        id=question.id,
        kind=question.kind,
        ranks=tuple(rank for rank, pk in enumerate(pages, start=1) if pk in question.relevant),
        relevant=len(question.relevant) + question.missing,
        ms=ms,
        language=label.language,
        file_type=label.file_type,
        half=question.half,
        bad=sum(pk in question.irrelevant for pk in pages),
    )


def setting_described(run: Run) -> dict[str, Any]:
    """The setting and the index that answered, as JSON can hold it."""
    return asdict(run.setting) | {"answered_by": dict(run.index)}
