"""The Embed API as an ASGI application: keys, bodies, back-pressure, clients that hang up.

Knows neither routes (api.py) nor sockets (server.py). Blocking work runs in thread pools: bodies
are read in one, large ones few at a time, so that the event loop gets its turn; then a query never
waits for a thread that has documents, and a health check waits for neither.
"""

import asyncio
import contextlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any

from embedding_engine import api
from embedding_engine.answers import error_answer
from embedding_engine.base import Embedder
from embedding_engine.bodies import (
    DEFAULT_LIMITS,
    Gone,
    Limits,
    Receive,
    Refused,
    Room,
    declared_bytes,
    whole_body,
)
from embedding_engine.types import WireAnswer
from embedding_engine.wire import ENGINE_HEADER, MAX_BODY_BYTES

_QUERY_THREADS = 32
_DOCUMENT_THREADS = 16
_CHECK_THREADS = 2
_SMALL_READERS = 4
# Who reads JSON holds the interpreter: of all large bodies so many are read at a time.
_LARGE_READERS = 2
_LARGE_BYTES = 1024 * 1024
# A refused body is read on for so long and so far, or the client may never see the answer: systems
# throw away what has arrived when the other side closes on data it has not read.
_DRAIN_S = 5.0
_DRAIN_BYTES = 4 * MAX_BODY_BYTES

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class EngineApp:
    """The application over one engine. `api_keys`: bearer keys; none means open to everybody."""

    def __init__(
        self,
        engine: Embedder,
        *,
        api_keys: frozenset[str] = frozenset(),
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._engine = engine
        self._keys = [key.encode() for key in api_keys]
        self._limits = limits
        self._room = Room(limits)
        self._queries = ThreadPoolExecutor(_QUERY_THREADS, "engine-query")
        self._documents = ThreadPoolExecutor(_DOCUMENT_THREADS, "engine-document")
        self._checks = ThreadPoolExecutor(_CHECK_THREADS, "engine-check")
        self._small = ThreadPoolExecutor(_SMALL_READERS, "engine-read")
        self._large = ThreadPoolExecutor(_LARGE_READERS, "engine-read-large")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            with contextlib.suppress(Gone):
                await self._respond(scope, receive, send)

    def close(self) -> None:
        """End the thread pools; what waits in them is dropped."""
        pools = (self._queries, self._documents, self._checks, self._small, self._large)
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = _headers(scope)
            path = api.canonical_path(scope["path"])
            if self._keys and path not in api.OPEN_PATHS:
                self._check_key(headers.get("authorization", ""))
            if refusal := api.route_refusal(scope["method"], path):
                raise Refused(refusal)
            if scope["method"] == "POST":
                answer = await self._posted(scope, headers, receive)
            else:
                answer = await self._checked(scope)
                if declared_bytes(headers):
                    raise Refused(answer)
        except Refused as refused:
            await _refuse(send, receive, refused.answer)
        else:
            await _start(send, answer)
            await send({"type": "http.response.body", "body": answer.body})

    def _check_key(self, authorization: str) -> None:
        token = api.bearer_token(authorization)
        if not token:
            raise Refused(error_answer(401, api.NO_KEY))
        sent = token.encode("utf-8", "replace")
        # All keys are compared, so that the time tells nothing about any.
        found = [hmac.compare_digest(sent, key) for key in self._keys]
        if not any(found):
            raise Refused(error_answer(401, api.BAD_KEY))

    async def _checked(self, scope: Scope) -> WireAnswer:
        """The answer to a request whose body, if it has one, means nothing."""
        work = partial(
            api.answer, self._engine, method=scope["method"], path=scope["path"], body=b""
        )
        return await asyncio.get_running_loop().run_in_executor(self._checks, work)

    async def _posted(
        self, scope: Scope, headers: Mapping[str, str], receive: Receive
    ) -> WireAnswer:
        if unreadable := api.media_type_refusal(scope["path"], headers):
            raise Refused(unreadable)
        with self._room.place() as place:
            place.check(declared_bytes(headers))
            body = await whole_body(receive, place, self._limits.silent_s)
            place.enter()
            return await self._answered(scope, body, receive, is_own=ENGINE_HEADER in headers)

    async def _answered(
        self, scope: Scope, body: bytes, receive: Receive, *, is_own: bool
    ) -> WireAnswer:
        cancelled = Event()
        loop = asyncio.get_running_loop()
        opened = partial(
            api.opened,
            self._engine,
            method=scope["method"],
            path=scope["path"],
            body=body,
            is_own=is_own,
        )
        watch = asyncio.create_task(_watch(receive, cancelled))
        try:
            readers = self._large if len(body) > _LARGE_BYTES else self._small
            work = await loop.run_in_executor(readers, opened)
            pool = self._queries if work.is_urgent else self._documents
            return await loop.run_in_executor(pool, work.run, cancelled)
        finally:
            watch.cancel()


def _headers(scope: Scope) -> dict[str, str]:
    """By name in lower case; Refused for two keys: which one counts would be a guess."""
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    if [name for name, _ in pairs].count("authorization") > 1:
        raise Refused(error_answer(400, "invalid request: more than one Authorization header"))
    return dict(pairs)


async def _watch(receive: Receive, cancelled: Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    cancelled.set()


async def _refuse(send: Send, receive: Receive, answer: WireAnswer) -> None:
    """Answer at once, then read on for a while what the client still sends."""
    await _start(send, answer, (b"connection", b"close"))
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    left = _DRAIN_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    break
    await send({"type": "http.response.body", "body": b""})


async def _start(send: Send, answer: WireAnswer, *more: tuple[bytes, bytes]) -> None:
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in answer.headers]
    length = (b"content-length", str(len(answer.body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [*headers, length, *more],
        }
    )


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
