"""Documents and their jobs in the admin: looked at, tried again, deleted; never edited here."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action

from searchapp import library
from searchapp.access import Actor
from searchapp.admin.base import (
    STATUS_LABELS,
    ReadOnlyAdmin,
    column,
    documents_summary,
    error_text,
    row_link,
)
from searchapp.admin.retry import documents_retry
from searchapp.admin.site import site
from searchapp.models import Document, Job, Page


def _retry_report(request: HttpRequest, documents: list[Document]) -> None:
    tried = documents_retry(documents)
    messages.success(request, f"{tried} of {len(documents)} documents are tried again.")
    if tried < len(documents):
        messages.info(request, "Only failed and partial documents can be tried again.")


@admin.register(Document, site=site)
class DocumentAdmin(ReadOnlyAdmin):
    """Deleting takes pages, vectors and files along."""

    list_display = (
        "title",
        "collection",
        "kind",
        "status_label",
        "pages_progress",
        "error",
        "size",
        "created_at",
    )
    list_filter = ("status", "kind", "collection", "error_code", "created_at")
    list_select_related = ("collection",)
    search_fields = ("title", "filename", "error_message")
    actions = ("retry_failed",)
    actions_list = ("upload",)
    fields = (
        ("status_label", "pages_link"),
        "error",
        "title",
        ("filename", "media_type", "size"),
        "collection",
        ("tags", "metadata"),
        "notices",
        ("source", "created_by", "created_at", "updated_at"),
        "sha256",
    )
    readonly_fields = ("status_label", "pages_link", "error", "size", "created_at", "updated_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        """With the page counts of `library.document_list`."""
        documents: QuerySet[Document] = library.document_list(Actor.from_user(request.user))
        return documents

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever is in the admin may."""
        return True

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """What goes along, as a summary: one document may have 5000 pages."""
        documents = Document.objects.filter(pk__in=[row.pk for row in objs])
        pages = Page.objects.filter(document__in=documents)
        counts = {"documents": documents.count(), "pages": pages.count()}
        return documents_summary(documents, pages), counts, set(), []

    def delete_model(self, request: HttpRequest, obj: Document) -> None:
        """Rows, vectors and files."""
        library.document_delete(actor=Actor.from_user(request.user), document=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        """One by one: a bulk delete would leave the files."""
        for document in queryset:
            self.delete_model(request, document)

    @admin.action(description="Try failed documents again")
    def retry_failed(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        """Those that did not fail are left alone."""
        _retry_report(request, list(queryset))

    @action(description="Upload files", icon="upload")  # type: ignore[untyped-decorator]
    def upload(self, request: HttpRequest) -> HttpResponse:
        """The browser's upload page, which shows progress."""
        return redirect("upload")

    @column("Status", ordering="status", label=STATUS_LABELS)
    def status_label(self, row: Document) -> str:
        """As a badge."""
        return row.status

    @column("Pages")
    def pages_progress(self, row: Any) -> str:
        """How many can be searched, of how many."""
        total = "?" if row.page_count is None else row.page_count
        failed = f", {row.pages_failed} failed" if row.pages_failed else ""
        return f"{row.pages_done} of {total}{failed}"

    @column("Pages")
    def pages_link(self, row: Document) -> str:
        """The same, leading to the pages."""
        url = reverse("admin:searchapp_page_changelist")
        return format_html(
            '<a href="{}?document__id__exact={}" class="text-primary-600">{}</a>',
            url,
            row.pk,
            self.pages_progress(row),
        )

    @column("Error")
    def error(self, row: Document) -> str:
        """Why it failed."""
        return error_text(row)

    @column("Size", ordering="bytes")
    def size(self, row: Document) -> str:
        """For people."""
        return filesizeformat(row.bytes)


@admin.register(Job, site=site)
class JobAdmin(ReadOnlyAdmin):
    """Who works on what, and since when a worker owes a sign of life."""

    list_display = (
        "document_link",
        "state_label",
        "attempts",
        "worker",
        "lease_until",
        "not_before",
        "error",
        "created_at",
        "finished_at",
    )
    list_display_links = ("state_label",)
    list_filter = ("state", "error_code")
    list_select_related = ("document",)
    search_fields = ("document__title", "document__filename", "worker")
    actions = ("retry_failed",)

    @admin.action(description="Try failed jobs again")
    def retry_failed(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """A job is tried again as its document."""
        _retry_report(request, [job.document for job in queryset.select_related("document")])

    @column("Document", ordering="document__title")
    def document_link(self, row: Job) -> str:
        """To the document."""
        return row_link(row.document)

    @column("State", ordering="state", label=STATUS_LABELS)
    def state_label(self, row: Job) -> str:
        """As a badge."""
        return row.state

    @column("Error")
    def error(self, row: Job) -> str:
        """Of the last attempt."""
        return error_text(row)
