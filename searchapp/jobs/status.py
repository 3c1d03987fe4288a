"""A document's status, derived from its job and pages in one place, under a lock."""

from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from searchapp.errors import InvalidInput
from searchapp.jobs.wakeups import enqueue
from searchapp.models import Document, Job, Page


def document_refresh(document_id: int) -> None:
    """Derive a document's status from its job and pages, under a lock, in one place."""
    with transaction.atomic():
        job = Job.objects.select_for_update().filter(document_id=document_id).first()
        if job is None:
            return
        counts = Page.objects.filter(document_id=document_id).aggregate(
            total=Count("pk"),
            failed=Count("pk", filter=Q(state=Page.State.FAILED)),
            reading=Count("pk", filter=Q(step="read") & ~Q(state=Page.State.FAILED)),
            embedding=Count("pk", filter=Q(step="embed") & ~Q(state=Page.State.FAILED)),
        )
        status, code, message = _status(job, counts)
        Document.objects.filter(pk=document_id).exclude(
            status=status, error_code=code, error_message=message
        ).update(status=status, error_code=code, error_message=message, updated_at=timezone.now())
        if job.state == Job.State.PAGES and status in FINAL:
            job.state, job.finished_at = Job.State.DONE, timezone.now()
            job.save(update_fields=["state", "finished_at"])


_RETRIABLE = (Document.Status.PARTIAL, Document.Status.FAILED)
FINAL = (Document.Status.READY, Document.Status.PARTIAL, Document.Status.FAILED)


def _status(job: Job, counts: dict[str, int]) -> tuple[Document.Status, str, str]:
    if job.state == Job.State.FAILED:
        return Document.Status.FAILED, job.error_code, job.error_message
    if job.state == Job.State.QUEUED:
        return Document.Status.QUEUED, job.error_code, job.error_message
    if job.state == Job.State.RENDERING:
        return Document.Status.RENDERING, "", ""
    if counts["reading"]:
        return Document.Status.READING, "", ""
    if counts["embedding"]:
        return Document.Status.EMBEDDING, "", ""
    return _final_status(job, counts)


def _final_status(job: Job, counts: dict[str, int]) -> tuple[Document.Status, str, str]:
    if not counts["failed"]:
        return Document.Status.READY, "", ""
    failed = Page.objects.filter(document_id=job.document_id, state=Page.State.FAILED)
    numbers = [str(number) for number in failed.order_by("number").values_list("number", flat=True)]
    first = failed.order_by("number").first()
    code = first.error_code if first else ""
    reason = first.error_message if first else ""
    if counts["failed"] == counts["total"]:
        return Document.Status.FAILED, code, reason
    good = counts["total"] - counts["failed"]
    shown = ", ".join(numbers[:10]) + (" ..." if len(numbers) > 10 else "")
    message = f"{good} of {counts['total']} pages are searchable; failed: {shown}. {reason}"
    return Document.Status.PARTIAL, code, message


def document_reopen(document_id: int) -> None:
    """Some pages of a finished document wait again: count them anew."""
    Job.objects.filter(document_id=document_id, state=Job.State.DONE).update(
        state=Job.State.PAGES, finished_at=None
    )
    document_refresh(document_id)


def document_retry(document: Document) -> None:
    """Try a failed or partial document again: what is stored stays, the rest is done anew.

    Raises InvalidInput `not_failed` for one that is in work or whole.
    """
    with transaction.atomic():
        job = Job.objects.select_for_update().filter(document=document).first()
        document.refresh_from_db(fields=["status"])
        if job is None or document.status not in _RETRIABLE:
            raise InvalidInput(
                "not_failed", f"The document is {document.status}: there is nothing to try again."
            )
        document.pages.filter(state=Page.State.FAILED, image="").delete()
        document.pages.filter(state=Page.State.FAILED).update(
            state=Page.State.WAITING, attempts=0, not_before=None
        )
        Job.objects.filter(document=document).update(
            state=Job.State.QUEUED,
            attempts=0,
            not_before=None,
            error_code="",
            error_message="",
            finished_at=None,
        )
        document_refresh(document.pk)
        enqueue("render")
        enqueue("read")
        enqueue("embed")
