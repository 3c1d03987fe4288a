"""What the JSON API takes and gives; conversions from rows and answers."""

from datetime import datetime
from functools import lru_cache
from typing import Any

from django.urls import reverse
from ninja import Schema
from pydantic import BaseModel, ConfigDict

from searchapp.models import Collection, Document, Page


class StrictSchema(Schema):
    """Input: an unknown field is an error that names it."""

    model_config = ConfigDict(extra="forbid")


class CollectionIn(StrictSchema):
    """A collection to make; the slug is made from the name when absent."""

    name: str
    slug: str = ""
    visibility: str = "private"


class CollectionOut(Schema):
    """A collection and how much is in it."""

    id: int
    slug: str
    name: str
    visibility: str
    document_count: int = 0
    ready_count: int = 0
    created_at: datetime

    @classmethod
    def from_row(cls, row: Collection) -> "CollectionOut":
        """From a row of `library.collection_list`, or a bare one."""
        return cls(
            id=row.pk,
            slug=row.slug,
            name=row.name,
            visibility=row.visibility,
            document_count=getattr(row, "document_count", 0),
            ready_count=getattr(row, "ready_count", 0),
            created_at=row.created_at,
        )


class Progress(Schema):
    """Pages by what became of them; `total` is None until rendering began."""

    total: int | None
    rendered: int
    read: int
    embedded: int
    failed: int


class DocumentOut(Schema):
    """One uploaded file and how far it is."""

    id: int
    status: str
    title: str
    filename: str
    collection: str
    page_count: int | None
    error_code: str | None
    error_message: str | None
    media_type: str
    type: str
    bytes: int
    sha256: str
    tags: list[str]
    metadata: dict[str, Any]
    notices: list[str]
    progress: Progress
    duplicate: bool = False
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_row(cls, row: Document, *, duplicate: bool = False) -> "DocumentOut":
        """From a row annotated by `library.with_counts`."""
        counts: Any = row
        return cls(
            id=row.pk,
            status=row.status,
            title=row.title,
            filename=row.filename,
            collection=row.collection.slug,
            page_count=row.page_count,
            error_code=row.error_code or None,
            error_message=row.error_message or None,
            media_type=row.media_type,
            type=row.kind,
            bytes=row.bytes,
            sha256=row.sha256,
            tags=row.tags,
            metadata=row.metadata,
            notices=row.notices,
            progress=Progress(
                total=row.page_count,
                rendered=counts.pages_total,
                read=counts.pages_read,
                embedded=counts.pages_done,
                failed=counts.pages_failed,
            ),
            duplicate=duplicate,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class DocumentList(Schema):
    """One part of a list; `total` counts all of it."""

    items: list[DocumentOut]
    total: int


class DocumentRef(BaseModel):
    """A document as named in a hit."""

    id: int
    title: str
    filename: str
    collection: str
    type: str


@lru_cache(maxsize=2)
def _address(name: str) -> str:
    """With {} for the page's id: two of them each hit, and `reverse` takes longer than its row."""
    before, _, after = reverse(f"api:{name}", args=[0]).rpartition("/0/")
    return f"{before}/{{}}/{after}"


class PageRef(BaseModel):
    """A page as shown in a hit or a list. `number` is the number in the source, from 1."""

    id: int
    number: int
    image_url: str
    thumbnail_url: str
    text_excerpt: str
    language: str
    hidden: bool
    width: int
    height: int
    document: DocumentRef

    @classmethod
    def from_row(cls, page: Page, excerpt: str) -> "PageRef":
        """From a row with `document__collection` selected."""
        document = page.document
        return cls(
            id=page.pk,
            number=page.number,
            image_url=_address("page_image").format(page.pk),
            thumbnail_url=_address("page_thumbnail").format(page.pk),
            text_excerpt=excerpt,
            language=page.language,
            hidden=page.hidden,
            width=page.width,
            height=page.height,
            document=DocumentRef(
                id=document.pk,
                title=document.title,
                filename=document.filename,
                collection=document.collection.slug,
                type=document.kind,
            ),
        )


class PageOut(PageRef):
    """A page in full. `words`: [text, x0, y0, x1, y1], boxes in fractions of the page."""

    step: str
    state: str
    text: str
    text_source: str
    notes: str
    notices: list[str]
    words: list[list[Any]]
    error_code: str | None
    error_message: str | None

    @classmethod
    def from_page(cls, page: Page) -> "PageOut":
        """From a row with `document__collection` selected."""
        return cls(
            **PageRef.from_row(page, page.text[:240]).model_dump(),
            step=page.step,
            state=page.state,
            text=page.text,
            text_source=page.text_source,
            notes=page.notes,
            notices=page.notices,
            words=page.words,
            error_code=page.error_code or None,
            error_message=page.error_message or None,
        )


class PageList(Schema):
    """The pages of a document, by number."""

    items: list[PageOut]
    total: int
