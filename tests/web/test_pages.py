"""The viewer, the documents and the originals."""

import pytest
from django.test import Client

from searchapp import storage
from searchapp.models import Document, Job, Page
from searchapp.web.pages import word_boxes
from tests.app.conftest import TEXTS, People, ingested, pdf_make, upload

pytestmark = pytest.mark.django_db


def test_viewer_shows_the_page_in_its_place(report: Document, page: Page, bob: Client) -> None:
    response = bob.get(f"/pages/{page.pk}?q=vacation")
    first, last = report.pages.get(number=1), report.pages.get(number=3)
    assert response.context["before_url"] == f"/pages/{first.pk}?q=vacation"
    assert response.context["after_url"] == f"/pages/{last.pk}?q=vacation"
    assert [item.page.number for item in response.context["strip"]] == [1, 2, 3]
    assert [item.is_current for item in response.context["strip"]] == [False, True, False]
    assert response.context["strip"][1].is_hit
    text = response.content.decode()
    assert "<mark>vacation</mark>" in text
    assert 'href="/?q=vacation"' in text
    assert f"page 2: {TEXTS[1][:50]}" in response.context["alt"]


def test_ends_have_no_neighbour(report: Document, bob: Client) -> None:
    first = bob.get(f"/pages/{report.pages.get(number=1).pk}").context
    assert (first["before_url"], bool(first["after_url"])) == ("", True)
    assert not any(item.is_hit for item in first["strip"])


def test_words_of_the_query_are_boxed(page: Page, bob: Client) -> None:
    boxes = bob.get(f"/pages/{page.pk}?q=vacations").context["boxes"]
    word = next(word for word in page.words if word[0] == "vacation")
    assert [box.x for box in boxes] == [round(word[1] * 1000, 1)]
    assert bob.get(f"/pages/{page.pk}").context["boxes"] == []


def test_word_boxes_are_thousandths() -> None:
    (box,) = word_boxes([["Wind", 0.1, 0.2, 0.3, 0.25], ["the", 0, 0, 1, 1]], "the wind")
    assert (box.x, box.y, box.width, box.height) == (100, 200, 200, 50)


def test_what_is_odd_is_said(page: Page, bob: Client) -> None:
    Page.objects.filter(pk=page.pk).update(
        hidden=True, notes="Tell the <joke>", notices=["Drawn without LibreOffice"]
    )
    text = bob.get(f"/pages/{page.pk}").content.decode()
    assert "This slide is hidden" in text
    assert "Drawn without LibreOffice" in text
    assert "Tell the &lt;joke&gt;" in text


def test_viewer_refuses_an_impossible_question(page: Page, bob: Client) -> None:
    assert bob.get(f"/pages/{page.pk}?q=x&view=circle").status_code == 422


def test_original_is_a_download_and_nothing_else(report: Document, bob: Client) -> None:
    response = bob.get(f"/documents/{report.pk}/original")
    assert b"".join(response.streaming_content) == storage.file_read(report.original)  # type: ignore[attr-defined]
    assert response["Content-Disposition"] == 'attachment; filename="yearly-report.pdf"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "sandbox"


def test_list_filters_and_shows_pictures(people: People, report: Document, bob: Client) -> None:
    waiting = upload(people, pdf_make(["later"]), "later.pdf")
    rows = bob.get("/documents").context["rows"]
    assert [row["document"] for row in rows] == [waiting, report]
    assert [row["first_page_id"] for row in rows] == [None, report.pages.get(number=1).pk]
    for filters, found in (("status=queued", [waiting]), ("collection=nowhere", [])):
        rows = bob.get(f"/documents?{filters}").context["rows"]
        assert [row["document"] for row in rows] == found


def test_changes_are_offered_to_writers_only(
    people: People, report: Document, bob: Client, alice: Client
) -> None:
    Document.objects.filter(pk=report.pk).update(status=Document.Status.FAILED)
    for url in ("/documents", f"/documents/{report.pk}"):
        for word in (f"/documents/{report.pk}/delete", f"/documents/{report.pk}/retry"):
            assert word in alice.get(url).content.decode()
            assert word not in bob.get(url).content.decode()


def test_document_names_its_failed_pages(report: Document, page: Page, bob: Client) -> None:
    Page.objects.filter(pk=page.pk).update(
        state=Page.State.FAILED, error_code="page_broken", error_message="Cannot be drawn."
    )
    text = bob.get(f"/documents/{report.pk}").content.decode()
    assert "Page 2: Cannot be drawn." in text
    assert "page_broken" in text


def test_delete_removes_rows_and_files(
    report: Document, alice: Client, django_capture_on_commit_callbacks: object
) -> None:
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        assert alice.post(f"/documents/{report.pk}/delete")["Location"] == "/documents"
    assert not Page.objects.exists()
    assert b"was deleted" in alice.get("/documents").content


def test_retry_queues_the_failed_document(people: People, alice: Client) -> None:
    broken = ingested(people, b"%PDF-1.4 broken", "broken.pdf")
    assert broken.status == Document.Status.FAILED
    alice.post(f"/documents/{broken.pk}/retry")
    broken.refresh_from_db()
    assert broken.status == Document.Status.QUEUED
    assert Job.objects.get(document=broken).state == Job.State.QUEUED
