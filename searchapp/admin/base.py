"""What the admin's lists share: rows to look at only, bounded lists, links and badges."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

_Method = TypeVar("_Method", bound=Callable[..., Any])

STATUS_LABELS = {
    "queued": "info",
    "rendering": "info",
    "reading": "info",
    "embedding": "info",
    "pages": "info",
    "waiting": "info",
    "claimed": "primary",
    "starting": "info",
    "building": "warning",
    "active": "success",
    "ready": "success",
    "done": "success",
    "partial": "warning",
    "failed": "danger",
}
"""unfold's badge for each state of documents, jobs, pages and indexes."""


def column(
    description: str,
    *,
    ordering: str | None = None,
    label: dict[str, str] | None = None,
) -> Callable[[_Method], _Method]:
    """unfold's `display`, typed: heading, field to sort by, badge colours by value."""
    decorate = display(description=description, ordering=ordering, label=label)
    return cast(Callable[[_Method], _Method], decorate)


class RowAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """What all lists have: short pages, and no second count without the filters."""

    list_per_page = 50
    show_full_result_count = False


class ReadOnlyAdmin(RowAdmin):
    """Rows that workers write: to be looked at, never added or edited by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody edits."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes here."""
        return False


def row_link(row: Model) -> str:
    """A link to a row's own admin page, with its name as text."""
    meta = row._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    return format_html(
        '<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', url, row
    )


def error_text(row: Any) -> str:
    """Code and message of a row that has both, empty when all is well."""
    return f"{row.error_message} [{row.error_code}]" if row.error_code else ""


def documents_summary(documents: QuerySet[Any], pages: QuerySet[Any]) -> list[str]:
    """What a deletion takes along, for the page that asks to confirm it."""
    titles = [str(document) for document in documents[:100]]
    count, shown = documents.count(), len(titles)
    more = [f"and {count - shown} more documents"] if count > shown else []
    return [*titles, *more, f"with {pages.count()} pages, their pictures, vectors and files"]
