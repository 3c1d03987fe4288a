"""What the dashboard and the list of indexes show: counts and sizes, read from rows and cache."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Count, Min, Sum

from searchapp import jobs
from searchapp.evaluation import recall_latest
from searchapp.models import Document, Index, Job, Page

_FAILED_SHOWN = 20


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """One step's queue. `oldest`: when the document that waits longest came in."""

    name: str
    waiting: int
    at_work: int
    oldest: datetime | None
    has_worker: bool


@dataclass(frozen=True, slots=True)
class IndexFigures:
    """What an index holds; `bytes` counts its partition with HNSW index and TOAST."""

    vectors: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Everything on the first page. `statuses`: (status, documents) in order of the flow."""

    statuses: tuple[tuple[str, int], ...]
    documents: int
    pages: int
    bytes: int
    queues: tuple[QueueFigures, ...]
    index: Index | None
    index_figures: IndexFigures | None
    recall: str
    failed: tuple[Document, ...]
    failed_count: int


def dashboard_get() -> Dashboard:
    """Read all figures; without Redis no worker counts as alive."""
    counts = dict(Document.objects.order_by().values_list("status").annotate(Count("pk")))
    index = Index.objects.filter(state=Index.State.ACTIVE).first()
    failed = Document.objects.filter(status__in=[Document.Status.FAILED, Document.Status.PARTIAL])
    return Dashboard(
        statuses=tuple((str(status), counts.get(status, 0)) for status in Document.Status.values),
        documents=sum(counts.values()),
        pages=Page.objects.count(),
        bytes=Document.objects.aggregate(bytes=Sum("bytes"))["bytes"] or 0,
        queues=_queues(),
        index=index,
        index_figures=index_figures(index) if index else None,
        recall=recall_sentence(index) if index else "",
        failed=tuple(failed.select_related("collection")[:_FAILED_SHOWN]),
        failed_count=failed.count(),
    )


def _queues() -> tuple[QueueFigures, ...]:
    alive = jobs.workers_alive()
    return (
        _render_queue(alive["render"]),
        _page_queue("read", Page.Step.READ, alive["render"]),
        _page_queue("embed", Page.Step.EMBED, alive["embed"]),
    )


def _render_queue(has_worker: bool) -> QueueFigures:
    waiting = Job.objects.filter(state=Job.State.QUEUED).aggregate(
        count=Count("pk"), oldest=Min("created_at")
    )
    at_work = Job.objects.filter(state=Job.State.RENDERING).count()
    return QueueFigures("render", waiting["count"], at_work, waiting["oldest"], has_worker)


def _page_queue(name: str, step: Page.Step, has_worker: bool) -> QueueFigures:
    """Pages have no date of their own; their document's is what people wait since."""
    waiting = Page.objects.filter(step=step, state=Page.State.WAITING).aggregate(
        count=Count("pk"), oldest=Min("document__created_at")
    )
    at_work = Page.objects.filter(step=step, state=Page.State.CLAIMED).count()
    return QueueFigures(name, waiting["count"], at_work, waiting["oldest"], has_worker)


def index_figures(index: Index) -> IndexFigures:
    """Vectors and bytes of an index; zeros when its partition is gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM searchapp_embedding WHERE index_id = %s),"
            " coalesce(pg_total_relation_size(to_regclass(%s)), 0)",
            [index.pk, f"searchapp_embedding_{index.pk}"],
        )
        vectors, size = cursor.fetchone()
    return IndexFigures(vectors=vectors, bytes=size)


def recall_sentence(index: Index) -> str:
    """What the prefilter loses, what to change, and when that was measured."""
    measured = recall_latest(index)
    if measured is None:
        return "Recall was not measured yet: run `manage.py recall`."
    return f"{measured.figures['advice']} ({measured.created_at:%Y-%m-%d})"
