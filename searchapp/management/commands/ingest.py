"""`manage.py ingest PATH...`: upload files and folders and wait until they are searchable."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from searchapp import access, engine, jobs, library, pipeline
from searchapp.errors import SearchappError
from searchapp.models import Collection, Document
from searchapp.uploads import Upload, Uploaded, document_upload

_CHUNK = 1024 * 1024


class Command(BaseCommand):
    """Each file is named with what became of it; a bad one does not stop the others."""

    help = "Upload files or folders into a collection and wait until they are searchable."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Paths, the collection, and how long to stay."""
        parser.add_argument("paths", nargs="+", type=Path)
        parser.add_argument("--collection", default="documents", help="slug; made when missing")
        parser.add_argument("--tag", action="append", default=[])
        parser.add_argument("--no-wait", action="store_true", help="only upload")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit status 1 when a file was refused or failed."""
        collection = _collection(options["collection"])
        uploads, refused = self._upload_all(options["paths"], collection, tuple(options["tag"]))
        if not options["no_wait"]:
            if not engine.is_reachable():
                engine.use_inprocess()
            workers = jobs.workers_alive()
            pipeline.documents_wait(
                [upload.document.pk for upload in uploads],
                drain=not all(workers.values()),
                report=self.stdout.write,
            )
        failed = self._summary(uploads)
        if refused or failed:
            raise CommandError(f"{refused} refused, {failed} failed or partial.")

    def _upload_all(
        self, paths: list[Path], collection: Collection, tags: tuple[str, ...]
    ) -> tuple[list[Uploaded], int]:
        uploads, refused = [], 0
        for path in files_below(paths):
            try:
                uploads.append(_upload(path, collection, tags))
            except (SearchappError, OSError) as error:
                refused += 1
                self.stderr.write(f"{path}: {error}")
        return uploads, refused

    def _summary(self, uploads: list[Uploaded]) -> int:
        failed = 0
        for upload in uploads:
            document = Document.objects.get(pk=upload.document.pk)
            twin = "" if upload.is_new else " (already there)"
            reason = f": {document.error_message}" if document.error_message else ""
            pages = "" if document.page_count is None else f", {document.page_count} pages"
            self.stdout.write(f"{document.filename}: {document.status}{pages}{twin}{reason}")
            failed += document.status in {Document.Status.FAILED, Document.Status.PARTIAL}
        return failed


def files_below(paths: list[Path]) -> list[Path]:
    """The files named, and those below the folders named, sorted; no links, no hidden ones."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        below = (p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
        found += sorted(p for p in below if not p.name.startswith("."))
    return found


def _upload(path: Path, collection: Collection, tags: tuple[str, ...]) -> Uploaded:
    with path.open("rb") as file:
        upload = Upload(
            filename=path.name,
            chunks=iter(lambda: file.read(_CHUNK), b""),
            tags=tags,
            source="command",
        )
        return document_upload(actor=access.SYSTEM, collection=collection, upload=upload)


def _collection(slug: str) -> Collection:
    existing = Collection.objects.filter(slug=slug).first()
    if existing is not None:
        return existing
    actor = access.Actor.from_user(access.first_admin_get())
    return library.collection_create(
        actor=actor, name=slug.replace("-", " ").capitalize(), slug=slug
    )
