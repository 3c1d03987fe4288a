"""`manage.py evaluate DIR` or `--saved`: quality on judged queries; with `--against`, of two
settings side by side."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from searchapp import engine
from searchapp.errors import SearchappError
from searchapp.evaluation.asking import (
    Setting,
    questions_ask,
    setting_described,
    setting_read,
)
from searchapp.evaluation.comparison import (
    Comparison,
    compare,
    comparison_described,
    comparison_lines,
)
from searchapp.evaluation.figures import MEASURES
from searchapp.evaluation.figures import report as figures_report
from searchapp.evaluation.folder import evaluate, evaluate_against
from searchapp.evaluation.questions import HALVES
from searchapp.evaluation.saved import saved_export, saved_import, saved_questions

_COLUMNS = ("queries", *MEASURES, "bad@10")


class Command(BaseCommand):
    """Prints tables; --json writes all figures and the ranks of every query."""

    help = (
        "Score search by judged queries: of DIR in a scratch index, or the saved ones; "
        "compare two settings."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which queries, with which settings, and where the figures go."""
        parser.add_argument("folder", type=Path, nargs="?", help="documents and queries.jsonl")
        parser.add_argument(
            "--saved", action="store_true", help="the queries people judged here, on the live index"
        )
        parser.add_argument(
            "--setting", default="", help="oversampling=8 or index=3, or both with a comma"
        )
        parser.add_argument("--against", help="a second setting: both side by side, with a test")
        parser.add_argument(
            "--half",
            choices=HALVES,
            default="",
            help="tell only one half of the documents' queries",
        )
        parser.add_argument("--json", type=Path, help="write all figures to this file")
        parser.add_argument("--export", type=Path, help="write the saved queries as queries.jsonl")
        parser.add_argument(
            "--import", type=Path, dest="queries", help="save the queries of a file"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """The model is held in this process when no engine runs; errors are one sentence."""
        try:
            self._run(options)
        except SearchappError as error:
            raise CommandError(str(error)) from error

    def _run(self, options: dict[str, Any]) -> None:
        if options["export"]:
            self._told(f"Queries written: {saved_export(options['export'])}")
            return
        if options["queries"]:
            came = saved_import(options["queries"])
            self._told(
                f"{came.queries} queries, {came.judgements} judged pages saved; "
                f"{came.missing} pages are of documents that are not here"
            )
            return
        if bool(options["folder"]) == options["saved"]:
            raise CommandError("Name a folder, or --saved for the queries that people judged here.")
        if not engine.is_reachable():
            engine.use_inprocess()
        setting = setting_read(options["setting"])
        if options["against"] is None:
            self._figures(_measured(options, setting, self._told), options["json"])
        else:
            against = setting_read(options["against"])
            self._comparison(_compared(options, setting, against, self._told), options["json"])

    def _told(self, line: str) -> None:
        self.stdout.write(line)

    def _figures(self, result: dict[str, Any], path: Path | None) -> None:
        for name in ("kinds", "languages", "types", "halves"):
            self._table(name, result[name])
        latency = result["latency_ms"]
        self._told(f"\na new text query: p50 {latency.get('p50')} ms, p95 {latency.get('p95')} ms")
        if "ingest" in result:
            self._ingest(result["documents"], result["ingest"])
        _write(path, result)

    def _table(self, name: str, groups: Mapping[str, Mapping[str, float]]) -> None:
        self._told(f"\n{name:<14}" + "".join(f"{column:>10}" for column in _COLUMNS))
        for group, figures in groups.items():
            shown = (f"{figures[c]:.3g}" if c in figures else "-" for c in _COLUMNS)
            self._told(f"{group:<14}" + "".join(f"{value:>10}" for value in shown))

    def _ingest(self, documents: int, ingest: Mapping[str, Any]) -> None:
        self._told(
            f"{documents} documents, {ingest['pages']} pages in {ingest['seconds']} s: "
            f"{ingest['pages_per_s']} pages/s"
        )
        for item in ingest["refused"]:
            self._told(f"refused: {item['file']} ({item['code']})")

    def _comparison(self, comparison: Comparison, path: Path | None) -> None:
        self._told("\n".join(comparison_lines(comparison)))
        _write(path, comparison_described(comparison))


def _measured(options: Mapping[str, Any], setting: Setting, report: Any) -> dict[str, Any]:
    if options["folder"]:
        folder = options["folder"].resolve()
        return evaluate(folder, report=report, setting=setting, half=options["half"])
    run = questions_ask(saved_questions(), setting)
    return {"setting": setting_described(run)} | figures_report(run.outcomes, half=options["half"])


def _compared(
    options: Mapping[str, Any], first: Setting, second: Setting, report: Any
) -> Comparison:
    if not options["folder"]:
        questions = [q for q in saved_questions() if options["half"] in ("", q.half)]
        return compare(questions, first, second)
    if first.index or second.index:
        raise CommandError("A folder is asked in a scratch index: index= is for --saved.")
    folder = options["folder"].resolve()
    return evaluate_against(folder, first, second, report=report, half=options["half"])


def _write(path: Path | None, result: dict[str, Any]) -> None:
    if path:
        path.write_text(json.dumps(result, indent=2) + "\n")
