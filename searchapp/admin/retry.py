"""Trying documents again, for the dashboard's button and the actions of two lists."""

from collections.abc import Iterable

from searchapp import jobs
from searchapp.models import Document

_RETRYABLE = (Document.Status.FAILED, Document.Status.PARTIAL)


def documents_retry(documents: Iterable[Document]) -> int:
    """Queue those that failed, wholly or in part; how many. The others are at work or done."""
    failed = [document for document in documents if document.status in _RETRYABLE]
    for document in failed:
        jobs.document_retry(document)
    return len(failed)
