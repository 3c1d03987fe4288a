"""Indexes in the admin: their model, how far they are, what they hold, what the bits lose."""

from django.contrib import admin
from django.template.defaultfilters import filesizeformat

from searchapp import indexing
from searchapp.admin.base import STATUS_LABELS, ReadOnlyAdmin, column
from searchapp.admin.figures import index_figures, recall_sentence
from searchapp.admin.site import site
from searchapp.models import Index

_SHOWN = ("state_label", "progress", "vectors", "size", "recall")


@admin.register(Index, site=site)
class IndexAdmin(ReadOnlyAdmin):
    """A few rows at most, so each is counted as it is shown."""

    list_display = ("id", "model", "revision", "dimension", *_SHOWN, "created_at")
    fields = (
        *("model", "revision", "dimension"),
        *_SHOWN,
        *("created_at", "activated_at", "retired_at"),
    )
    readonly_fields = _SHOWN

    @column("State", ordering="state", label=STATUS_LABELS)
    def state_label(self, row: Index) -> str:
        """As a badge; `ready` for what is built and can be activated."""
        found = indexing.index_progress(row)
        is_whole = found.has_hnsw and not found.missing
        is_ready = row.state == Index.State.BUILDING and is_whole
        return "ready" if is_ready else row.state

    @column("Pages")
    def progress(self, row: Index) -> str:
        """How many of the searchable pages it holds."""
        found = indexing.index_progress(row)
        words = f"{found.pages - found.missing} of {found.pages}"
        if found.failed:
            words += f", {found.failed} failed"
        if found.seconds_left is not None:
            words += f", about {max(1, round(found.seconds_left / 60))} min left"
        return words if found.has_hnsw else f"{words}, without HNSW index"

    @column("Vectors")
    def vectors(self, row: Index) -> int:
        """Units stored."""
        return index_figures(row).vectors

    @column("On disk")
    def size(self, row: Index) -> str:
        """With its HNSW index."""
        return filesizeformat(index_figures(row).bytes)

    @column("Recall")
    def recall(self, row: Index) -> str:
        """What was measured last, and what to change."""
        return recall_sentence(row)
