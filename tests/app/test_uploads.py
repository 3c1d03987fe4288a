"""upload: what is kept, what is refused, and that a name is never a path."""

import pytest
from django.core.files.storage import default_storage
from pytest_django import Settings

from searchapp.access import Actor
from searchapp.errors import FileRejected, InvalidInput, SearchappError
from searchapp.models import Document, Job
from searchapp.uploads import Upload, clean_filename, document_upload, title_from
from tests.app.conftest import People, pdf_make, upload

pytestmark = pytest.mark.django_db


def test_upload_keeps_the_bytes_and_queues(people: People) -> None:
    content = pdf_make()
    document = upload(people, content, "annual_report-2025.pdf", tags=("a", "a", "b"))
    assert (document.title, document.kind, document.status) == (
        "annual report 2025",
        "pdf",
        "queued",
    )
    assert document.tags == ["a", "b"]
    assert default_storage.open(document.original).read() == content
    assert Job.objects.get(document=document).state == Job.State.QUEUED


def test_same_bytes_are_linked_not_stored_again(people: People) -> None:
    first = upload(people, pdf_make(), "a.pdf")
    second = upload(people, pdf_make(), "b.pdf")
    assert first.pk == second.pk
    assert Document.objects.count() == 1


def test_failed_twin_is_tried_again(people: People) -> None:
    document = upload(people, pdf_make(), "a.pdf")
    Job.objects.update(state=Job.State.FAILED)
    Document.objects.update(status="failed")
    assert upload(people, pdf_make(), "a.pdf").status == "queued"
    assert Job.objects.get(document=document).state == Job.State.QUEUED


@pytest.mark.parametrize(
    ("content", "filename", "code"),
    [
        (b"", "empty.pdf", "empty_file"),
        (b"hello, this is plain text", "notes.txt", "unsupported_type"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "x.png", "unsupported_type"),
    ],
)
def test_refused_files_have_a_code(
    people: People, content: bytes, filename: str, code: str
) -> None:
    with pytest.raises(FileRejected) as caught:
        upload(people, content, filename)
    assert caught.value.code == code
    assert not Document.objects.exists()


def test_too_large_names_the_limit(people: People, settings: Settings) -> None:
    settings.MAX_UPLOAD = 1024**2
    with pytest.raises(FileRejected, match="1 MB") as caught:
        upload(people, b"%PDF-1.7" + bytes(1024**2), "big.pdf")
    assert caught.value.code == "file_too_large"


def test_full_disk_is_said_and_leaves_nothing(
    people: People, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    broken = tmp_path_factory.mktemp("media") / "file"
    broken.write_text("a file where the media folder should be")
    settings.MEDIA_ROOT = str(broken)
    with pytest.raises(SearchappError) as caught:
        upload(people, pdf_make(), "a.pdf")
    assert (caught.value.code, caught.value.retryable) == ("storage_failed", True)
    assert not Document.objects.exists()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\docs\\plan.pdf", "plan.pdf"),
        ("a\x00b\n.pdf", "a_b_.pdf"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("x" * 400 + ".pdf", "x" * 251 + ".pdf"),
        ("bericht-\udcff.pdf", "bericht-_.pdf"),
    ],
)
def test_names_are_labels(given: str, kept: str) -> None:
    assert clean_filename(given) == kept


def test_title_is_readable() -> None:
    assert title_from("annual_report-2025.final.pdf") == "annual report 2025.final"
    assert title_from(".pdf") == ".pdf"


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ({"title": "x" * 301}, "title"),
        ({"tags": tuple(str(i) for i in range(51))}, "tags"),
        ({"metadata": {"a": "x" * 20_000}}, "metadata"),
        ({"metadata": {"a": "\x00"}}, "metadata"),
    ],
)
def test_bad_labels_name_the_field(people: People, labels: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        document_upload(
            actor=Actor.from_user(people.alice),
            collection=people.collection,
            upload=Upload("a.pdf", [pdf_make()], **labels),  # type: ignore[arg-type]
        )
    assert caught.value.field == field
