"""Indexes in the admin: which model made them and what they hold. Read-only."""

from django.contrib import admin
from django.template.defaultfilters import filesizeformat

from searchapp.admin.base import STATUS_LABELS, ReadOnlyAdmin, column
from searchapp.admin.figures import index_figures
from searchapp.admin.site import site
from searchapp.models import Index


@admin.register(Index, site=site)
class IndexAdmin(ReadOnlyAdmin):
    """A few rows at most, so each is counted as it is shown."""

    list_display = (
        "model",
        "revision",
        "dimension",
        "state_label",
        "vectors",
        "size",
        "created_at",
    )
    fields = ("model", "revision", "dimension", "state_label", "vectors", "size", "created_at")
    readonly_fields = ("state_label", "vectors", "size")

    @column("State", ordering="state", label=STATUS_LABELS)
    def state_label(self, row: Index) -> str:
        """As a badge."""
        return row.state

    @column("Vectors")
    def vectors(self, row: Index) -> int:
        """Units stored."""
        return index_figures(row).vectors

    @column("On disk")
    def size(self, row: Index) -> str:
        """With its HNSW index."""
        return filesizeformat(index_figures(row).bytes)
