"""GET /meters/recall: what the prefilter loses, for administrators; measured by a command."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from searchapp.api.actor import reader_of
from searchapp.errors import NotFound
from searchapp.evaluation import recall_latest
from searchapp.models.indexes import index_active

router = Router()


class RecallOut(Schema):
    """The figures of `manage.py recall`, of the active index, with their date.

    queries: how many of each source. lanes: by lane, its vectors and a row for each oversampling.
    """

    measured_at: datetime
    index: int
    limit: int
    oversampling: int
    queries: dict[str, int]
    lanes: dict[str, Any]
    advice: str


@router.get("/meters/recall", response=RecallOut)
def recall_get(request: HttpRequest) -> RecallOut:
    """What was measured last. It tells of all collections, so administrators alone see it."""
    actor = reader_of(request)
    if not actor.is_superuser or actor.collection_ids is not None:
        raise NotFound("not_found", "There is nothing at this address.")
    index = index_active()
    measured = recall_latest(index)
    if measured is None:
        raise NotFound("not_measured", "Nothing was measured yet: run `manage.py recall`.")
    return RecallOut(measured_at=measured.created_at, index=index.pk, **measured.figures)
