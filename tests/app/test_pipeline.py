"""render, read, embed: every page once, failures told, nothing left behind."""

import contextlib
import subprocess
import threading
import time
from datetime import timedelta

import pytest
import redis
from celery import current_app
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from searchapp import indexing, ingest, jobs, library
from searchapp.access import Actor
from searchapp.errors import InvalidInput, RenderFailed, SearchappError
from searchapp.jobs.claims import machine_name
from searchapp.models import Document, Job, Page
from tests.app.conftest import (
    People,
    drain,
    index_switch,
    ingested,
    pdf_make,
    png_make,
    upload,
)

pytestmark = pytest.mark.django_db(transaction=True)


def broker() -> redis.Redis:
    """The database of the Redis that holds the messages; the cache lies in another."""
    with current_app.connection_for_read() as broker_connection:
        client: redis.Redis = broker_connection.default_channel.client
        return client


def vectors_of(document: Document) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM searchapp_embedding e JOIN searchapp_page p ON p.id = e.page_id"
            " WHERE p.document_id = %s",
            [document.pk],
        )
        row = cursor.fetchone()
    return int(row[0])


def test_pdf_becomes_pages_with_pictures_text_and_vectors(people: People) -> None:
    document = ingested(people, pdf_make(), "report.pdf")
    assert (document.status, document.page_count) == ("ready", 3)
    pages = list(document.pages.order_by("number"))
    assert [page.number for page in pages] == [1, 2, 3]
    assert "vacation" in pages[1].text
    assert pages[1].text_source == "layer"
    assert pages[1].words[0][0] == "Employees"
    assert all(default_storage.exists(page.image) for page in pages)
    assert all(default_storage.exists(page.thumbnail) for page in pages)
    assert vectors_of(document) == 3
    assert document.job.state == Job.State.DONE


def test_picture_is_read(people: People) -> None:
    document = ingested(people, png_make("Emergency exit plan"), "exit.png")
    page = document.pages.get()
    assert page.text_source == "ocr"
    assert "emergency" in page.text.lower()
    assert all(0 <= value <= 1 for word in page.words for value in word[1:])


def test_blank_page_counts(people: People) -> None:
    document = ingested(people, pdf_make(["one page", "", "another page"]), "blank.pdf")
    assert (document.status, document.pages.count()) == ("ready", 3)


def test_lost_render_is_taken_back_and_ends_with_each_page_once(people: People) -> None:
    document = upload(people, pdf_make(), "report.pdf")
    job = jobs.job_claim()
    assert job is not None
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1), worker="dead:1")
    assert jobs.job_claim() is None
    assert jobs.sweep()["jobs_back"] == 1
    drain()
    document.refresh_from_db()
    assert document.status == "ready"
    assert vectors_of(document) == 3


def test_pages_stored_before_a_crash_are_kept(people: People) -> None:
    document = ingested(people, pdf_make(), "report.pdf")
    first = document.pages.get(number=1).pk
    document.pages.exclude(pk=first).delete()
    Job.objects.update(state=Job.State.QUEUED)
    drain()
    document.refresh_from_db()
    assert document.status == "ready"
    assert document.pages.count() == 3
    assert document.pages.get(number=1).pk == first


def test_a_worker_that_lost_its_claim_changes_nothing(people: People) -> None:
    document = ingested(people, pdf_make(["only page"]), "one.pdf")
    Page.objects.update(step="embed", state="waiting")
    (page,) = jobs.pages_claim(Page.Step.EMBED, 5)
    Page.objects.update(worker="other:1")
    assert jobs.page_advance(page, Page.Step.DONE) is False
    jobs.page_failed(page, SearchappError("x", "y"))
    page.refresh_from_db()
    assert (page.state, page.worker) == ("claimed", "other:1")
    assert vectors_of(document) == 1


def test_embedding_again_does_not_double(people: People) -> None:
    document = ingested(people, pdf_make(), "report.pdf")
    Page.objects.update(step="embed", state="waiting")
    drain()
    assert vectors_of(document) == 3


def test_page_that_kills_its_worker_is_given_up(people: People) -> None:
    document = ingested(people, pdf_make(), "report.pdf")
    document.pages.filter(number=2).update(
        step="embed",
        state="claimed",
        attempts=jobs.MAX_ATTEMPTS,
        lease_until=timezone.now() - timedelta(seconds=1),
    )
    jobs.sweep()
    document.refresh_from_db()
    assert document.status == "partial"
    assert "2 of 3 pages are searchable; failed: 2" in document.error_message
    jobs.document_retry(document)
    drain()
    document.refresh_from_db()
    assert (document.status, document.error_message) == ("ready", "")


def test_only_what_failed_can_be_tried_again(people: People) -> None:
    document = ingested(people, pdf_make(), "report.pdf")
    with pytest.raises(InvalidInput, match="ready"):
        jobs.document_retry(document)
    assert document.job.state == Job.State.DONE


def test_a_dead_worker_of_this_host_is_not_waited_for(people: People) -> None:
    document = upload(people, pdf_make(), "report.pdf")
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert jobs.job_claim() is not None
    Job.objects.update(worker=f"{machine_name()}:{gone.pid}")
    assert jobs.sweep()["jobs_back"] == 1
    assert jobs.job_claim() is not None
    assert jobs.sweep()["jobs_back"] == 0
    assert document.pages.count() == 0


def test_a_status_left_behind_by_a_dead_worker_is_mended(people: People) -> None:
    """It died after its last page and before it told the document."""
    document = ingested(people, pdf_make(), "report.pdf")
    Document.objects.update(status="embedding")
    Job.objects.update(state=Job.State.PAGES)
    assert jobs.sweep()["mended"] == 1
    document.refresh_from_db()
    assert (document.status, document.job.state) == ("ready", Job.State.DONE)
    Document.objects.update(status="rendering")
    Job.objects.update(state=Job.State.FAILED, error_code="x")
    assert jobs.sweep()["mended"] == 1
    assert Document.objects.get().status == "failed"


def test_one_bad_page_does_not_hold_up_its_batch(people: People) -> None:
    index_switch("fake")
    document = upload(people, pdf_make(), "report.pdf")
    ingest.render_next()
    # Its picture is gone and the model that sees wants it: this page alone cannot be embedded.
    default_storage.delete(document.pages.get(number=2).image)
    drain()
    states = dict(document.pages.values_list("number", "state"))
    assert states == {1: "done", 2: "failed", 3: "done"}
    document.refresh_from_db()
    assert document.status == "partial"


def test_one_message_a_queue_waits_at_a_time(people: People) -> None:
    queue = broker()
    queue.delete("embed")
    jobs.woken("embed")
    for _ in range(5):
        jobs.wake("embed")
    assert queue.llen("embed") == 1
    jobs.woken("embed")
    jobs.wake("embed")
    assert queue.llen("embed") == 2
    queue.delete("embed")


def test_a_document_deleted_while_a_page_comes_in(people: People) -> None:
    """The page is stored by another connection between the delete's statements."""
    document = upload(people, pdf_make(), "report.pdf")
    job = jobs.job_claim()
    assert job is not None
    with transaction.atomic():
        list(Document.objects.select_for_update().filter(pk=document.pk))
        storing = threading.Thread(target=_render_quietly, args=(job,))
        storing.start()
        time.sleep(1)
        Document.objects.filter(pk=document.pk).delete()
    storing.join()
    assert not Page.objects.exists()


def _render_quietly(job: Job) -> None:
    with contextlib.suppress(ingest.ClaimLost, Document.DoesNotExist):
        ingest._render(job, lambda: True)
    connection.close()


def test_engine_away_means_waiting_not_failing(people: People, settings: Settings) -> None:
    settings.EMBEDDING_INPROCESS = False
    settings.ENGINE_URL = "unix:///nowhere/engine.sock"
    document = upload(people, pdf_make(), "report.pdf")
    ingest.render_next()
    assert indexing.embed_next() is False
    document.refresh_from_db()
    assert document.status == "embedding"
    assert set(document.pages.values_list("state", "attempts")) == {("waiting", 0)}
    settings.EMBEDDING_INPROCESS = True
    Page.objects.update(not_before=None)
    drain()
    document.refresh_from_db()
    assert document.status == "ready"


def test_corrupt_file_fails_with_code_and_sentence(people: People) -> None:
    document = ingested(people, b"%PDF-1.7\n" + b"garbage " * 50, "broken.pdf")
    assert document.status == "failed"
    assert document.error_code
    assert document.error_message.endswith(".")


def test_retryable_failure_waits_then_gives_up(people: People) -> None:
    document = upload(people, pdf_make(), "report.pdf")
    for attempt in range(1, jobs.MAX_ATTEMPTS + 1):
        Job.objects.update(not_before=None)
        job = jobs.job_claim()
        assert job is not None
        assert job.attempts == attempt
        jobs.job_failed(job, RenderFailed("render_crashed", "It crashed.", retryable=True))
    document.refresh_from_db()
    assert (document.status, document.error_code) == ("failed", "render_crashed")


def test_delete_leaves_no_row_vector_or_file(people: People) -> None:
    document = ingested(people, pdf_make(), "report.pdf")
    names = [document.original, *document.pages.values_list("image", flat=True)]
    library.document_delete(actor=Actor.from_user(people.alice), document=document)
    assert not Page.objects.exists()
    assert vectors_of(document) == 0
    assert not any(default_storage.exists(name) for name in names)


def test_delete_during_render_leaves_no_file(people: People) -> None:
    document = upload(people, pdf_make(), "report.pdf")
    job = jobs.job_claim()
    assert job is not None
    library.document_delete(actor=Actor.from_user(people.alice), document=document)
    with pytest.raises((ingest.ClaimLost, Document.DoesNotExist)):
        ingest._render(job, lambda: True)
    assert Page.objects.count() == 0
