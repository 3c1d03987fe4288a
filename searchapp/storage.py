"""Files that are kept, in the storage of the settings: their names and how to open and remove them.

Knows nothing of rows or rights. A name that a person gave is never part of a path.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.conf import settings
from django.core.files.storage import default_storage

from searchapp.errors import NotFound, SearchappError


def document_folder(document_id: int) -> str:
    """The storage folder of everything that belongs to one document."""
    return f"documents/{document_id // 1000:04d}/{document_id}"


def original_name(document_id: int, extension: str) -> str:
    """Storage name of the uploaded file; its own name is never used as a path."""
    return f"{document_folder(document_id)}/original{extension}"


def page_name(document_id: int, number: int, suffix: str) -> str:
    """Storage name of a rendition, e.g. suffix `.jpg` or `.thumb.webp`."""
    return f"{document_folder(document_id)}/pages/{number:05d}{suffix}"


def file_open(name: str) -> IO[bytes]:
    """Open a stored file for reading. Raises NotFound when it is gone."""
    try:
        return default_storage.open(name, "rb")
    except FileNotFoundError as error:
        raise NotFound("file_missing", "The stored file is missing.") from error


def file_read(name: str) -> bytes:
    """A stored file's bytes. Raises NotFound when it is gone."""
    with file_open(name) as file:
        return file.read()


@contextmanager
def local_copy(name: str) -> Iterator[Path]:
    """A path to a stored file: the file itself in local storage, else a temporary download."""
    try:
        yield Path(default_storage.path(name))
        return
    except NotImplementedError:
        pass
    with tempfile.NamedTemporaryFile(dir=temporary_dir(), suffix=Path(name).suffix) as copy:
        with file_open(name) as source:
            shutil.copyfileobj(source, copy)
        copy.flush()
        yield Path(copy.name)


def temporary_dir() -> Path:
    """The folder for work in progress, on the same disk as what is kept."""
    path = Path(settings.DATA_DIR) / "tmp"
    path.mkdir(parents=True, exist_ok=True)
    return path


def files_delete(document_id: int) -> None:
    """Remove everything stored for a document; what is already gone is no error."""
    folder = document_folder(document_id)
    for sub in (f"{folder}/pages", folder):
        try:
            _, names = default_storage.listdir(sub)
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in names:
            default_storage.delete(f"{sub}/{name}")
        default_storage.delete(sub)


def storage_error(error: OSError) -> SearchappError:
    """A full disk or broken storage, in words; trying again later helps."""
    text = os.strerror(error.errno) if error.errno else str(error)
    wrapped = SearchappError(
        "storage_failed", f"The file could not be stored: {text}.", retryable=True
    )
    wrapped.status = 507
    return wrapped
