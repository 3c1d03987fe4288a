"""`manage.py index_rebuild`: embed all pages again with the configured model."""

from typing import Any

from django.core.management.base import BaseCommand

from searchapp.indexing import index_rebuild


class Command(BaseCommand):
    """Search is incomplete until the workers are through."""

    help = "Replace the active index by one of the configured model; workers embed all pages again."

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints how many pages wait."""
        self.stdout.write(f"{index_rebuild()} pages wait to be embedded.")
