"""An empty database and storage for a while, and a folder ingested into them. Asks nothing."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.test.utils import override_settings

from searchapp import access, library, pipeline
from searchapp.errors import SearchappError
from searchapp.evaluation.questions import FileQuery
from searchapp.models import Document, Page
from searchapp.uploads import Upload, document_upload

Report = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a folder. documents: row ids by file, relative to the folder."""

    documents: Mapping[str, int]
    pages: int
    seconds: float
    refused: tuple[Mapping[str, str], ...]

    def described(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "pages": self.pages,
            "seconds": round(self.seconds, 1),
            "pages_per_s": round(self.pages / self.seconds, 2),
            "refused": [dict(item) for item in self.refused],
        }


@contextmanager
def scratch_database(report: Report) -> Iterator[None]:
    """An empty database and storage for a block; both are gone afterwards, whatever happens."""
    name = connection.settings_dict["NAME"]
    with tempfile.TemporaryDirectory(prefix="evaluate-") as media:
        report("Preparing a scratch index ...")
        _pool_close()
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        try:
            with override_settings(STORAGES=_local_storage(media), WAKE_WORKERS=False):
                yield
        finally:
            _pool_close()
            connection.creation.destroy_test_db(name, verbosity=0)


def _local_storage(folder: str) -> dict[str, Any]:
    """Whatever the settings say, a scratch run never touches the storage that is kept."""
    local = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": folder, "allow_overwrite": True},
    }
    return {**settings.STORAGES, "default": local}


def _pool_close() -> None:
    """Pooled connections would keep the scratch database from being dropped."""
    connection.close()
    close_pool = getattr(connection, "close_pool", None)
    if close_pool is not None:
        close_pool()


def files_of(folder: Path, queries: Iterable[FileQuery]) -> list[Path]:
    """All files of the folders that hold a judged page: distractors included."""
    places = (place for query in queries for place in query.relevant | query.irrelevant)
    folders = {Path(place.file).parent for place in places}
    there = [folder / sub for sub in folders if (folder / sub).is_dir()]
    return sorted(p for sub in there for p in sub.iterdir() if p.is_file())


def folder_ingest(folder: Path, files: Iterable[Path], report: Report) -> Ingested:
    """Upload the files and bring them through all steps, in this process."""
    collection = library.collection_create(actor=access.SYSTEM, name="Evaluation")
    documents: dict[str, int] = {}
    refused = []
    began = time.perf_counter()
    for path in files:
        upload = Upload(filename=path.name, chunks=[path.read_bytes()], source="evaluate")
        try:
            done = document_upload(actor=access.SYSTEM, collection=collection, upload=upload)
            # The same bytes under two names are one document.
            documents[path.relative_to(folder).as_posix()] = done.document.pk
        except SearchappError as error:
            refused.append({"file": path.name, "code": error.code})
    pipeline.documents_wait(list(set(documents.values())), drain=True, report=report)
    seconds = time.perf_counter() - began
    failed = Document.objects.filter(status=Document.Status.FAILED)
    refused += [{"file": d.filename, "code": d.error_code} for d in failed]
    return Ingested(documents, Page.objects.count(), seconds, tuple(refused))
