"""Serves an engine over HTTP on a Unix socket or a port: Embed v2 and OCR. Knows no app.

Plain ASGI without a framework. Blocking work runs in two thread pools, so that a query never
waits for a thread that reads documents.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import stat
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import uvicorn

from embedding_engine.engine import Engine
from embedding_engine.errors import (
    EngineError,
    EngineUnavailable,
    InputTooLarge,
    InvalidInput,
)
from embedding_engine.images import decoded_image
from embedding_engine.reading import read
from embedding_engine.wire import (
    MAX_BODY_BYTES,
    EmbedCall,
    embed_response,
    error_body,
    parse_embed_body,
    status_of,
)

log = logging.getLogger(__name__)

ENGINE_HEADER = b"x-embedding-engine"
# Clients drop idle connections after 5 s or more; the server must not be the first to hang up.
KEEP_ALIVE_S = 75
_THREADS = 8

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: status, body, its media type."""

    status: int
    body: bytes
    media_type: bytes = b"application/json"


class EngineApp:
    """The ASGI application over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queries = ThreadPoolExecutor(_THREADS, thread_name_prefix="engine-query")
        self._documents = ThreadPoolExecutor(_THREADS, thread_name_prefix="engine-document")
        self._routes: dict[tuple[str, str], Callable[[bytes], Awaitable[Answer]]] = {
            ("POST", "/v2/embed"): self._embed,
            ("POST", "/v1/read"): self._read,
            ("GET", "/v1/models"): self._models,
            ("GET", "/ping"): self._ping,
            ("GET", "/metrics"): self._metrics,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await _send_answer(send, await self._answer(scope, receive))

    def close(self) -> None:
        """End the thread pools; what waits in them is dropped."""
        for pool in (self._queries, self._documents):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        route = self._routes.get((scope["method"], scope["path"].rstrip("/")))
        if route is None:
            return _error_answer(404, {"id": str(uuid.uuid4()), "message": "404 page not found"})
        try:
            return await route(await _body(scope, receive))
        except EngineError as error:
            return _error_answer(status_of(error), error_body(error))
        except Exception:  # the top of a request: logged, answered, the server goes on
            log.exception("request failed: %s %s", scope["method"], scope["path"])
            return _error_answer(500, {"id": str(uuid.uuid4()), "message": "internal error"})

    async def _embed(self, body: bytes) -> Answer:
        loop = asyncio.get_running_loop()
        call = await loop.run_in_executor(self._queries, self._parsed, body)
        is_query = call.request.input_type == "search_query"
        pool = self._queries if is_query else self._documents
        return await loop.run_in_executor(pool, self._embedded, call)

    def _parsed(self, body: bytes) -> EmbedCall:
        try:
            decoded = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"invalid json syntax: {error}") from error
        return parse_embed_body(decoded, spec=self._engine.spec)

    def _embedded(self, call: EmbedCall) -> Answer:
        try:
            result = self._engine.embed(call.request)
        except EngineError as error:
            return _error_answer(status_of(error), error_body(error, kind=call.kind))
        return _json_answer(embed_response(call, result, spec=self._engine.spec))

    async def _read(self, body: bytes) -> Answer:
        loop = asyncio.get_running_loop()
        reading = await loop.run_in_executor(self._documents, lambda: read(decoded_image(body)))
        words = [astuple(word) for word in reading.words]
        return _json_answer({"text": reading.text, "words": words})

    async def _models(self, body: bytes) -> Answer:
        spec = self._engine.spec
        model = {
            "name": spec.name,
            "endpoints": ["embed"],
            "default_endpoints": [],
            "context_length": spec.context_tokens,
            "dimensions": spec.dimensions,
            "lanes": spec.lanes,
            "revision": spec.revision,
            "languages": spec.languages,
        }
        return _json_answer({"models": [model]})

    async def _ping(self, body: bytes) -> Answer:
        return Answer(200, b"")

    async def _metrics(self, body: bytes) -> Answer:
        lines = [f"engine_{name} {value}" for name, value in self._engine.metrics().items()]
        text = "\n".join([*lines, ""]).encode()
        return Answer(200, text, b"text/plain; version=0.0.4")


async def _body(scope: Scope, receive: Receive) -> bytes:
    """The whole body; InputTooLarge as soon as it is known to be more than 20 MiB."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    too_large = InputTooLarge(f"a request may have at most {MAX_BODY_BYTES:,} bytes")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise too_large
    chunks = bytearray()
    more = True
    while more:
        message = await receive()
        chunks += message.get("body", b"")
        more = message.get("more_body", False)
        if len(chunks) > MAX_BODY_BYTES:
            raise too_large
    return bytes(chunks)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _send_answer(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", answer.media_type),
        (b"content-length", str(len(answer.body)).encode()),
        (ENGINE_HEADER, b"1"),
    ]
    if answer.status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _json_answer(content: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content, separators=(",", ":"), allow_nan=False).encode())


def _error_answer(status: int, content: dict[str, str]) -> Answer:
    return _json_answer(content, status)


def serve(
    engine: Engine, *, uds: str | None = None, host: str = "127.0.0.1", port: int = 8100
) -> None:
    """Answer on the Unix socket `uds` (mode 0600), or on host and port, until SIGTERM or SIGINT.

    A socket file left by a dead engine is replaced; EngineUnavailable if a live one answers there.
    """
    app = EngineApp(engine)
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", timeout_keep_alive=KEEP_ALIVE_S
    )
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(_unix_socket(Path(uds)))] if uds else None
        stack.callback(app.close)
        stack.enter_context(_quiet_end())
        uvicorn.Server(config).run(sockets=sockets)


@contextlib.contextmanager
def _unix_socket(path: Path) -> Iterator[socket.socket]:
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mode is set before the name appears: nobody else can connect in between.
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    try:
        yield listening
    finally:
        listening.close()
        path.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise EngineUnavailable(f"{path} is not a socket: it is left alone")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise EngineUnavailable(f"another engine answers on {path}")


@contextlib.contextmanager
def _quiet_end() -> Iterator[None]:
    """uvicorn raises SIGTERM and SIGINT again when it is done; that must not skip the clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ends = (signal.SIGTERM, signal.SIGINT)
    before = {end: signal.signal(end, lambda number, frame: None) for end in ends}
    try:
        yield
    finally:
        for end, action in before.items():
            signal.signal(end, action)
