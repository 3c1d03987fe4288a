"""`manage.py recall`: what the binary prefilter loses against exact search on this corpus."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from searchapp import engine, indexing
from searchapp.errors import SearchappError
from searchapp.evaluation.recall import CURVE, QUERIES, SECONDS, recall_measure


class Command(BaseCommand):
    """Prints a table a lane and keeps the figures for the admin and the API."""

    help = "Measure what the binary prefilter loses against exact float search on this corpus."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How much is measured; where the figures go."""
        parser.add_argument("--queries", type=int, default=QUERIES)
        parser.add_argument(
            "--limit", type=int, default=10, help="recall of the best so many pages"
        )
        parser.add_argument("--oversampling", type=int, nargs="+", default=CURVE)
        parser.add_argument("--index", type=int, help="number of an index (else the active one)")
        parser.add_argument(
            "--seconds", type=float, default=SECONDS, help="the longest exact scan of a lane"
        )
        parser.add_argument("--json", type=Path, help="write all figures to this file")

    def handle(self, *args: Any, **options: Any) -> None:
        """Errors are one sentence, exit status 1."""
        if not engine.is_reachable():
            engine.use_inprocess()
        try:
            measured = recall_measure(
                index=indexing.index_get(options["index"]) if options["index"] else None,
                queries=options["queries"],
                limit=options["limit"],
                curve=options["oversampling"],
                seconds=options["seconds"],
                report=self.stdout.write,
            )
        except SearchappError as error:
            raise CommandError(str(error)) from error
        self._print(measured.figures)
        if options["json"]:
            options["json"].write_text(json.dumps(measured.figures, indent=2) + "\n")

    def _print(self, figures: Mapping[str, Any]) -> None:
        probes = ", ".join(f"{count} {source}" for source, count in figures["queries"].items())
        self.stdout.write(f"\nrecall@{figures['limit']} of {probes} queries")
        for lane, found in figures["lanes"].items():
            self.stdout.write(f"\nlane {lane}, {found['units']:,} vectors")
            self.stdout.write(_HEADS)
            for row in found["settings"]:
                self.stdout.write(_line(row))
        self.stdout.write(f"\n{figures['advice']}")


_HEADS = (
    f"{'oversampling':>12}{'candidates':>12}{'looks':>8}{'recall':>9}{'95 %':>18}"
    f"{'lost: bits':>12}{'HNSW':>9}{'p50 ms':>9}{'p95 ms':>9}"
)


def _line(row: Mapping[str, Any]) -> str:
    low, high = row["interval"]
    # Below 0 is chance: a graph that misses pages may drop those that were wrong.
    found = (row["bits_loss"], row["hnsw_loss"])
    losses = [f"{max(x, 0.0):.4f}" if x is not None else "-" for x in found]
    return (
        f"{row['oversampling']:>12}{row['candidates']:>12}{row['method']:>8}{row['recall']:>9.4f}"
        f"{f'{low:.4f}..{high:.4f}':>18}{losses[0]:>12}{losses[1]:>9}"
        f"{row['p50_ms']:>9.2f}{row['p95_ms']:>9.2f}"
    )
