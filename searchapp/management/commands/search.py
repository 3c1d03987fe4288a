"""`manage.py search WORDS...`: the same search as API and web, on the terminal."""

import json
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from searchapp import access, engine
from searchapp.search.query import Exclusions, Filters, Query, metadata_from
from searchapp.search.search import search_pages
from searchapp.search.types import Hit

_FILTERS = ("collection", "document", "type", "tag", "language")


class Command(BaseCommand):
    """Prints two lines a hit, or a JSON list."""

    help = "Find pages by words, a picture, or both."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Words, an optional picture, bounds."""
        parser.add_argument("words", nargs="*")
        parser.add_argument("--image", type=Path)
        parser.add_argument("--image-weight", type=float, help="0 to 1; beside words")
        parser.add_argument("--like", type=int, action="append", default=[], metavar="PAGE_ID")
        parser.add_argument("--unlike", type=int, action="append", default=[], metavar="PAGE_ID")
        parser.add_argument("--limit", type=int, default=10)
        parser.add_argument("--sort", default="relevance", help="relevance, newest or document")
        parser.add_argument("--group", action="store_true", help="one hit a document")
        for name in _FILTERS:
            kind = int if name == "document" else str
            for option in (f"--{name}", f"--without-{name}"):
                parser.add_argument(option, type=kind, action="append", default=[])
        parser.add_argument("--uploaded-from", type=date.fromisoformat)
        parser.add_argument("--uploaded-to", type=date.fromisoformat)
        parser.add_argument("--page-from", type=int)
        parser.add_argument("--page-to", type=int)
        parser.add_argument("--metadata", action="append", default=[], metavar="KEY:VALUE")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Searches all collections: the command acts for nobody."""
        if not engine.is_reachable():
            engine.use_inprocess()
        answer = search_pages(actor=access.SYSTEM, query=_query(options))
        if options["json"]:
            self.stdout.write(json.dumps([_row(hit) for hit in answer.hits]))
            return
        if answer.message:
            self.stdout.write(answer.message)
        for hit in answer.hits:
            document = hit.page.document
            self.stdout.write(
                f"{hit.rank:3} {hit.band:6} {hit.score:.3f} {document.title} p. {hit.page.number}"
            )
            self.stdout.write(f"           {hit.excerpt[:110]}")


def _query(options: dict[str, Any]) -> Query:
    parts: list[engine.Part] = []
    if options["words"]:
        parts.append(engine.TextPart(" ".join(options["words"])))
    if options["image"]:
        parts.append(engine.ImagePart(options["image"].read_bytes()))
    ranges = ("uploaded_from", "uploaded_to", "page_from", "page_to")
    filters = Filters(
        metadata=metadata_from(options["metadata"]),
        without=Exclusions(**_chosen(options, "without_")),
        **{name: options[name] for name in ranges},
        **_chosen(options, ""),
    )
    bounds = {name: options[name] for name in ("image_weight", "limit", "sort", "group")}
    like, unlike = tuple(options["like"]), tuple(options["unlike"])
    return Query(parts=tuple(parts), filters=filters, like=like, unlike=unlike, **bounds)


def _chosen(options: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{name}s": tuple(options[prefix + name]) for name in _FILTERS}


def _row(hit: Hit) -> dict[str, Any]:
    document = hit.page.document
    return {
        "rank": hit.rank,
        "score": hit.score,
        "band": hit.band,
        "document": document.pk,
        "title": document.title,
        "page": hit.page.number,
        "page_id": hit.page.pk,
        "excerpt": hit.excerpt,
        "reasons": hit.reasons,
    }
