"""The door to the engine: what keeps documents waiting, and what an input is blamed for."""

import contextlib
import json
import time
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from embedding_engine.registry import model_spec
from embedding_engine.types import ModelOptions
from searchapp import engine
from searchapp.errors import EngineFailed, InvalidInput, SearchappError, Unavailable
from tests.app.conftest import png_make
from tests.http_server import LocalServer, SilentHandler, serving

SPACE = engine.VectorSpace(engine.ModelSource("builtin"), model_spec("builtin"), 1536)


class EmbedServer(LocalServer):
    """Any Embed v2 server: answers `status` after `delay` seconds and keeps what it was sent."""

    status = 200
    delay = 0.0
    content = b'{"text": "Emergency exit", "words": []}'

    def __init__(self) -> None:
        super().__init__(_Answer)
        self.received: list[tuple[str, bytes]] = []


class _Answer(SilentHandler):
    server: EmbedServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.received.append((self.path, body))
        time.sleep(self.server.delay)
        content = self.server.content
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # the client did not wait
            self.wfile.write(content)

    do_GET = do_POST


@pytest.fixture
def server(settings: Settings) -> Iterator[EmbedServer]:
    made = EmbedServer()
    with serving(made):
        settings.EMBEDDING_INPROCESS = False
        settings.ENGINE_URL = made.url
        yield made


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, InvalidInput),
        (401, Unavailable),
        (403, Unavailable),
        (404, Unavailable),
        (418, Unavailable),
        (429, Unavailable),
        (500, EngineFailed),
        (502, Unavailable),
        (503, Unavailable),
        (504, EngineFailed),
    ],
)
def test_an_answer_says_whose_fault_it_is(
    server: EmbedServer, status: int, expected: type[SearchappError]
) -> None:
    server.status = status
    with pytest.raises(SearchappError) as caught:
        engine.embed_documents([[engine.TextPart("a")]], space=SPACE)
    assert type(caught.value) is expected
    assert caught.value.retryable is (expected is not InvalidInput)


def test_nobody_there_is_unavailable(settings: Settings) -> None:
    settings.EMBEDDING_INPROCESS = False
    settings.ENGINE_URL = "http://127.0.0.1:9"
    with pytest.raises(Unavailable):
        engine.embed_query([engine.TextPart("a")], space=SPACE)
    assert engine.is_reachable() is False


def test_too_slow_over_one_input_is_its_failure(
    server: EmbedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.delay = 1.0
    monkeypatch.setattr(engine, "_QUERY_S", 0.1)
    with pytest.raises(EngineFailed) as caught:
        engine.embed_query([engine.TextPart("a")], space=SPACE)
    assert (caught.value.code, caught.value.status) == ("engine_failed", 502)


def test_the_probe_waits_for_less_than_a_query(
    server: EmbedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine.is_reachable() is True
    server.delay = 0.5
    monkeypatch.setattr(engine, "_PROBE_S", 0.05)
    assert engine.is_reachable() is False
    with pytest.raises(Unavailable):  # waited for, and found to be no vectors
        engine.embed_query([engine.TextPart("a")], space=SPACE)


def test_a_model_that_reads_is_sent_words_not_pictures(server: EmbedServer) -> None:
    (part,) = engine.read_pictures([engine.ImagePart(png_make())], SPACE.spec)
    assert part == engine.TextPart("Emergency exit")
    with pytest.raises(Unavailable):
        engine.embed_query([part], space=SPACE)  # the stand-in has no vectors
    (read_path, _), (embed_path, body) = server.received
    assert (read_path, embed_path) == ("/v1/read", "/v2/embed")
    assert b"Emergency exit" in body
    assert b"data:image" not in body


DESCRIBED = {
    "name": "seer",
    "dimensions": [64, 128],
    "default_dimension": 128,
    "lanes": ["image", "text"],
    "context_length": 4096,
    "window_tokens": 100,
    "revision": "abc",
    "languages": ["en", "de"],
}


def test_of_a_model_that_did_not_come_with_us_the_engine_is_asked_once(
    server: EmbedServer, settings: Settings
) -> None:
    settings.EMBEDDING_MODEL = "owner/seer"
    server.status = 503
    with pytest.raises(Unavailable):
        engine.spec()
    server.status = 200
    server.content = json.dumps(DESCRIBED).encode()
    spec = engine.spec()
    assert (spec.name, spec.revision, spec.lanes) == ("seer", "abc", ("image", "text"))
    assert (spec.dimensions, spec.context_tokens, spec.window_tokens) == ((64, 128), 4096, 100)
    assert engine.dimension() == 128
    settings.EMBEDDING_DIMENSION = 64
    assert engine.dimension() == 64
    assert len(engine.windows("word " * 150, spec)) == 2
    asked = [path for path, _ in server.received]
    assert asked == ["/v1/load", "/v1/load"]
    server.status = 503
    assert engine.spec() == spec
    assert [path for path, _ in server.received] == asked


def test_the_model_of_another_server_is_not_taken_for_the_registered_one(
    server: EmbedServer, settings: Settings
) -> None:
    settings.EMBEDDING_URL = "https://embed.example.org"
    server.content = json.dumps(DESCRIBED).encode()
    assert engine.spec().name == "seer"


def test_another_server_in_the_place_of_our_engine_is_said(
    server: EmbedServer, settings: Settings
) -> None:
    settings.EMBEDDING_MODEL = "owner/other"
    server.content = b'{"name": "command-r"}'
    with pytest.raises(Unavailable, match="EMBEDDING_URL"):
        engine.spec()


def test_a_request_of_the_embed_api_is_passed_on_as_it_is(server: EmbedServer) -> None:
    server.status, server.content = 418, b'{"id": "1", "message": "tea"}'
    answer = engine.forward("POST", "/v2/embed", b'{"any": "thing"}')
    assert (answer.status, answer.body) == (418, server.content)
    assert server.received == [("/v2/embed", b'{"any": "thing"}')]


def test_the_model_is_loaded_as_the_settings_say(settings: Settings) -> None:
    settings.EMBEDDING_REVISION, settings.EMBEDDING_DEVICE = "v1", "cuda:1"
    settings.EMBEDDING_DTYPE, settings.EMBEDDING_PIXELS = "bfloat16", 5
    settings.EMBEDDING_BATCH_TOKENS, settings.EMBEDDING_URL = 7, "https://embed.example.org"
    settings.EMBEDDING_API_KEY = "secret"
    assert engine.model_options() == ModelOptions(
        revision="v1",
        device="cuda:1",
        dtype="bfloat16",
        image_pixels=5,
        batch_tokens=7,
        url="https://embed.example.org",
        api_key="secret",
    )
