"""`manage.py search WORDS...`: the same search as API and web, on the terminal."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from searchapp import access, engine
from searchapp.api.schemas import SearchOut
from searchapp.search.query import Filters, Query
from searchapp.search.search import search_pages


class Command(BaseCommand):
    """Prints one line a hit, or JSON as the API gives it."""

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
            self.stdout.write(json.dumps(SearchOut.from_answer(answer).model_dump(mode="json")))
            return
        for hit in answer.hits:
            document = hit.page.document
            self.stdout.write(f"{hit.rank:3} {hit.score:.3f} {document.title} p. {hit.page.number}")
            self.stdout.write(f"          {hit.excerpt[:110]}")
