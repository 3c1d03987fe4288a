"""Pages of an earlier version get the words, language and points that this one gives to new ones.

What is left is a row (Renewal), so it goes on where it was cut off. Knows no vectors: those are
made anew by `index build --again`.
"""

from collections.abc import Callable, Sequence

from django.db import transaction
from django.db.models import QuerySet

from searchapp import ingest
from searchapp.languages import language_get
from searchapp.models import Index, Page, Renewal


def renewal_note() -> str:
    """What is to be done, in a sentence; empty when nothing is."""
    renewal = Renewal.objects.first()
    left = _left(renewal).count() if renewal else 0
    if not left:
        return ""
    return f"{left:,} pages are of an earlier version: run `manage.py renew` when it suits"


def pages_renew(report: Callable[[str], object], *, batch: int = 100) -> int:
    """All that are left, a transaction for each batch; how many. Beside searches and uploads."""
    renewal = Renewal.objects.first()
    if renewal is None:
        return 0
    total, renewed = _left(renewal).count(), 0
    while rows := list(_left(renewal)[:batch]):
        _renew(rows)
        renewal.done = rows[-1].pk
        renewal.save(update_fields=["done"])
        renewed += len(rows)
        report(f"{renewed:,} of {total:,} pages")
    if Index.objects.filter(state=Index.State.ACTIVE, created_at__lt=renewal.created_at).exists():
        report(_BUILD)
    renewal.delete()
    return renewed


_BUILD = (
    "The active index is of an earlier version too. To embed pages as this one does, run "
    "`manage.py index build --again`, then `index activate`."
)


def _left(renewal: Renewal) -> QuerySet[Page]:
    left = Page.objects.filter(pk__gt=renewal.done, pk__lte=renewal.until)
    return left.select_related("document").defer("words", "search").order_by("pk")


def _renew(pages: Sequence[Page]) -> None:
    ingest.keypoints_fill(pages)
    with transaction.atomic():
        for page in pages:
            Page.objects.filter(pk=page.pk).update(
                search=ingest.search_vector(page.document, page),
                language=language_get(f"{page.text}\n{page.notes}"),
            )
