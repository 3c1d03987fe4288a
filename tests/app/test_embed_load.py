"""The Embed API under load: what is read, what waits for what, and how much may be here."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from searchapp import engine
from searchapp.api.embed import EmbedApi
from searchapp.engine import WireAnswer
from tests.app.conftest import People
from tests.app.test_embed_api import is_error
from tests.slow_body import SlowBody

pytestmark = pytest.mark.django_db
MIB = 1024 * 1024


class Unread:
    """A body of which nobody may read a byte."""

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def let_through(request: WSGIRequest) -> HttpResponse:
    raise AssertionError("let through")


def raw(key: str, **environ: object) -> Any:
    """The middleware's answer to a request whose WSGI environment is given."""
    return asked_of(EmbedApi(let_through), key, environ)


def asked_of(api: EmbedApi, key: str, environ: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = RequestFactory().post("/v2/embed", headers=headers)
    request.META.update(environ)
    made = type(request)(request.META)
    return api(made)


def test_a_body_is_refused_before_it_is_read(key: str) -> None:
    unread = {"wsgi.input": Unread()}
    assert raw(key, CONTENT_LENGTH="20971521", **unread).status_code == 413
    assert raw(key, CONTENT_LENGTH="9" * 5000, **unread).status_code == 413
    assert raw("", CONTENT_LENGTH="10", **unread).status_code == 401
    assert raw(key, CONTENT_LENGTH="ten", **unread).status_code == 400
    assert raw(key, CONTENT_TYPE="image/png", CONTENT_LENGTH="1", **unread).status_code == 415


class Chunks:
    """A body that comes without its length."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        taken = min(size, self.left)
        self.left -= taken
        self.taken += taken
        return b" " * taken

    readline = read


def test_a_chunked_body_is_read_up_to_the_limit(key: str) -> None:
    endless = Chunks(10**12)
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "", "CONTENT_TYPE": ""}
    assert raw(key, **chunked, **{"wsgi.input": endless}).status_code == 413
    assert endless.taken == engine.MAX_BODY_BYTES + 1
    answer = raw(key, **chunked, **{"wsgi.input": Chunks(5)})
    assert json.loads(answer.content)["message"].startswith("invalid json syntax")


@pytest.fixture
def slow_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """An engine that answers when the event is set; sees that no connection is held meanwhile."""
    go = threading.Event()

    def forward(method: str, path: str, body: bytes) -> WireAnswer:
        if not connection.in_atomic_block:
            assert connection.connection is None, "a database connection waits with the request"
        assert go.wait(30)
        return WireAnswer(200, body)

    monkeypatch.setattr(engine, "forward", forward)
    yield go
    go.set()


@pytest.mark.django_db(transaction=True)
def test_embed_calls_wait_for_each_other_and_pages_for_none(
    people: People, key: str, slow_engine: threading.Event
) -> None:
    api = EmbedApi(lambda request: HttpResponse("a page"))
    answers: list[tuple[int, bytes]] = []

    def call(number: int) -> None:
        content = str(number).encode()
        request = RequestFactory().post(
            "/v2/embed",
            content,
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )
        answer: Any = api(request)
        answers.append((answer.status_code, answer.content))
        connection.close()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    while len(answers) < 4:  # 96 wait or are with the engine
        threading.Event().wait(0.01)
    page: Any = api(RequestFactory().get("/documents"))
    assert page.content == b"a page"
    slow_engine.set()
    for thread in threads:
        thread.join()
    refused = [json.loads(content) for status, content in answers if status == 503]
    assert len(refused) == 4
    assert all(is_error(body) for body in refused)
    assert len({content for status, content in answers if status == 200}) == 96


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/ping", 405), ("POST", "/openapi.json", 405), ("GET", "/ping", 200)],
)
def test_who_has_no_key_takes_no_turn(method: str, path: str, status: int) -> None:
    declared = {"CONTENT_LENGTH": str(20 * MIB), "CONTENT_TYPE": "application/json"}
    asked = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": Unread(), **declared}
    api = EmbedApi(let_through)
    for _ in range(200):
        assert asked_of(api, "", asked).status_code == status


def test_a_health_check_waits_neither_for_calls_nor_long(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    asked: list[float] = []

    class Client:
        def __init__(self, url: str, *, timeout: float, api_key: str) -> None:
            asked.append(timeout)

        def forward(self, method: str, path: str, body: bytes) -> WireAnswer:
            return WireAnswer(200, b"")

    monkeypatch.setattr("searchapp.engine.connection.EmbedClient", Client)
    settings.EMBEDDING_INPROCESS = False
    settings.ENGINE_URL = "unix:///far/engine.sock"
    assert engine.forward("GET", "/ping", b"").status == 200
    assert engine.forward("POST", "/v2/embed", b"").status == 200
    assert asked[0] <= 5 < 60 < asked[1]


@pytest.mark.django_db(transaction=True)
def test_large_bodies_wait_for_room_and_small_ones_do_not(
    people: People, key: str, slow_engine: threading.Event
) -> None:
    """Of 20 MiB three are read at a time, whoever comes; they may take as long as they want."""
    slow_engine.set()
    go = threading.Event()
    api = EmbedApi(let_through)
    answers: list[int] = []

    def call(body: SlowBody) -> None:
        environ = {"CONTENT_LENGTH": str(body.size), "CONTENT_TYPE": "", "wsgi.input": body}
        answers.append(asked_of(api, key, environ).status_code)
        connection.close()

    large = [SlowBody(go, 20 * MIB) for _ in range(30)]
    threads = [threading.Thread(target=call, args=(body,)) for body in large]
    for thread in threads:
        thread.start()
    while sum(body.is_asked.is_set() for body in large) < 3:
        threading.Event().wait(0.01)
    ready = threading.Event()
    ready.set()
    call(SlowBody(ready, 1 * MIB))
    assert answers == [200]
    assert sum(body.is_asked.is_set() for body in large) == 3
    go.set()
    for thread in threads:
        thread.join()
    assert answers == [200] * 31


def test_a_body_that_ends_early_is_not_forwarded(key: str) -> None:
    cut = {"CONTENT_LENGTH": "100", "CONTENT_TYPE": "", "wsgi.input": Chunks(60)}
    answer = raw(key, **cut)
    assert answer.status_code == 400
    assert "ended early" in json.loads(answer.content)["message"]
