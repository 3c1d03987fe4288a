"""How far documents are, by named step with counts; one request answers for many."""

from dataclasses import asdict, dataclass
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from searchapp import library
from searchapp.access import Actor, visible_documents
from searchapp.errors import InvalidInput
from searchapp.models import Document
from searchapp.web.edge import signed_in

MAX_IDS = 500
_FINAL = (Document.Status.READY, Document.Status.PARTIAL, Document.Status.FAILED)
_AWAITED = tuple(status for status in Document.Status if status not in _FINAL)
_MOST_COUNTED = 1000


def awaited_count(actor: Actor) -> int:
    """How many visible documents have pages on their way; counted up to 1,000."""
    return visible_documents(actor).filter(status__in=_AWAITED)[:_MOST_COUNTED].count()


@dataclass(frozen=True, slots=True)
class Progress:
    """One row of progress. `done` of `total` pages of the current step; total 0: not known yet."""

    id: int
    title: str
    status: str
    label: str
    done: int
    total: int
    is_final: bool
    error_code: str
    error: str
    url: str
    search_url: str


def progress_of(document: Any) -> Progress:
    """The progress of a document that `library.with_counts` has annotated."""
    done, total = _counts(document)
    url = reverse("document", args=[document.pk])
    return Progress(
        id=document.pk,
        title=document.title,
        status=document.status,
        label=_label(document, done, total),
        done=done,
        total=total,
        is_final=document.status in _FINAL,
        error_code=document.error_code,
        error=document.error_message,
        url=url,
        search_url=f"{reverse('search')}?document={document.pk}",
    )


def _counts(document: Any) -> tuple[int, int]:
    good = document.pages_total - document.pages_failed
    if document.status == Document.Status.RENDERING:
        return document.pages_total, document.page_count or 0
    if document.status == Document.Status.READING:
        return document.pages_read, good
    if document.status == Document.Status.QUEUED:
        return 0, 0
    return document.pages_done, good


def _label(document: Any, done: int, total: int) -> str:
    if document.status == Document.Status.FAILED:
        return "failed"
    if document.status == Document.Status.QUEUED:
        return "queued, will try again" if document.error_code else "queued"
    if document.status in _FINAL:
        count = f"{done} of {document.pages_total}" if document.pages_failed else f"{done}"
        return f"{document.status}, {count} {'page' if count == '1' else 'pages'}"
    return f"{document.status} {done} of {total}" if total else str(document.status)


def progress_list(actor: Actor, ids: list[int]) -> list[Progress]:
    """Rows of the visible ones among `ids`."""
    counted = library.with_counts(visible_documents(actor).filter(pk__in=ids))
    return [progress_of(document) for document in counted]


@signed_in
@require_safe
def documents_progress(request: HttpRequest) -> HttpResponseBase:
    """`?ids=1,2,3` -> `{"documents": [Progress, ...]}`; what one may not see is left out."""
    rows = progress_list(Actor.from_user(request.user), ids_parse(request.GET.get("ids", "")))
    return JsonResponse({"documents": [asdict(row) for row in rows]})


def ids_parse(text: str) -> list[int]:
    """Document ids separated by commas. Raises InvalidInput."""
    words = [word for word in text.split(",") if word]
    if len(words) > MAX_IDS or not all(is_id(word) for word in words):
        raise InvalidInput(
            "invalid_ids", f"ids: at most {MAX_IDS} numbers separated by commas.", field="ids"
        )
    return [int(word) for word in words]


def is_id(word: str) -> bool:
    """Whether `word` can be a row's number (64 bits)."""
    return word.isascii() and word.isdigit() and len(word) <= 18
