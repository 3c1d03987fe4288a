"""`manage.py evaluate DIR`: quality on judged queries, in a scratch index that ends clean."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from searchapp import engine
from searchapp.evaluation import evaluate


class Command(BaseCommand):
    """Prints a table by kind; --json writes all figures and the ranks of every query."""

    help = "Ingest DIR into a scratch index, ask its queries.jsonl, print hit@k, nDCG@10 and MRR."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The folder and where the JSON goes."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--json", type=Path, help="write all figures to this file")

    def handle(self, *args: Any, **options: Any) -> None:
        """The model is held in this process when no engine runs."""
        if not engine.is_reachable():
            engine.use_inprocess()
        result = evaluate(options["folder"].resolve(), report=self.stdout.write)
        self._print(result)
        if options["json"]:
            options["json"].write_text(json.dumps(result, indent=2) + "\n")

    def _print(self, result: dict[str, Any]) -> None:
        columns = ("queries", "hit@1", "hit@5", "ndcg@10", "mrr")
        self.stdout.write(f"\n{'kind':<14}" + "".join(f"{name:>9}" for name in columns))
        for kind, figures in result["kinds"].items():
            values = "".join(f"{figures[name]:>9.3g}" for name in columns)
            self.stdout.write(f"{kind:<14}{values}")
        ingest, latency = result["ingest"], result["latency_ms"]
        self.stdout.write(
            f"\n{result['documents']} documents, {ingest['pages']} pages in {ingest['seconds']} s: "
            f"{ingest['pages_per_s']} pages/s; a new text query: p50 {latency.get('p50')} ms, "
            f"p95 {latency.get('p95')} ms"
        )
        for item in ingest["refused"]:
            self.stdout.write(f"refused: {item['file']} ({item['code']})")
