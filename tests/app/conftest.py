"""People, collections, files and a drained pipeline for the tests of the app itself."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import User
from django.test import Client
from PIL import Image, ImageDraw
from reportlab.pdfgen.canvas import Canvas

from searchapp import access, engine, indexing, ingest, library
from searchapp.access import Actor
from searchapp.indexing.hnsw import hnsw_create
from searchapp.models import Collection, Document, Index, Membership
from searchapp.uploads import Upload, document_upload

TEXTS = (
    "The turbine blades are inspected every spring because salt corrodes the coating.",
    "Employees receive thirty days of paid vacation and a subsidy for public transport.",
    "Our quarterly revenue grew by twelve percent, driven by sales of battery storage.",
)


@dataclass(frozen=True)
class People:
    """alice owns the collection, bob views it, charlie sees nothing, root is superuser."""

    alice: User
    bob: User
    charlie: User
    root: User
    collection: Collection

    def client(self, name: str) -> Client:
        """A browser signed in as one of them."""
        client = Client()
        client.force_login(getattr(self, name))
        return client


@pytest.fixture
def people(db: None) -> People:
    """Four users and alice's private collection `reports`."""
    alice, bob, charlie = (User.objects.create_user(n) for n in ("alice", "bob", "charlie"))
    root = User.objects.create_superuser("root")
    collection = library.collection_create(actor=Actor.from_user(alice), name="Reports")
    Membership.objects.create(collection=collection, user=bob, role=Membership.Role.VIEWER)
    indexing.index_ensure()
    return People(alice, bob, charlie, root, collection)


def pdf_make(texts: Sequence[str] = TEXTS) -> bytes:
    """A PDF with one page a text; an empty text gives a blank page."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(400, 300), invariant=True)
    for text in texts:
        for line, start in enumerate(range(0, len(text), 55)):
            canvas.drawString(30, 250 - 20 * line, text[start : start + 55])
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def png_make(text: str = "Emergency exit plan") -> bytes:
    """A white picture with one drawn line of text."""
    image = Image.new("RGB", (640, 200), "white")
    ImageDraw.Draw(image).text((40, 70), text, fill="black", font_size=48)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def upload(people: People, content: bytes, filename: str, **labels: object) -> Document:
    """Upload as alice into her collection."""
    return document_upload(
        actor=Actor.from_user(people.alice),
        collection=people.collection,
        upload=Upload(filename=filename, chunks=[content], **labels),  # type: ignore[arg-type]
    ).document


def drain() -> None:
    """Do all waiting work in this process, as the workers would."""
    steps: tuple[Callable[[], bool], ...] = (
        ingest.render_next,
        ingest.read_next,
        indexing.embed_next,
    )
    while sum(step() for step in steps):
        pass


def index_switch(model: str, *, dimension: int | None = None) -> Index:
    """Build an index of that model and make it the active one, as the command does."""
    space = indexing.space_get(engine.ModelSource(model), dimension)
    index = indexing.index_build(space)
    drain()
    hnsw_create(index)  # `index_finish` needs rows that are committed
    indexing.index_activate(index)
    return index


def ingested(people: People, content: bytes, filename: str, **labels: object) -> Document:
    """Upload and bring through all steps."""
    document = upload(people, content, filename, **labels)
    drain()
    document.refresh_from_db()
    return document


@pytest.fixture
def key(people: People) -> str:
    """A bearer secret that acts as alice."""
    return access.apikey_create(name="test", user=people.alice)
