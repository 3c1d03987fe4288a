"""A superuser's browser, and rows to look at, all in the throw-away services."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from pytest_django import Settings

from searchapp import library, storage
from searchapp.access import Actor
from searchapp.models import Collection, Document, Job, Page


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> None:
    """Files of each test in a folder of its own; nobody is woken."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.WAKE_WORKERS = False


@pytest.fixture
def alice(db: None) -> User:
    """The administrator."""
    return User.objects.create_superuser("alice", password="correct horse")


@pytest.fixture
def admin(alice: User) -> Client:
    """Alice's browser."""
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def collection(alice: User) -> Collection:
    """Alice's collection."""
    return library.collection_create(actor=Actor.from_user(alice), name="Reports")


def document_make(collection: Collection, title: str, *, pages: int = 2) -> Document:
    """A ready document with stored files."""
    document = Document.objects.create(
        collection=collection,
        title=title,
        filename=f"{title}.pdf",
        media_type="application/pdf",
        kind=Document.Kind.PDF,
        sha256=title.ljust(64, "0"),
        bytes=1000,
        status=Document.Status.READY,
        page_count=pages,
    )
    document.original = storage.original_name(document.pk, ".pdf")
    document.save()
    Job.objects.create(document=document, state=Job.State.DONE)
    default_storage.save(document.original, ContentFile(b"%PDF-1.4"))
    for number in range(1, pages + 1):
        image = storage.page_name(document.pk, number, ".jpg")
        default_storage.save(image, ContentFile(b"\xff\xd8"))
        Page.objects.create(
            document=document,
            number=number,
            step=Page.Step.DONE,
            state=Page.State.DONE,
            image=image,
            thumbnail=image,
            text=f"words of page {number}",
        )
    return document


@pytest.fixture
def document(collection: Collection) -> Document:
    """A ready document of two pages."""
    return document_make(collection, "Budget")


@pytest.fixture
def failed(collection: Collection) -> Document:
    """A document that could not be rendered."""
    document = document_make(collection, "Broken", pages=0)
    reason = {"error_code": "damaged_file", "error_message": "The file is damaged."}
    Job.objects.filter(document=document).update(state=Job.State.FAILED, **reason)
    Document.objects.filter(pk=document.pk).update(status=Document.Status.FAILED, **reason)
    document.refresh_from_db()
    return document
