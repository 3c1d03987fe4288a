"""Another model in the settings or in the engine: nothing is mixed, nothing stops."""

import json
import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import httpx
import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from embedding_engine.api import answer
from embedding_engine.engine import make_engine
from embedding_engine.pool import ModelPool
from embedding_engine.types import ModelOptions, ModelSource
from searchapp import engine, indexing
from searchapp.access import SYSTEM
from searchapp.errors import Unavailable
from searchapp.models import Embedding, Index, PendingPage
from searchapp.models.indexes import index_active, index_settings_differ
from searchapp.search.query import text_query
from searchapp.search.search import search_pages
from tests.app.conftest import People, drain, index_switch, ingested, pdf_make, upload
from tests.http_server import LocalServer, SilentHandler, serving
from tests.sight.train import FOLDER

pytestmark = pytest.mark.django_db(transaction=True)


def pool() -> ModelPool:
    """What an engine process holds after its start."""
    made = ModelPool(make_engine, ModelOptions(), may_load=True)
    made.load(ModelSource("builtin"))
    return made


class EngineServer(LocalServer):
    """An engine process that can be started anew."""

    def __init__(self) -> None:
        super().__init__(_Served)
        self.holds = pool()

    def restart(self) -> None:
        self.holds.close()
        self.holds = pool()


class _Served(SilentHandler):
    server: EngineServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = answer(self.server.holds, method=self.command, path=self.path, body=body)
        self.send_response(found.status)
        self.send_header("Content-Length", str(len(found.body)))
        self.end_headers()
        self.wfile.write(found.body)

    do_GET = do_POST


@pytest.fixture
def server(settings: Settings) -> Iterator[EngineServer]:
    """The only engine there is."""
    made = EngineServer()
    with serving(made):
        settings.EMBEDDING_INPROCESS = False
        settings.ENGINE_URL = made.url
        yield made
    made.holds.close()


def switched(model: str) -> Index:
    """As index_switch, with an engine that loads while one waits."""
    engine.spec_wait(engine.ModelSource(model), 60)
    return index_switch(model)


def test_settings_that_name_another_model_stop_nothing(people: People, settings: Settings) -> None:
    ingested(people, pdf_make(), "report.pdf")
    settings.EMBEDDING_MODEL = "fake"
    assert indexing.index_ensure().model == "builtin"
    assert ingested(people, pdf_make(["A turbine of another kind."]), "b.pdf").status == "ready"
    found = search_pages(actor=SYSTEM, query=text_query("turbine"))
    assert (found.index["model"], len(found.hits) > 1) == ("builtin", True)
    said = StringIO()
    call_command("index", "list", stdout=said)
    call_command("index", "ensure", stdout=said)
    assert said.getvalue().count("run `manage.py index build`") == 2


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({}, False),
        ({"EMBEDDING_MODEL": "all-MiniLM-L6-v2"}, False),
        ({"EMBEDDING_DIMENSION": 1536}, False),
        ({"EMBEDDING_DIMENSION": 512}, True),
        ({"EMBEDDING_MODEL": "fake"}, True),
        ({"EMBEDDING_MODEL": "owner/name"}, True),
        ({"EMBEDDING_URL": "https://embed.example.org"}, True),
    ],
)
def test_when_settings_name_another_index(
    people: People, settings: Settings, changed: dict[str, object], differs: bool
) -> None:
    for name, value in changed.items():
        setattr(settings, name, value)
    assert index_settings_differ(index_active()) is differs


def test_programs_may_name_the_model_as_it_was_configured(server: EngineServer) -> None:
    spec = engine.spec_wait(engine.ModelSource(str(FOLDER)), 60)
    for name in (str(FOLDER), spec.identity, "model", "builtin", "embed-v4.0"):
        call = {"model": name, "input_type": "search_query", "texts": ["a red star"]}
        assert httpx.post(f"{server.url}/v2/embed", json=call).status_code == 200
    call["model"] = "model@0123456789ab"
    assert httpx.post(f"{server.url}/v2/embed", json=call).status_code == 404


def test_an_engine_that_was_started_anew_loads_the_model_of_the_index(
    people: People, server: EngineServer
) -> None:
    ingested(people, pdf_make(), "report.pdf")
    index = switched(str(FOLDER))
    server.restart()
    assert [one.spec.name for one in server.holds.engines] == ["builtin"]
    with pytest.raises(Unavailable) as caught:
        search_pages(actor=SYSTEM, query=text_query("a red star"))
    assert caught.value.code == "model_loading"
    engine.spec.__globals__["_served_spec"].cache_clear()
    engine.spec_wait(index.space.source, 60)
    assert search_pages(actor=SYSTEM, query=text_query("a red star")).index["id"] == index.pk


def test_pages_wait_while_the_model_loads(people: People, server: EngineServer) -> None:
    index = switched(str(FOLDER))
    server.restart()
    document = upload(people, pdf_make(), "report.pdf")
    drain()
    assert set(document.pages.values_list("step", "state", "attempts")) == {("embed", "waiting", 0)}
    engine.spec.__globals__["_served_spec"].cache_clear()
    engine.spec_wait(index.space.source, 60)
    document.pages.update(not_before=None)
    drain()
    document.refresh_from_db()
    assert document.status == "ready"


def test_other_weights_under_the_same_name_do_not_get_into_the_index(
    people: People, server: EngineServer, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(FOLDER, folder)
    first = switched(str(folder))
    card = folder / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "steps": 1}))
    server.restart()
    engine.spec.__globals__["_served_spec"].cache_clear()
    other = engine.spec_wait(engine.ModelSource(str(folder)), 60)
    assert (other.name, other.revision != first.revision) == (first.model, True)
    assert ingested(people, pdf_make(), "report.pdf").status == "embedding"
    with pytest.raises(Unavailable, match=rf"holds {other.identity} now") as caught:
        search_pages(actor=SYSTEM, query=text_query("a red star"))
    assert caught.value.code == "model_mismatch"
    assert not Embedding.objects.filter(index=first).exists()
    assert not PendingPage.objects.filter(index=first).exists()


def test_a_model_that_cannot_be_loaded_is_told_in_words(
    server: EngineServer, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match="neither config") as caught:
        engine.spec_wait(engine.ModelSource(str(tmp_path)), 60)
    assert caught.value.code == "model_unavailable"


def test_nobody_outside_has_models_loaded(key: str, server: EngineServer) -> None:
    call = {"model": str(FOLDER)}
    for path in ("/v1/load", "/v1/models/../load", "/v2/v1/load", "/v1/load/"):
        found = Client().post(
            path, call, content_type="application/json", headers={"Authorization": f"Bearer {key}"}
        )
        assert found.status_code == 404
    assert len(server.holds.engines) == 1
