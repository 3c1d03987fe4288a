"""render and read: from a stored file to pages with pictures and text.

Each `*_next` does one claimed piece of work and says whether there was any; workers and commands
call them in loops. Files are written before rows, so that a row never points to nothing.
"""

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import IntegrityError

from searchapp import engine, jobs, storage
from searchapp.errors import NotFound, RenderFailed, SearchappError, unexpected
from searchapp.languages import language_get
from searchapp.models import Document, Job, Page, PageKeypoints
from searchapp.models.lexical import page_search_vector
from searchapp.rendering.formats import FORMATS
from searchapp.rendering.sandbox import render
from searchapp.rendering.types import RenderedPage, RenderLimits, RenderTask, SourceFacts
from searchapp.storage import storage_error

logger = logging.getLogger(__name__)

# A wake-up each so many stored pages: embedding starts while the rest is still rendered.
_WAKE_EVERY = 8


class ClaimLost(Exception):
    """The document is gone or another worker has the job: stop quietly."""


def render_next() -> bool:
    """Render one waiting document. False when none waits."""
    job = jobs.job_claim()
    if job is None:
        return False
    try:
        with jobs.lease_held(lambda: jobs.job_heartbeat(job)) as is_mine:
            _render(job, is_mine)
        jobs.job_rendered(job)
    except ClaimLost:
        logger.info("claim of job %s lost, stopping", job.pk)
        if not Document.objects.filter(pk=job.document_id).exists():
            storage.files_delete(job.document_id)
    except SearchappError as error:
        logger.warning("document %s: %s", job.document_id, error)
        jobs.job_failed(job, error)
    except OSError as error:
        logger.exception("document %s", job.document_id)
        jobs.job_failed(job, storage_error(error))
    except Exception as error:  # noqa: BLE001  (the top of a task)
        jobs.job_failed(job, unexpected(error, f"document {job.document_id}"))
    finally:
        _wake_steps()
    return True


def _render(job: Job, is_mine: Callable[[], bool]) -> None:
    document = Document.objects.get(pk=job.document_id)
    stored = frozenset(document.pages.exclude(image="").values_list("number", flat=True))
    document.pages.filter(image="").delete()
    with (
        tempfile.TemporaryDirectory(dir=storage.temporary_dir(), prefix="render-") as workdir,
        storage.local_copy(document.original) as source,
    ):
        task = RenderTask(
            source=source,
            file_type=FORMATS[document.media_type].file_type,
            workdir=Path(workdir),
            limits=RenderLimits(**settings.RENDER_LIMITS),
            skip=stored,
        )
        count = len(stored)
        for item in render(task):
            if not is_mine():
                raise ClaimLost
            if isinstance(item, SourceFacts):
                _facts_store(document, item)
                continue
            _page_store(document, item)
            count += 1
            if count % _WAKE_EVERY == 1:
                _wake_steps()
    if count == 0:
        raise RenderFailed("no_pages", "The file has no page that can be shown.")


def _facts_store(document: Document, facts: SourceFacts) -> None:
    updated = Document.objects.filter(pk=document.pk).update(
        page_count=facts.page_count, notices=list(facts.notices)
    )
    if not updated:
        raise ClaimLost


def _page_store(document: Document, rendered: RenderedPage) -> None:
    page = Page(
        document=document,
        number=rendered.number,
        hidden=rendered.hidden,
        width=rendered.width,
        height=rendered.height,
        text=rendered.text.replace("\x00", ""),
        words=[[word.text, word.x0, word.y0, word.x1, word.y1] for word in rendered.words],
        text_source=Page.TextSource.LAYER if rendered.has_text_layer else Page.TextSource.NONE,
        notes=rendered.notes.replace("\x00", ""),
        notices=list(rendered.notices),
        error_code=rendered.error_code,
        error_message=rendered.error_message,
        language=language_get(f"{rendered.text}\n{rendered.notes}"),
    )
    points = engine.Keypoints.none()
    if rendered.error_code:
        page.state = Page.State.FAILED
    else:
        points = _keypoints(rendered.image.read_bytes()) if rendered.image else points
        _pictures_store(page, rendered)
        needs_reading = settings.OCR and not rendered.has_text_layer
        page.step = Page.Step.READ if needs_reading else Page.Step.EMBED
    _page_insert(document, page)
    if page.image:
        stored = document.pages.filter(number=page.number).values_list("pk", flat=True)
        _keypoints_insert(document.collection_id, dict.fromkeys(stored, points))


def _keypoints(picture: bytes) -> engine.Keypoints:
    """None where the picture cannot be used: it is a page all the same."""
    try:
        return engine.page_keypoints(picture)
    except SearchappError as error:
        logger.warning("no keypoints: %s", error)
        return engine.Keypoints.none()


def _keypoints_insert(collection_id: int, points: Mapping[int, engine.Keypoints]) -> None:
    """By page id. Pages that have some keep them."""
    rows = [
        PageKeypoints(
            page_id=page_id, collection_id=collection_id, words=one.words, points=one.to_bytes()
        )
        for page_id, one in points.items()
    ]
    try:
        PageKeypoints.objects.bulk_create(rows, ignore_conflicts=True)
    except IntegrityError as error:  # the document was deleted meanwhile
        raise ClaimLost from error


def keypoints_fill(pages: Sequence[Page]) -> None:
    """Keypoints of those that have a picture and no points yet."""
    have = set(PageKeypoints.objects.filter(page__in=pages).values_list("page_id", flat=True))
    for page in pages:
        if not page.image or page.pk in have:
            continue
        try:
            points = _keypoints(storage.file_read(page.image))
            _keypoints_insert(page.document.collection_id, {page.pk: points})
        except (NotFound, ClaimLost) as error:
            logger.warning("page %s: %s", page, error)


def _pictures_store(page: Page, rendered: RenderedPage) -> None:
    for field, path in (("image", rendered.image), ("thumbnail", rendered.thumbnail)):
        if path is None:
            continue
        suffix = (".thumb" if field == "thumbnail" else "") + path.suffix
        name = storage.page_name(page.document_id, page.number, suffix)
        with path.open("rb") as content:
            default_storage.save(name, File(content))
        setattr(page, field, name)
        path.unlink()


def _page_insert(document: Document, page: Page) -> None:
    page.search = search_vector(document, page)
    try:
        Page.objects.bulk_create([page], ignore_conflicts=True)
    except IntegrityError as error:  # the document was deleted meanwhile
        raise ClaimLost from error


def search_vector(document: Document, page: Page) -> object:
    """By which words the page is found: those of its document's names, its text and notes."""
    return page_search_vector(
        title=document.title, filename=document.filename, text=page.text, notes=page.notes
    )


def read_next() -> bool:
    """Read (OCR) one waiting page. False when none waits."""
    pages = jobs.pages_claim(Page.Step.READ, 1)
    if not pages:
        return False
    page = pages[0]
    try:
        with jobs.lease_held(lambda: jobs.pages_heartbeat(pages)):
            _read(page)
    except SearchappError as error:
        logger.warning("page %s: %s", page, error)
        jobs.page_failed(page, error)
    except Exception as error:  # noqa: BLE001  (the top of a task)
        jobs.page_failed(page, unexpected(error, f"page {page}"))
    jobs.document_refresh(page.document_id)
    jobs.wake("embed")
    return True


def _read(page: Page) -> None:
    reading = engine.read(storage.file_read(page.image))
    if reading.text.strip():
        page.text = reading.text.replace("\x00", "")
        page.words = [[word.text, word.x0, word.y0, word.x1, word.y1] for word in reading.words]
        page.text_source = Page.TextSource.OCR
    jobs.page_advance(
        page,
        Page.Step.EMBED,
        text=page.text,
        words=page.words,
        text_source=page.text_source,
        language=language_get(f"{page.text}\n{page.notes}"),
        search=search_vector(page.document, page),
    )


def _wake_steps() -> None:
    waiting = Page.objects.filter(state=Page.State.WAITING)
    if waiting.filter(step=Page.Step.READ).exists():
        jobs.wake("read")
    if waiting.filter(step=Page.Step.EMBED).exists():
        jobs.wake("embed")
