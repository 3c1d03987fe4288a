"""Upload, list, show and delete documents."""

import json
from typing import Any

from django.http import HttpRequest
from ninja import File, Form, Router, Status
from ninja.files import UploadedFile

from searchapp import access, jobs, library
from searchapp.api.actor import actor_of, reader_of
from searchapp.api.schemas import DocumentList, DocumentOut, PageList, PageOut
from searchapp.errors import InvalidInput
from searchapp.models import Document
from searchapp.uploads import Upload, document_upload, upload_collection_get

router = Router()
MAX_PAGE_SIZE = 500


@router.post("/documents", response={202: DocumentOut, 200: DocumentOut})
def document_create(
    request: HttpRequest,
    file: File[UploadedFile],
    collection: Form[str],
    title: Form[str] = "",
    tags: Form[str] = "",
    metadata: Form[str] = "",
) -> Status[DocumentOut]:
    """Upload one file. `tags`: commas or a JSON list; `metadata`: a JSON object.

    202 with the queued document; 200 with `duplicate: true` when the collection has these bytes.
    """
    actor = actor_of(request)
    access.require_scope(actor, "upload")
    uploaded = document_upload(
        actor=actor,
        collection=upload_collection_get(actor, collection),
        upload=Upload(
            filename=file.name or "unnamed",
            chunks=file.chunks(),
            title=title,
            tags=_tags(tags),
            metadata=_metadata(metadata),
            source="api",
        ),
    )
    row = _document(actor, uploaded.document.pk)
    status = 202 if uploaded.is_new else 200
    return Status(status, DocumentOut.from_row(row, duplicate=not uploaded.is_new))


@router.get("/documents", response=DocumentList)
def document_list(
    request: HttpRequest,
    collection: str = "",
    status: str = "",
    type: str = "",
    limit: int = 50,
    offset: int = 0,
) -> DocumentList:
    """Your documents, newest first."""
    actor = reader_of(request, "upload")
    if collection:
        access.visible_collection_get(actor, collection)
    _check_choice("status", status, Document.Status.values)
    _check_choice("type", type, Document.Kind.values)
    rows = library.document_list(actor, collection=collection, status=status, kind=type)
    start, end = _window(limit, offset)
    return DocumentList(
        items=[DocumentOut.from_row(row) for row in rows[start:end]], total=rows.count()
    )


@router.get("/documents/{int:document_id}", response=DocumentOut)
def document_get(request: HttpRequest, document_id: int) -> DocumentOut:
    """One document and how far it is."""
    return DocumentOut.from_row(_document(reader_of(request, "upload"), document_id))


@router.delete("/documents/{int:document_id}", response={204: None})
def document_delete(request: HttpRequest, document_id: int) -> Status[None]:
    """Remove a document with its pages, vectors and files."""
    actor = actor_of(request)
    access.require_scope(actor, "upload")
    document = access.visible_document_get(actor, document_id)
    library.document_delete(actor=actor, document=document)
    return Status(204, None)


@router.post("/documents/{int:document_id}/retry", response={202: DocumentOut})
def document_retry(request: HttpRequest, document_id: int) -> Status[DocumentOut]:
    """Try a failed or partial document again."""
    actor = actor_of(request)
    access.require_scope(actor, "upload")
    document = access.visible_document_get(actor, document_id)
    access.require_writable(actor, document)
    jobs.document_retry(document)
    return Status(202, DocumentOut.from_row(_document(actor, document_id)))


@router.get("/documents/{int:document_id}/pages", response=PageList)
def document_pages(
    request: HttpRequest, document_id: int, limit: int = 100, offset: int = 0
) -> PageList:
    """The pages of a document that are rendered so far, by number."""
    actor = reader_of(request)
    document = access.visible_document_get(actor, document_id)
    pages = access.visible_pages(actor).filter(document=document).order_by("number")
    start, end = _window(limit, offset)
    rows = pages.select_related("document__collection")[start:end]
    return PageList(items=[PageOut.from_page(row) for row in rows], total=pages.count())


def _document(actor: access.Actor, document_id: int) -> Document:
    access.visible_document_get(actor, document_id)
    row: Document = library.document_list(actor).get(pk=document_id)
    return row


def _window(limit: int, offset: int) -> tuple[int, int]:
    if not 1 <= limit <= MAX_PAGE_SIZE:
        raise InvalidInput("invalid_limit", f"limit is 1 to {MAX_PAGE_SIZE}.", field="limit")
    if not 0 <= offset < 2**31:
        raise InvalidInput("invalid_offset", "offset is 0 or more.", field="offset")
    return offset, offset + limit


def _check_choice(field: str, value: str, allowed: list[str]) -> None:
    if value and value not in allowed:
        raise InvalidInput(
            f"unknown_{field}", f"{field} is one of {', '.join(allowed)}.", field=field
        )


def _tags(text: str) -> tuple[str, ...]:
    if not text.strip().startswith("["):
        return tuple(tag.strip() for tag in text.split(",") if tag.strip())
    tags = _json("tags", text)
    if not all(isinstance(tag, str) for tag in tags):
        raise InvalidInput("invalid_tags", "tags is a list of strings.", field="tags")
    return tuple(tags)


def _metadata(text: str) -> dict[str, Any]:
    value = _json("metadata", text) if text.strip() else {}
    if not isinstance(value, dict):
        raise InvalidInput("invalid_metadata", "metadata is a JSON object.", field="metadata")
    return value


def _json(field: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"invalid_{field}", f"{field} is not valid JSON.", field=field
        ) from error


def _no_json(name: str) -> Any:
    """NaN and the infinities, which Python reads but JSON does not have."""
    raise ValueError(name)
