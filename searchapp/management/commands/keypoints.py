"""`manage.py keypoints`: for pages that were rendered before pictures were looked up by points."""

from typing import Any

from django.core.management.base import BaseCommand

from searchapp import ingest


class Command(BaseCommand):
    """Safe to run again, and beside searches and uploads."""

    help = "Make the keypoints of pages that have none yet, for queries that are pictures."

    def handle(self, *args: Any, **options: Any) -> None:
        """Goes through all such pages in batches."""
        count = ingest.keypoints_backfill(self.stdout.write)
        self.stdout.write(f"{count} pages have keypoints now")
