"""`manage.py demo_load`: build the demo set and upload it."""

import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from searchapp import access, library
from searchapp.demo.build import demo_build
from searchapp.models import Collection
from searchapp.storage import temporary_dir
from searchapp.uploads import Upload, document_upload


class Command(BaseCommand):
    """Everyone who can sign in sees it; `demo_remove` takes it away."""

    help = "Build the demo set of an imaginary company and upload it into the collection 'demo'."

    def handle(self, *args: Any, **options: Any) -> None:
        """Loading twice changes nothing."""
        collection = Collection.objects.filter(is_demo=True).first() or library.collection_create(
            actor=access.SYSTEM,
            name="Demo",
            visibility=Collection.Visibility.EVERYONE,
            is_demo=True,
        )
        with tempfile.TemporaryDirectory(dir=temporary_dir(), prefix="demo-") as folder:
            files = demo_build(Path(folder))
            for file in files:
                upload = Upload(
                    filename=file.path.name,
                    chunks=[file.path.read_bytes()],
                    title=file.title,
                    tags=tuple(file.tags),
                    metadata=dict(file.metadata),
                    source="demo",
                )
                document_upload(actor=access.SYSTEM, collection=collection, upload=upload)
        self.stdout.write(f"{len(files)} demo files uploaded.")
