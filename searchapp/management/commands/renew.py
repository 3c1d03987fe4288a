"""`manage.py renew`: pages of an earlier version, once after an upgrade."""

from typing import Any

from django.core.management.base import BaseCommand

from searchapp import renewal


class Command(BaseCommand):
    """Stopped, it goes on where it was; safe beside searches and uploads."""

    help = "Prepare the pages of an earlier version as this one does: once after an upgrade."

    def handle(self, *args: Any, **options: Any) -> None:
        """Goes through all such pages in batches."""
        count = renewal.pages_renew(self.stdout.write)
        done = "Nothing is left to renew"
        self.stdout.write(f"{done}: words, languages, points of {count:,} pages" if count else done)
