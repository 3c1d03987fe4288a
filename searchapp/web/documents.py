"""Documents: the list, one document with all its pages, its original, retry and delete."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from searchapp import access, jobs, library, storage
from searchapp.access import Actor
from searchapp.errors import Forbidden, NotFound
from searchapp.models import Document, Page
from searchapp.web.edge import signed_in
from searchapp.web.progress import progress_of

DOCUMENTS_A_PAGE = 50
PAGES_A_PAGE = 60


@signed_in
@require_safe
def documents(request: HttpRequest) -> HttpResponseBase:
    """All visible documents, filtered by collection and status."""
    actor = Actor.from_user(request.user)
    chosen = {name: request.GET.get(name, "") for name in ("collection", "status")}
    # Counting groups the rows, and then the model's own order does not apply.
    found = library.document_list(actor, **chosen).order_by("-created_at", "-pk")
    listed = Paginator(found, DOCUMENTS_A_PAGE).get_page(request.GET.get("at"))
    first_pages = _first_pages(actor, [document.pk for document in listed])
    writable = _writable_ids(actor)
    rows = [
        {
            "document": document,
            "progress": progress_of(document),
            "first_page_id": first_pages.get(document.pk),
            "is_writable": document.collection_id in writable,
        }
        for document in listed
    ]
    context = {
        "rows": rows,
        "listed": listed,
        "chosen": chosen,
        "collections": library.collection_list(actor),
        "statuses": Document.Status.values,
        "has_demo": access.visible_collections(actor).filter(is_demo=True).exists(),
    }
    return render(request, "documents/list.html", context)


def _first_pages(actor: Actor, document_ids: list[int]) -> dict[int, int]:
    """Page id by document id: the first page that has a picture."""
    pages = access.visible_pages(actor).filter(document_id__in=document_ids).exclude(image="")
    first = pages.order_by("document_id", "number").distinct("document_id")
    return dict(first.values_list("document_id", "pk"))


def _writable_ids(actor: Actor) -> frozenset[int]:
    return frozenset(access.writable_collections(actor).values_list("pk", flat=True))


@signed_in
@require_safe
def document(request: HttpRequest, document_id: int) -> HttpResponseBase:
    """One document: facts, pages as a grid, what failed and why."""
    actor = Actor.from_user(request.user)
    shown = access.visible_document_get(actor, document_id)
    counted = library.with_counts(Document.objects.filter(pk=shown.pk)).get()
    pages = shown.pages.defer("words", "search").order_by("number")
    context = {
        "document": shown,
        "progress": progress_of(counted),
        "listed": Paginator(pages, PAGES_A_PAGE).get_page(request.GET.get("at")),
        "failed": pages.filter(state=Page.State.FAILED)[:100],
        "is_writable": shown.collection_id in _writable_ids(actor),
    }
    return render(request, "documents/one.html", context)


@signed_in
@require_safe
def original(request: HttpRequest, document_id: int) -> HttpResponseBase:
    """The uploaded file, streamed; never shown inline, whatever it contains."""
    shown = access.visible_document_get(Actor.from_user(request.user), document_id)
    if not shown.original:
        raise NotFound("file_missing", "The stored file is missing.")
    response = FileResponse(
        storage.file_open(shown.original),
        as_attachment=True,
        filename=shown.filename,
        content_type=shown.media_type,
    )
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox"
    return response


@signed_in
@require_POST
def delete(request: HttpRequest, document_id: int) -> HttpResponseBase:
    """Remove a document with all that was made of it."""
    actor = Actor.from_user(request.user)
    shown = access.visible_document_get(actor, document_id)
    library.document_delete(actor=actor, document=shown)
    messages.success(request, f"“{shown.title}” was deleted.")
    return redirect("documents")


@signed_in
@require_POST
def retry(request: HttpRequest, document_id: int) -> HttpResponseBase:
    """Try again what failed of a document."""
    actor = Actor.from_user(request.user)
    shown = access.visible_document_get(actor, document_id)
    access.require_writable(actor, shown)
    jobs.document_retry(shown)
    messages.success(request, f"“{shown.title}” is tried again.")
    return redirect("document", document_id=shown.pk)


@signed_in
@require_POST
def demo_remove(request: HttpRequest) -> HttpResponseBase:
    """Remove the demo set: administrators only."""
    if not Actor.from_user(request.user).is_superuser:
        raise Forbidden("administrators_only", "Only administrators may remove the demo set.")
    count = library.demo_remove()
    messages.success(request, f"The demo set is removed ({count} documents).")
    return redirect("search")
