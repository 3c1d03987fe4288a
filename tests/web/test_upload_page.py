"""Uploading one file a request, its progress, and making collections."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from searchapp import indexing, ingest
from searchapp.access import Actor
from searchapp.models import Collection, Document, Page
from searchapp.web.progress import progress_list
from tests.app.conftest import People, drain, pdf_make, upload

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}


def send(client: Client, content: bytes, name: str, collection: str = "reports") -> HttpResponse:
    """One request as upload.js sends it."""
    body = {"file": SimpleUploadedFile(name, content), "collection": collection}
    return client.post("/upload", body, headers=JSON)  # type: ignore[return-value]


def test_upload_and_follow_to_ready(people: People, alice: Client) -> None:
    sent = send(alice, pdf_make(), "plan.pdf")
    row = sent.json()  # type: ignore[attr-defined]
    assert sent.status_code == 201
    assert (row["label"], row["is_final"], row["is_new"]) == ("queued", False, True)
    drain()
    (row,) = alice.get(f"/documents/progress?ids={row['id']}").json()["documents"]
    assert (row["label"], row["is_final"]) == ("ready, 3 pages", True)
    assert alice.get(row["url"]).status_code == 200
    assert len(alice.get(row["search_url"] + "&q=vacation").context["cards"]) == 1


def test_steps_are_named_with_counts(people: People) -> None:
    document = upload(people, pdf_make(), "plan.pdf")

    def label() -> str:
        return progress_list(Actor.from_user(people.alice), [document.pk])[0].label

    assert label() == "queued"
    ingest.render_next()
    assert label() == "embedding 0 of 3"
    Page.objects.filter(number=1).update(step=Page.Step.READ)
    Document.objects.update(status=Document.Status.READING)
    assert label() == "reading 2 of 3"
    Document.objects.update(status=Document.Status.RENDERING, page_count=40)
    assert label() == "rendering 3 of 40"
    Page.objects.update(step=Page.Step.EMBED)
    Page.objects.filter(number=3).update(state=Page.State.FAILED)
    while indexing.embed_next():
        pass
    Document.objects.update(status=Document.Status.PARTIAL)
    assert label() == "partial, 2 of 3 pages"


def test_the_same_file_again_is_said(people: People, alice: Client) -> None:
    first = send(alice, pdf_make(), "plan.pdf").json()  # type: ignore[attr-defined]
    again = send(alice, pdf_make(), "copy.pdf")
    assert again.status_code == 200
    row = again.json()  # type: ignore[attr-defined]
    assert (row["id"], row["is_new"]) == (first["id"], False)


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [(b"", "empty.pdf", "empty_file"), (b"plain words", "notes.pdf", "unsupported_type")],
)
def test_refused_files_say_why(
    content: bytes, name: str, code: str, people: People, alice: Client
) -> None:
    refused = send(alice, content, name)
    assert refused.status_code == 422
    body = refused.json()  # type: ignore[attr-defined]
    assert body["code"] == code
    assert body["message"].endswith(".")
    assert not Document.objects.exists()


def test_where_one_may_not_write(people: People, bob: Client, charlie: Client) -> None:
    assert send(bob, pdf_make(), "a.pdf").status_code == 403
    assert send(charlie, pdf_make(), "a.pdf").status_code == 422
    assert not Document.objects.exists()


def test_a_request_without_file(people: People, alice: Client) -> None:
    answer = alice.post("/upload", {"collection": "reports"}, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "missing_file")


@pytest.mark.parametrize("ids", ["x", "1,-2", "9" * 30, ",".join("1" * 501)])
def test_progress_of_impossible_ids(ids: str, people: People, alice: Client) -> None:
    answer = alice.get(f"/documents/progress?ids={ids}", headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_ids")


def test_new_collection_is_chosen_and_private(people: People, bob: Client) -> None:
    assert 'value="reports"' not in bob.get("/upload").content.decode()
    made = bob.post("/collections/new", {"name": "Bob's own", "visibility": "private"})
    assert '<option value="bobs-own" selected>' in made.content.decode()
    collection = Collection.objects.get(slug="bobs-own")
    assert collection.visibility == Collection.Visibility.PRIVATE
    refused = bob.post("/collections/new", {"name": " "})
    assert refused.status_code == 422
    assert 'role="alert"' in refused.content.decode()


def test_nobody_uploads_into_the_demo_set(people: People, alice: Client) -> None:
    Collection.objects.update(is_demo=True)
    assert 'value="reports"' not in alice.get("/upload").content.decode()
    refused = send(alice, pdf_make(), "a.pdf")
    assert refused.status_code == 422
    assert refused.json()["code"] == "demo_collection"  # type: ignore[attr-defined]
