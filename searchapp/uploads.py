"""upload: sniff the type from the bytes, hash while streaming, keep or refuse, enqueue."""

import hashlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction

from searchapp import jobs, storage
from searchapp.access import Actor, require_scope, writable_collection_get
from searchapp.errors import FileRejected, FileTooLarge, InvalidInput
from searchapp.models import Collection, Document, Job
from searchapp.models.storable import is_storable, require_storable, texts_of
from searchapp.rendering.sniffing import sniff
from searchapp.rendering.types import FileType

MAX_TAGS = 50
MAX_METADATA_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it arrives. `chunks` is read once; `filename` is only a label."""

    filename: str
    chunks: Iterable[bytes]
    title: str = ""
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] | None = None
    source: str = "upload"


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The stored document; `is_new` is False when the collection already had these bytes."""

    document: Document
    is_new: bool


def upload_collection_get(actor: Actor, slug: str) -> Collection:
    """The collection to upload into. Raises as `writable_collection_get`, and InvalidInput for the
    demo set, whose removal would take the file along."""
    collection = writable_collection_get(actor, slug)
    if collection.is_demo:
        raise InvalidInput(
            "demo_collection",
            "Nothing is uploaded into the demo set: removing it would take the file along.",
            field="collection",
        )
    return collection


def document_upload(*, actor: Actor, collection: Collection, upload: Upload) -> Uploaded:
    """Keep a file and queue it. `collection` is one the actor may write to.

    Raises FileRejected (unknown type, empty, too large, encrypted, corrupt), InvalidInput, and
    SearchappError `storage_failed` when it cannot be written.
    """
    require_scope(actor, "upload")
    filename = clean_filename(upload.filename)
    labels = _labels(upload, filename)
    document = Document(
        collection=collection,
        filename=filename,
        source=upload.source,
        created_by_id=actor.user_id,
        **labels,
    )
    try:
        with tempfile.NamedTemporaryFile(dir=storage.temporary_dir(), suffix=".upload") as file:
            document.sha256, document.bytes = _receive(upload.chunks, file)
            file.flush()
            file_type = sniff(Path(file.name), filename=filename)
            document.media_type, document.kind = file_type.media_type, file_type.kind
            return _keep(document, Path(file.name), file_type)
    except OSError as error:
        raise storage.storage_error(error) from error


def _labels(upload: Upload, filename: str) -> dict[str, Any]:
    title = " ".join(upload.title.replace("\x00", "").split())
    require_storable(title, "title")
    if len(title) > 300:
        raise InvalidInput("title_too_long", "A title has at most 300 characters.", field="title")
    tags = list(dict.fromkeys(tag.strip() for tag in upload.tags if tag.strip()))
    if len(tags) > MAX_TAGS or any(len(tag) > 80 or not is_storable(tag) for tag in tags):
        raise InvalidInput(
            "invalid_tags", f"At most {MAX_TAGS} tags of 80 characters each.", field="tags"
        )
    metadata = upload.metadata or {}
    if not _is_metadata(metadata):
        raise InvalidInput(
            "invalid_metadata",
            f"Metadata is a JSON object of at most {MAX_METADATA_BYTES} characters.",
            field="metadata",
        )
    return {"title": title or title_from(filename), "tags": tags, "metadata": metadata}


def _is_metadata(metadata: dict[str, Any]) -> bool:
    """Whether it is JSON (which has no NaN) that is small and storable."""
    try:
        text = json.dumps(metadata, allow_nan=False)
        is_text = all(is_storable(inner) for inner in texts_of(metadata))
    except (ValueError, TypeError, RecursionError):
        return False
    return is_text and len(text) <= MAX_METADATA_BYTES


def clean_filename(filename: str) -> str:
    """The last part of a name, printable, at most 255 characters; never a path."""
    name = PurePosixPath(filename.replace("\\", "/")).name
    name = "".join(char if char.isprintable() else "_" for char in name)
    name = name.encode("utf-8", "replace").decode().strip().strip(".")
    stem, dot, extension = name.rpartition(".")
    if len(name) > 255 and dot and len(extension) < 20:
        name = stem[: 254 - len(extension)] + dot + extension
    return name[:255] or "unnamed"


def title_from(filename: str) -> str:
    """A readable title from a file name: `annual_report-2025.pdf` -> `annual report 2025`."""
    stem = filename.rpartition(".")[0] or filename
    return " ".join(stem.replace("_", " ").replace("-", " ").split())[:300] or filename[:300]


def file_too_large() -> FileTooLarge:
    """The refusal of a file of more than MAX_UPLOAD bytes."""
    limit = settings.MAX_UPLOAD / 1024**2
    return FileTooLarge(
        "file_too_large", f"The file is larger than the limit of {limit:,.0f} MB (MAX_UPLOAD)."
    )


def _receive(chunks: Iterable[bytes], file: Any) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        size += len(chunk)
        if size > settings.MAX_UPLOAD:
            raise file_too_large()
        digest.update(chunk)
        file.write(chunk)
    if size == 0:
        raise FileRejected("empty_file", "The file is empty (0 bytes); upload it again.")
    return digest.hexdigest(), size


def _keep(document: Document, path: Path, file_type: FileType) -> Uploaded:
    existing = _existing(document)
    if existing is not None:
        return existing
    try:
        with transaction.atomic():
            document.save()
            document.original = storage.original_name(document.pk, file_type.extension)
            with path.open("rb") as content:
                default_storage.save(document.original, File(content))
            document.save(update_fields=["original"])
            Job.objects.create(document=document)
            jobs.enqueue("render")
    except IntegrityError:
        twin = _existing(document)
        if twin is None:
            raise
        return twin
    except OSError:
        storage.files_delete(document.pk)
        raise
    return Uploaded(document, is_new=True)


def _existing(document: Document) -> Uploaded | None:
    twin = Document.objects.filter(
        collection_id=document.collection_id, sha256=document.sha256
    ).first()
    if twin is None:
        return None
    if twin.status == Document.Status.FAILED:
        jobs.document_retry(twin)
        twin.refresh_from_db()
    return Uploaded(twin, is_new=False)
