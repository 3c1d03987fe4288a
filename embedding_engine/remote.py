"""A server of the Embed API, spoken to over a Unix socket or HTTP. Knows no model and no app.

One request, one answer: whoever wants retries and several requests at a time uses RemoteEngine.
"""

import json
import re
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import numpy as np

from embedding_engine.errors import (
    EngineError,
    EngineLost,
    EngineTimeout,
    EngineUnavailable,
    InvalidInput,
    ModelLoading,
    ModelUnavailable,
    Unauthorized,
)
from embedding_engine.keypoints import Keypoints, QueryKeypoints
from embedding_engine.remote_errors import at_places, error_of, retry_after
from embedding_engine.remote_wire import (
    Batch,
    Dialect,
    batches,
    embed_body,
    embed_result,
    json_object,
)
from embedding_engine.types import (
    EmbedRequest,
    EmbedResult,
    ModelSource,
    Reading,
    WireAnswer,
    Word,
)
from embedding_engine.wire import ENGINE_HEADER

UNIX = "unix://"
INVOCATIONS = "/invocations"
# A full answer has some 20 MiB of texts echoed and 10 MB of numbers.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_PIECE_BYTES = 256 * 1024
# Shorter than any server's keep-alive, so that a pooled connection is never half dead.
_IDLE_S = 4.0
_CONNECT_S = 5.0
_OWN = Dialect()
_FORWARDED = frozenset(
    {
        "content-type",
        "retry-after",
        "x-api-warning",
        "x-debug-trace-id",
        "allow",
        "cache-control",
        "num_chars",
        "num_tokens",
        ENGINE_HEADER,
    }
)


class EmbedClient:
    """Speaks to `unix:///path/engine.sock` or `http(s)://host[/prefix]`. Thread-safe.

    `timeout`: seconds for one request, answer included; `is_proxied`: whether HTTP_PROXY and the
    like are heeded; `name`: what messages call the server. EngineUnavailable when nobody answers,
    EngineLost when the connection breaks, EngineTimeout when the answer takes too long,
    EngineFailed when the server breaks down over this request (500); all are retryable. Redirects
    are not followed: the key stays with its host.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 60.0,
        api_key: str = "",
        is_proxied: bool = False,
        name: str = "the engine",
    ) -> None:
        self._is_unix = url.startswith(UNIX)
        self._timeout = timeout
        self._name = name
        self._api_key = _checked_key(api_key)
        self.is_endpoint = url.rstrip("/").endswith(INVOCATIONS)
        base = "http://engine" if self._is_unix else _base_url(url)
        self.address = url if self._is_unix else _without_secrets(base)
        limits = httpx.Limits(
            max_connections=64, max_keepalive_connections=16, keepalive_expiry=_IDLE_S
        )
        path = url.removeprefix(UNIX) if self._is_unix else None
        # Given a transport, httpx heeds no proxy of the environment.
        transport = None if is_proxied else httpx.HTTPTransport(uds=path, limits=limits)
        key = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        self._http = httpx.Client(
            base_url=base,
            transport=transport,
            limits=limits,
            headers={"Accept-Encoding": "identity", **key},
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections."""
        self._http.close()

    def embed(self, request: EmbedRequest, *, model: str) -> EmbedResult:
        """As Engine.embed, of a server of ours, in as many requests as the limits ask for."""
        results = [
            self.embed_batch(
                batch, request, model=model, dialect=_OWN, dimension=request.output_dimension
            )
            for batch in batches(request.inputs, _OWN, max_tokens=request.max_tokens)
        ]
        if not results:
            raise InvalidInput("there is nothing to embed")
        return EmbedResult(
            vectors=np.concatenate([result.vectors for result in results]),
            text_tokens=sum(result.text_tokens for result in results),
            image_tokens=sum(result.image_tokens for result in results),
            images=tuple(facts for result in results for facts in result.images),
        )

    def embed_batch(
        self,
        batch: Batch,
        request: EmbedRequest,
        *,
        model: str,
        dialect: Dialect,
        dimension: int | None,
        timeout: float | None = None,
    ) -> EmbedResult:
        """One request. An error that names an input names its place in the whole call."""
        body = embed_body(batch, request, model=model, dialect=dialect, dimension=dimension)
        try:
            answer = self._send("POST", dialect.path, body, timeout=timeout, is_own=dialect.is_own)
        except InvalidInput as error:
            raise at_places(error, batch.places) from error
        return embed_result(answer, count=len(batch.places))

    def read(self, content: bytes) -> Reading:
        """OCR of one encoded image; only our own server offers it."""
        answer = json_object(self._send("POST", "/v1/read", content))
        try:
            words = tuple(Word(*word) for word in answer["words"])
            return Reading(text=answer["text"], words=words)
        except (KeyError, TypeError) as error:
            raise EngineUnavailable("the server's answer is no reading") from error

    def keypoints(self, content: bytes) -> QueryKeypoints:
        """What one encoded image looks like; only our own server offers it."""
        answer = json_object(self._send("POST", "/v1/keypoints", content))
        try:
            points = Keypoints.from_bytes(b64decode(answer["points"]))
            return QueryKeypoints(points, tuple(map(int, answer["words"])))
        except (KeyError, TypeError, ValueError) as error:
            raise EngineUnavailable("the server's answer is no keypoints") from error

    def models(self, *, timeout: float | None = None) -> list[dict[str, Any]]:
        """What a server of ours says of its models: name, dimensions, lanes, ..."""
        found = json_object(self._send("GET", "/v1/models", timeout=timeout)).get("models")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def model(self, name: str, *, timeout: float | None = None) -> dict[str, Any]:
        """What a server of ours says of the model of that name; ModelNotFound if it has none."""
        return json_object(self._send("GET", f"/v1/models/{quote(name, safe='')}", timeout=timeout))

    def load(self, source: ModelSource, *, is_default: bool = False) -> dict[str, Any]:
        """Have a server of ours load a model and describe it; `is_default`: as the active one.

        Raises ModelLoading until it is there; then, when it cannot be loaded, why.
        """
        asked = {**asdict(source), "is_default": is_default}
        answer = self._send("POST", "/v1/load", json.dumps(asked).encode())
        if answer.status == 202:
            message = str(json_object(answer).get("message"))
            raise ModelLoading(message, retry_after_s=retry_after(answer))
        return json_object(answer)

    def tokenize(
        self, text: str, *, model: str, timeout: float | None = None
    ) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Ids of a text without special tokens, and the string of each."""
        body = httpx.Request("POST", "http://engine", json={"text": text, "model": model}).content
        answer = json_object(self._send("POST", "/v1/tokenize", body, timeout=timeout))
        try:
            return tuple(map(int, answer["tokens"])), tuple(map(str, answer["token_strings"]))
        except (KeyError, TypeError, ValueError) as error:
            raise EngineUnavailable("the server's answer is no list of tokens") from error

    def forward(
        self, method: str, path: str, body: bytes, *, timeout: float | None = None
    ) -> WireAnswer:
        """Pass a request on as it is, and give back what is answered, whatever its status.

        Raises only when there is no answer: EngineUnavailable, EngineLost, EngineTimeout.
        """
        answer = self.exchange(method, path, body, timeout=timeout)
        headers = tuple((name, value) for name, value in answer.headers if name in _FORWARDED)
        return WireAnswer(answer.status, answer.body, headers)

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        timeout: float | None = None,
        is_own: bool = False,
    ) -> WireAnswer:
        """One request and its whole answer, within the time and 64 MiB. `path` begins with /.

        `is_own`: it is ours, not somebody's that is passed on: texts read on pictures are believed.

        Some servers repeat the key they refuse: our key is blotted out of what is no success.
        """
        if not path.startswith("/"):
            raise ValueError("a path begins with /")
        seconds = self._timeout if timeout is None else timeout
        has_body = bool(body) or method != "GET"
        headers = {"Content-Length": str(len(body))} if has_body else {}
        headers |= {"Content-Type": "application/json"} if body else {}
        headers |= {ENGINE_HEADER: "1"} if is_own else {}
        try:
            with self._http.stream(
                method,
                path,
                content=_pieces(body) if has_body else None,
                headers=headers,
                timeout=httpx.Timeout(seconds, connect=min(seconds, _CONNECT_S)),
            ) as response:
                content = _bounded(response, time.monotonic() + seconds)
                if response.status_code >= 300:
                    content = self._without_key(content)
                return WireAnswer(response.status_code, content, _pairs(response.headers))
        except httpx.HTTPError as error:
            raise self._no_answer(error) from error

    def _no_answer(self, error: httpx.HTTPError) -> EngineError:
        if isinstance(error, httpx.ConnectTimeout):
            return EngineUnavailable(f"{self._name} does not answer")
        if isinstance(error, httpx.TimeoutException):
            return EngineTimeout(f"{self._name} did not answer in time")
        said = self._without_key(str(error).encode()).decode()
        if isinstance(error, httpx.ConnectError | httpx.ProxyError):
            return EngineUnavailable(f"{self._name} cannot be reached: {said}")
        return EngineLost(f"the connection to {self._name} broke: {said}")

    def _send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        timeout: float | None = None,
        is_own: bool = False,
    ) -> WireAnswer:
        answer = self.exchange(method, path, body, timeout=timeout, is_own=is_own)
        if answer.status >= 300:
            raise error_of(answer)
        return answer

    def _without_key(self, content: bytes) -> bytes:
        return content.replace(self._api_key.encode(), b"***") if self._api_key else content


def _pieces(body: bytes) -> Iterator[bytes]:
    """httpx copies what is not yet sent at each write: of 20 MiB that would be much, and often."""
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]


def _bounded(response: httpx.Response, deadline: float) -> bytes:
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise EngineUnavailable(f"the server's answer has over {MAX_ANSWER_BYTES:,} bytes")
        # httpx bounds the wait for each piece, not for all: one may come every second for ever.
        if time.monotonic() > deadline:
            raise EngineTimeout("the answer took too long")
    return bytes(content)


def _pairs(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in headers.items())


def _checked_key(api_key: str) -> str:
    """Without the blanks around it; what cannot stand in a header would be quoted in an error."""
    key = api_key.strip()
    if not key.isascii() or not key.isprintable():
        raise Unauthorized("the key for the embedding server has characters no key may have")
    return key


def _base_url(url: str) -> str:
    """`http(s)://host[/prefix]`, also when the address of an endpoint below it was given."""
    base = re.sub(rf"(/v[12](/embed)?|{INVOCATIONS})?/*$", "", url)
    try:
        parsed = httpx.URL(base)
    except httpx.InvalidURL as error:
        raise ModelUnavailable(f"the embedding server's address is broken: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ModelUnavailable(
            "the embedding server's address must begin with http://, https:// or unix://"
        )
    return base


def _without_secrets(url: str) -> str:
    return str(httpx.URL(url).copy_with(username=None, password=None, query=None))
