"""`manage.py demo_remove`: take the demo set away, with pages, vectors and files."""

from typing import Any

from django.core.management.base import BaseCommand

from searchapp.library import demo_remove


class Command(BaseCommand):
    """It does not come back by itself."""

    help = "Remove the demo set."

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints how many documents went."""
        self.stdout.write(f"{demo_remove()} demo documents removed.")
