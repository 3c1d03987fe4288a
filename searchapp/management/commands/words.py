"""`manage.py words`: the word index of pages that were read by an earlier version."""

from typing import Any

from django.core.management.base import BaseCommand

from searchapp import library


class Command(BaseCommand):
    """Safe to run again, and beside searches and uploads."""

    help = "Index the words of all pages anew: once after an upgrade that asks for it."

    def handle(self, *args: Any, **options: Any) -> None:
        """Goes through all pages in batches."""
        self.stdout.write(f"words of {library.words_renew()} pages indexed anew")
