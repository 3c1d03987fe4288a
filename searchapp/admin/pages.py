"""Pages in the admin: their picture, their text, and where they stand. Read-only."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from searchapp import access
from searchapp.access import Actor
from searchapp.admin.base import STATUS_LABELS, ReadOnlyAdmin, column, error_text, row_link
from searchapp.admin.site import site
from searchapp.models import Page


@admin.register(Page, site=site)
class PageAdmin(ReadOnlyAdmin):
    """Pictures come from the API, which checks rights."""

    list_display = ("picture", "document_link", "number", "state_label", "text_source", "error")
    list_display_links = ("picture", "number")
    list_filter = ("step", "state", "text_source", "hidden", "error_code")
    list_select_related = ("document",)
    search_fields = ("document__title", "document__filename")
    ordering = ("-document_id", "number")
    fields = (
        "large_picture",
        ("document_link", "number", "hidden"),
        ("state_label", "attempts", "worker"),
        ("lease_until", "not_before"),
        "error",
        "notices",
        ("width", "height", "text_source"),
        "text",
        "notes",
    )
    readonly_fields = ("large_picture", "document_link", "state_label", "error")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Page]:
        """Without the word boxes, which may be long and are not shown."""
        return access.visible_pages(Actor.from_user(request.user)).defer("words", "search")

    @column("Picture")
    def picture(self, row: Page) -> str:
        """The thumbnail."""
        return _picture(row, "page_thumbnail", "max-height: 64px")

    @column("Picture")
    def large_picture(self, row: Page) -> str:
        """The page at its stored size."""
        return _picture(row, "page_image", "max-height: 480px; max-width: 100%")

    @column("Document", ordering="document__title")
    def document_link(self, row: Page) -> str:
        """To the document."""
        return row_link(row.document)

    @column("State", ordering="state", label=STATUS_LABELS)
    def state_label(self, row: Page) -> tuple[str, str]:
        """Step and state as one badge."""
        done = row.step == Page.Step.DONE
        return row.state, row.state if done else f"{row.step}: {row.state}"

    @column("Error")
    def error(self, row: Page) -> str:
        """Why it failed."""
        return error_text(row)


def _picture(row: Page, url_name: str, style: str) -> str:
    if not row.image:
        return "none"
    url = reverse(f"api:{url_name}", args=[row.pk])
    return format_html('<img src="{}" alt="{}" style="{}" loading="lazy">', url, row, style)
