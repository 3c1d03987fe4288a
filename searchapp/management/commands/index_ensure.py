"""`manage.py index_ensure`: the active index of the configured model; made on the first start."""

from typing import Any

from django.core.management.base import BaseCommand

from searchapp.indexing import index_ensure


class Command(BaseCommand):
    """Fails with a hint when the stored vectors are another model's."""

    help = "Make sure that there is an active index for the configured model."

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints the active index."""
        self.stdout.write(f"Active index: {index_ensure()}")
