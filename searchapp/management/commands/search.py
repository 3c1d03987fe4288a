"""`manage.py search WORDS...`: the same search as API and web, on the terminal."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from searchapp import access, engine
from searchapp.search.query import Filters, Query
from searchapp.search.search import search_pages
from searchapp.search.types import Hit


class Command(BaseCommand):
    """Prints two lines a hit, or a JSON list."""

    help = "Find pages by words, a picture, or both."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Words, an optional picture, bounds."""
        parser.add_argument("words", nargs="*")
        parser.add_argument("--image", type=Path)
        parser.add_argument("--limit", type=int, default=10)
        parser.add_argument("--collection", action="append", default=[])
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Searches all collections: the command acts for nobody."""
        if not engine.is_reachable():
            engine.use_inprocess()
        parts: list[engine.Part] = []
        if options["words"]:
            parts.append(engine.TextPart(" ".join(options["words"])))
        if options["image"]:
            parts.append(engine.ImagePart(options["image"].read_bytes()))
        query = Query(
            parts=tuple(parts),
            limit=options["limit"],
            filters=Filters(collections=tuple(options["collection"])),
        )
        answer = search_pages(actor=access.SYSTEM, query=query)
        if options["json"]:
            self.stdout.write(json.dumps([_row(hit) for hit in answer.hits]))
            return
        for hit in answer.hits:
            document = hit.page.document
            self.stdout.write(f"{hit.rank:3} {hit.score:.3f} {document.title} p. {hit.page.number}")
            self.stdout.write(f"          {hit.excerpt[:110]}")


def _row(hit: Hit) -> dict[str, Any]:
    document = hit.page.document
    return {
        "rank": hit.rank,
        "score": hit.score,
        "document": document.pk,
        "title": document.title,
        "page": hit.page.number,
        "excerpt": hit.excerpt,
        "reasons": hit.reasons,
    }
