"""`manage.py index ...`: the indexes and the change from one to another, without an outage."""

import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from searchapp import engine, indexing, jobs
from searchapp.environment import model_place
from searchapp.errors import SearchappError, Unavailable
from searchapp.indexing import Progress
from searchapp.models import Index
from searchapp.models.indexes import index_settings_differ
from searchapp.search.stages.background import background_prepare

_WAIT_S = 60.0
_LOAD_S = 3600.0
_LOOK_S = 1.0
_DROP_S = 180.0
_BAR = 30


class Command(BaseCommand):
    """Each subcommand fails with a sentence that says what to do."""

    help = "List indexes; build one beside the live one, compare, activate, go back, retire."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A subcommand each."""
        commands = parser.add_subparsers(dest="action", required=True)
        ensure = commands.add_parser("ensure", help="make the first index, of EMBEDDING_MODEL")
        ensure.add_argument(
            "--wait", type=float, default=_WAIT_S, help="seconds to wait for the engine"
        )
        commands.add_parser("list", help="all indexes, how far they are, what to do")
        self._build_arguments(commands.add_parser("build", help="build or resume an index"))
        compare = commands.add_parser("compare", help="two indexes, by the saved judged queries")
        compare.add_argument("first", type=int, help="number of an index")
        compare.add_argument("second", type=int, help="number of another")
        activate = commands.add_parser("activate", help="switch to an index; also to go back")
        activate.add_argument("index", type=int)
        activate.add_argument("--force", action="store_true", help="though pages are missing")
        retire = commands.add_parser("retire", help="stop a build; --drop: delete for good")
        retire.add_argument("index", type=int)
        retire.add_argument("--drop", action="store_true", help="delete its vectors and its row")

    def _build_arguments(self, build: ArgumentParser) -> None:
        build.add_argument("--model", help="name, folder or owner/name (else EMBEDDING_MODEL)")
        build.add_argument("--revision", help="commit or tag on the hub")
        build.add_argument("--dimension", type=int, help="else EMBEDDING_DIMENSION or its own")
        build.add_argument("--local", action="store_true", help="load it here, not EMBEDDING_URL")
        build.add_argument("--again", action="store_true", help="a second index of this model")
        build.add_argument("--no-wait", action="store_true", help="leave it to the workers")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Errors are one sentence, exit status 1."""
        actions: dict[str, Callable[[dict[str, Any]], None]] = {
            "ensure": self._ensure,
            "list": self._list,
            "build": self._build,
            "compare": self._compare,
            "activate": self._activate,
            "retire": self._retire,
        }
        if action != "ensure" and _is_engine_ours() and not engine.is_reachable():
            engine.use_inprocess()
        try:
            actions[action](options)
        except SearchappError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database says: {error}") from error

    def _ensure(self, options: dict[str, Any]) -> None:
        if not Index.objects.filter(state=Index.State.ACTIVE).exists():
            engine.spec_wait(engine.configured(), options["wait"])
        index = indexing.index_ensure()
        self.stdout.write(f"Active index: {index}")
        if index_settings_differ(index):
            self.stdout.write(_DIFFER)

    def _list(self, options: dict[str, Any]) -> None:
        lines = indexing.index_list()
        self.stdout.write(f"{'':>4} {'model':40} {'dim':>5} {'state':9} pages")
        for line in lines:
            one, progress = line.index, line.progress
            name = f"{one.model}@{one.revision[:12]}"
            pages = _told(progress) if progress.missing else f"all {progress.pages:,}"
            pages += "" if progress.has_hnsw else ", without HNSW index"
            state = _state(line)
            self.stdout.write(f"{one.pk:>4} {name:40} {one.dimension:>5} {state:9} {pages}")
        active = [line.index for line in lines if line.index.state == Index.State.ACTIVE]
        if not active:
            self.stdout.write("There is no active index: run `manage.py index ensure`.")
        elif index_settings_differ(active[0]):
            wanted = [line.index for line in lines if not index_settings_differ(line.index)]
            self.stdout.write(_THERE.format(wanted[-1].pk) if wanted else _DIFFER)

    def _build(self, options: dict[str, Any]) -> None:
        source = _source(options)
        space = indexing.space_get(source, options["dimension"], wait_s=_LOAD_S)
        index = indexing.index_build(space, is_new=options["again"])
        self.stdout.write(f"Building index {index.pk}: {index}")
        if options["no_wait"]:
            return
        try:
            self._build_wait(index)
        except KeyboardInterrupt:
            self.stdout.write("\nThe workers go on; `manage.py index list` says how far they are.")
            return
        self.stdout.write(f"Complete. To switch: manage.py index activate {index.pk}")

    def _build_wait(self, index: Index) -> None:
        """Until nothing is left to do; done here where no worker does it. Raises Unavailable."""
        while True:
            is_done = jobs.workers_alive()["embed"] or indexing.embed_next()
            index.refresh_from_db()
            progress = indexing.index_progress(index)
            self._bar(progress)
            if progress.missing == progress.failed:
                break
            if jobs.workers_alive()["embed"] or not is_done:
                time.sleep(_LOOK_S)
        self.stdout.write("")
        if progress.failed:
            raise Unavailable("index_incomplete", f"{index}: {indexing.lacking(progress)}")
        while not indexing.index_finish(index):
            time.sleep(_LOOK_S)

    def _bar(self, progress: Progress) -> None:
        share = 1 - progress.missing / max(progress.pages, 1)
        filled = round(share * _BAR)
        bar = "#" * filled + "." * (_BAR - filled)
        self.stdout.write(f"\r[{bar}] {_told(progress)}   ", ending="")
        self.stdout.flush()

    def _compare(self, options: dict[str, Any]) -> None:
        from searchapp.evaluation.asking import Setting
        from searchapp.evaluation.comparison import compare, comparison_lines
        from searchapp.evaluation.saved import saved_questions

        first, second = (indexing.index_get(options[name]) for name in ("first", "second"))
        found = compare(saved_questions(), Setting(index=first.pk), Setting(index=second.pk))
        self.stdout.write("\n".join(comparison_lines(found)))

    def _activate(self, options: dict[str, Any]) -> None:
        index = indexing.index_get(options["index"])
        if index.state == Index.State.RETIRED and not options["force"]:
            # Going back: what was uploaded since is embedded first.
            indexing.index_resume(index)
            self._build_wait(index)
        indexing.index_activate(index, is_forced=options["force"], prepare=background_prepare)
        self.stdout.write(f"Active index: {index}")
        missing = indexing.index_progress(index).missing
        if missing:
            self.stdout.write(f"{missing:,} pages are missing; the workers embed them now.")

    def _retire(self, options: dict[str, Any]) -> None:
        index = indexing.index_get(options["index"])
        if not options["drop"]:
            indexing.index_retire(index)
            self.stdout.write(f"Retired, kept: {index}")
            return
        end, said = time.monotonic() + _DROP_S, ""
        while True:
            try:
                indexing.index_drop(index)
                break
            except Unavailable as error:
                if time.monotonic() > end:
                    raise
                if not said:
                    said = f"Waiting, for {_DROP_S:.0f} s at most: {error.message}"
                    self.stdout.write(said)
            time.sleep(_LOOK_S * 5)
        self.stdout.write(f"Dropped: {index}")


_DIFFER = (
    "EMBEDDING_MODEL, EMBEDDING_REVISION or EMBEDDING_DIMENSION name another one. Searches and "
    "uploads go on with the active index; to change, run `manage.py index build`."
)

_THERE = (
    "EMBEDDING_MODEL, EMBEDDING_REVISION and EMBEDDING_DIMENSION name index {0}, which is not the "
    "active one; to change, run `manage.py index activate {0}`."
)


def _state(line: indexing.IndexLine) -> str:
    """`ready` for what is built and can be activated."""
    progress = line.progress
    is_whole = progress.has_hnsw and not progress.missing
    is_ready = line.index.state == Index.State.BUILDING and is_whole
    return "ready" if is_ready else line.index.state


def _is_engine_ours() -> bool:
    return bool(settings.ADDRESSES.is_engine_embedded)


def _source(options: dict[str, Any]) -> engine.ModelSource:
    """A named model has no revision of the settings', which is another's."""
    configured = engine.configured()
    url = "" if options["local"] else configured.url
    if not options["model"]:
        revision = options["revision"] or configured.revision
        return engine.ModelSource(configured.model, revision, url)
    model = options["model"] if url else model_place(options["model"])
    return engine.ModelSource(model, options["revision"] or "", url)


def _told(progress: Progress) -> str:
    done = progress.pages - progress.missing
    words = f"{done:,} of {progress.pages:,}"
    words += f", {progress.failed:,} failed" if progress.failed else ""
    return f"{words}, {_left(progress.seconds_left)}" if progress.seconds_left else words


def _left(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min left" if hours else f"{minutes} min {rest} s left"
