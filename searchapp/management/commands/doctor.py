"""`manage.py doctor`: what this machine has and lacks, each with what to do."""

import importlib.util
import json
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import run_checks
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from embedding_engine.checkpoints import checkpoint
from embedding_engine.errors import EngineError
from embedding_engine.models.remote_server import server_meet
from embedding_engine.registry import MODELS
from embedding_engine.remote import UNIX, EmbedClient
from embedding_engine.weights import check_files, model_folder
from searchapp import engine
from searchapp.errors import Unavailable
from searchapp.models import Index
from searchapp.models.indexes import index_settings_differ
from searchapp.rendering.sandbox import protections
from searchapp.renewal import renewal_note
from searchapp.services.attach import is_running
from searchapp.services.checkup import Finding, Level, findings

_UPSTREAM_S = 10.0
_MARKS = {"ok": "ok", "warning": "WARNING", "missing": "MISSING"}


class Command(BaseCommand):
    """Exit status 1 when something is missing that the main job needs."""

    help = "Look at every binary, font, package, weight, extension and setting; say what to do."
    # Done below, so that a failed check is a line among the others.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="a list of objects instead")

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(_findings())
        if options["json"]:
            self.stdout.write(json.dumps([asdict(one) for one in found], indent=2))
        else:
            self._table(found)
        if any(one.level == "missing" for one in found):
            raise CommandError("Something that is needed is missing: see above")

    def _table(self, found: list[Finding]) -> None:
        width = max(len(one.name) for one in found)
        for one in found:
            self.stdout.write(f"{_MARKS[one.level]:8} {one.name:{width}}  {one.found}")
            if one.hint:
                self.stdout.write(f"{'':8} {'':{width}}  -> {one.hint}")


def _findings() -> Iterator[Finding]:
    yield from findings(settings.ENV, settings.DATA_DIR)
    index = _index_active()
    yield _model(is_served=index is None or not index_settings_differ(index))
    if index is not None:
        yield _index(index)
        yield _pages()
    yield _reading()
    for wall in protections():
        state = "stands" if wall.active else "not here"
        yield Finding(f"sandbox: {wall.name}", "ok" if wall.active else "warning", state, wall.hint)
    for message in run_checks():
        level: Level = "missing" if message.is_serious() else "warning"
        yield Finding(message.id or "check", level, message.msg, message.hint or "")


def _index_active() -> Index | None:
    """None where there is none or the database is not there."""
    if settings.ADDRESSES.is_database_embedded and not is_running(settings.DATA_DIR):
        return None
    try:
        return Index.objects.filter(state=Index.State.ACTIVE).first()
    except DatabaseError:
        return None


def _index(index: Index) -> Finding:
    if not index_settings_differ(index):
        return Finding("index", "ok", str(index))
    hint = "It goes on answering; to change to the settings' model: `manage.py index build`"
    return Finding("index", "warning", f"{index}: the settings name another", hint)


def _pages() -> Finding:
    try:
        note = renewal_note()
    except DatabaseError as error:
        return Finding("pages", "warning", str(error).strip(), "Run `manage.py migrate`")
    return Finding("pages", "warning" if note else "ok", note or "of this version")


def _model(*, is_served: bool) -> Finding:
    model = settings.EMBEDDING_MODEL
    if settings.EMBEDDING_URL:
        return _upstream()
    if is_served and engine.known_spec() is None and engine.is_reachable():
        return _served_model()
    if _is_unfetched(model):
        hint = "The engine fetches it from the hub when it starts; or set a folder"
        return Finding("model", "warning", f"{model} is not on this machine", hint)
    try:
        spec = checkpoint(model, engine.model_options()).spec
        if spec.package:
            check_files(model_folder(spec), spec.sha256)
    except EngineError as error:
        return Finding("model", "missing", model, str(error))
    seen = "weights as expected" if spec.package else "configuration found"
    return Finding("model", "ok", f"{spec.name} {spec.revision}, {seen}")


def _served_model() -> Finding:
    try:
        spec = engine.spec()
    except Unavailable as error:
        return Finding("model", "missing", settings.EMBEDDING_MODEL, error.message)
    return Finding("model", "ok", f"{spec.name} {spec.revision}, says the engine")


def _upstream() -> Finding:
    """Asked here, as our engine does when it starts."""
    url = settings.EMBEDDING_URL
    key, is_proxied = settings.EMBEDDING_API_KEY, not url.startswith(UNIX)
    try:
        with EmbedClient(url, api_key=key, is_proxied=is_proxied, name="the server") as client:
            spec = server_meet(client, settings.EMBEDDING_MODEL, timeout=_UPSTREAM_S).spec
    except EngineError as error:
        hint = "Check EMBEDDING_URL, EMBEDDING_API_KEY, EMBEDDING_MODEL and that server"
        return Finding("model", "missing", f"{url}: {error.message}", hint)
    return Finding("model", "ok", f"{spec.name} at {url}, by our engine")


def _is_unfetched(model: str) -> bool:
    """Whether it is a repository of the hub that is not in the cache of this machine."""
    if engine.known_spec() is not None or Path(model).expanduser().is_dir():
        return False
    from huggingface_hub import try_to_load_from_cache

    repository = next((spec.repository for name, spec in MODELS.items() if name == model), model)
    revision = settings.EMBEDDING_REVISION or None
    is_name = repository.count("/") == 1
    return is_name and not isinstance(
        try_to_load_from_cache(repository, "config.json", revision=revision), str
    )


def _reading() -> Finding:
    if not settings.ENV["OCR"]:
        return Finding("reading", "warning", "OCR=0", "Pages without text are not read")
    if importlib.util.find_spec("rapidocr") is None:
        return Finding("reading", "warning", "rapidocr is not installed", "Run `make install`")
    return Finding("reading", "ok", "rapidocr")
