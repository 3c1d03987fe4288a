"""Judged queries in the admin: what was asked, and who said what of which page."""

import base64

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from searchapp import judging, storage
from searchapp.admin.base import ReadOnlyAdmin, column, row_link
from searchapp.admin.site import site
from searchapp.errors import NotFound
from searchapp.models import JudgedQuery

_SHOWN = 200


@admin.register(JudgedQuery, site=site)
class JudgedQueryAdmin(ReadOnlyAdmin):
    """To be read, and to be removed where a verdict was a mistake."""

    list_display = ("__str__", "kind_shown", "right", "wrong", "created_by", "created_at")
    list_filter = ("kind",)
    list_select_related = ("created_by",)
    search_fields = ("text",)
    fields = ("text", "picture_shown", "kind_shown", "verdicts", "created_by", "created_at")
    readonly_fields = ("picture_shown", "kind_shown", "verdicts")

    def get_queryset(self, request: HttpRequest) -> QuerySet[JudgedQuery]:
        """With the numbers of verdicts."""
        rows: QuerySet[JudgedQuery] = super().get_queryset(request)
        return rows.annotate(
            right_count=Count("judgements", filter=Q(judgements__is_relevant=True)),
            wrong_count=Count("judgements", filter=Q(judgements__is_relevant=False)),
        )

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Whoever comes in here may."""
        return True

    def delete_model(self, request: HttpRequest, obj: JudgedQuery) -> None:
        """With the picture."""
        judging.judged_query_delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[JudgedQuery]) -> None:
        """With the pictures."""
        for row in queryset:
            judging.judged_query_delete(row)

    @column("Kind", ordering="kind")
    def kind_shown(self, row: JudgedQuery) -> str:
        """As the figures are grouped."""
        return judging.query_kind(row)

    @column("Answers", ordering="right_count")
    def right(self, row: JudgedQuery) -> int:
        """Verdicts that a page answers."""
        return int(getattr(row, "right_count", 0))

    @column("No answers", ordering="wrong_count")
    def wrong(self, row: JudgedQuery) -> int:
        """Verdicts that a page does not."""
        return int(getattr(row, "wrong_count", 0))

    @column("Picture")
    def picture_shown(self, row: JudgedQuery) -> str:
        """Inside the page: it belongs to no document whose rights could be checked elsewhere."""
        if not row.picture:
            return "none"
        try:
            encoded = base64.b64encode(storage.file_read(row.picture)).decode()
        except NotFound:
            return "gone from storage"
        return format_html(
            '<img src="data:image/jpeg;base64,{}" alt="{}" style="max-height: 240px">', encoded, row
        )

    @column("Verdicts")
    def verdicts(self, row: JudgedQuery) -> str:
        """The first of them, each with its page and person."""
        rows = row.judgements.select_related("page__document", "user").order_by("page_id")[:_SHOWN]
        lines = (
            (
                row_link(one.page),
                one.page.document,
                "answers" if one.is_relevant else "does not answer",
                one.user or "imported",
            )
            for one in rows
        )
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{} {}: {} ({})</li>", lines))
