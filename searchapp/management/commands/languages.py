"""`manage.py languages`: the language of pages that were read before languages were told apart."""

from typing import Any

from django.core.management.base import BaseCommand

from searchapp import library


class Command(BaseCommand):
    """Safe to run again, and beside searches and uploads."""

    help = "Find the language of pages that have none yet, for the language filter."

    def handle(self, *args: Any, **options: Any) -> None:
        """Goes through all such pages in batches."""
        self.stdout.write(f"{library.languages_set()} pages have a language now")
