"""An engine elsewhere, spoken to in Embed v2 over a Unix socket or HTTP. Knows no model and no app.

Works with this package's server and with any other Embed v2 server.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np

from embedding_engine.errors import (
    EngineError,
    EngineFailed,
    EngineLost,
    EngineTimeout,
    EngineUnavailable,
    InputTooLarge,
    InvalidInput,
    ModelNotFound,
    TooManyTokens,
    Unauthorized,
)
from embedding_engine.images import data_uri
from embedding_engine.quantization import from_base64
from embedding_engine.types import (
    EmbedInput,
    EmbedRequest,
    EmbedResult,
    ImageFacts,
    ImagePart,
    Part,
    Reading,
    TextPart,
    Word,
)
from embedding_engine.wire import MAX_BODY_BYTES, MAX_INPUTS, TOO_MANY_TOKENS

UNIX = "unix://"
ENGINE_HEADER = "x-embedding-engine"
# Shorter than any server's keep-alive, so that a pooled connection is never half dead.
_IDLE_S = 4.0
_CONNECT_S = 5.0
# Base64 grows by a third, JSON adds little: leave room under the 20 MiB of a body.
_BATCH_BYTES = (MAX_BODY_BYTES * 3) // 4 - 1_048_576

_ERRORS: Mapping[int, type[EngineError]] = {
    400: InvalidInput,
    401: Unauthorized,
    403: Unauthorized,
    404: ModelNotFound,
    413: InputTooLarge,
    422: InvalidInput,
    500: EngineFailed,
    504: EngineTimeout,
}


class EmbedClient:
    """Speaks to `unix:///path/engine.sock` or `http(s)://host[/prefix]`. Thread-safe.

    `timeout`: seconds for one request. EngineUnavailable when nobody answers, EngineTimeout when
    the answer takes too long, EngineFailed when the server breaks down over this request (500);
    all are retryable.
    """

    def __init__(self, url: str, *, timeout: float = 60.0, api_key: str = "") -> None:
        self._is_unix = url.startswith(UNIX)
        path = url.removeprefix(UNIX) if self._is_unix else None
        limits = httpx.Limits(
            max_connections=64, max_keepalive_connections=16, keepalive_expiry=_IDLE_S
        )
        self._http = httpx.Client(
            base_url="http://engine" if self._is_unix else url.rstrip("/"),
            transport=httpx.HTTPTransport(uds=path, limits=limits),
            timeout=httpx.Timeout(timeout, connect=min(timeout, _CONNECT_S)),
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
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
        """As Engine.embed, in as many requests as the limits of Embed v2 ask for."""
        results = [self._embed_batch(batch, request, model) for batch in _batches(request.inputs)]
        if not results:
            raise InvalidInput("there is nothing to embed")
        return EmbedResult(
            vectors=np.concatenate([result.vectors for result in results]),
            text_tokens=sum(result.text_tokens for result in results),
            image_tokens=sum(result.image_tokens for result in results),
            images=tuple(facts for result in results for facts in result.images),
        )

    def read(self, content: bytes) -> Reading:
        """OCR of one encoded image; only our own server offers it."""
        answer = self._json(self._send("POST", "/v1/read", content=content))
        try:
            words = tuple(Word(*word) for word in answer["words"])
            return Reading(text=answer["text"], words=words)
        except (KeyError, TypeError) as error:
            raise EngineUnavailable("the server's answer is no reading") from error

    def models(self) -> list[dict[str, Any]]:
        """What the server says of its models: name, context_length, ..."""
        found: list[dict[str, Any]] = self._json(self._send("GET", "/v1/models")).get("models", [])
        return found

    @cached_property
    def is_own_server(self) -> bool:
        """True if the server understands the text a caller has read on an image."""
        return self._is_unix or ENGINE_HEADER in self._request("GET", "/ping").headers

    def _embed_batch(
        self, inputs: Sequence[EmbedInput], request: EmbedRequest, model: str
    ) -> EmbedResult:
        body: dict[str, Any] = {
            "model": model,
            "input_type": request.input_type,
            "embedding_types": ["base64"],
            "truncate": request.truncate,
            **self._inputs(inputs),
        }
        if request.output_dimension is not None:
            body["output_dimension"] = request.output_dimension
        if request.max_tokens is not None:
            body["max_tokens"] = request.max_tokens
        content = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        answer = self._json(self._send("POST", "/v2/embed", content=content, headers=headers))
        return _result(answer, count=len(inputs))

    def _inputs(self, inputs: Sequence[EmbedInput]) -> dict[str, Any]:
        """The plainest field that holds the inputs: not every server takes `inputs` for texts."""
        match [one.parts for one in inputs]:
            case parts if all(len(p) == 1 and isinstance(p[0], TextPart) for p in parts):
                return {"texts": [p[0].text for p in parts if isinstance(p[0], TextPart)]}
        return {"inputs": [{"content": [self._part(p) for p in one.parts]} for one in inputs]}

    def _part(self, part: Part) -> dict[str, Any]:
        if isinstance(part, TextPart):
            return {"type": "text", "text": part.text}
        sent: dict[str, Any] = {"type": "image_url", "image_url": {"url": data_uri(part.content)}}
        if part.text is not None and self.is_own_server:
            sent["text"] = part.text
        return sent

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        response = self._request(method, path, **content)
        if response.is_error:
            raise _error(response.status_code, _message(response))
        return response

    def _request(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **content)
        except httpx.ConnectTimeout as error:
            raise EngineUnavailable("the engine does not answer") from error
        except httpx.TimeoutException as error:
            raise EngineTimeout("the engine did not answer in time") from error
        except httpx.ConnectError as error:
            raise EngineUnavailable(f"the engine cannot be reached: {error}") from error
        except httpx.TransportError as error:
            raise EngineLost(f"the connection to the engine broke: {error}") from error

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            answer = response.json()
        except ValueError as error:
            raise EngineUnavailable("the server's answer is not JSON") from error
        if not isinstance(answer, dict):
            raise EngineUnavailable("the server's answer is not a JSON object")
        return answer


def _error(status: int, message: str) -> EngineError:
    if status == 400 and message.startswith(TOO_MANY_TOKENS):
        return TooManyTokens(message.removeprefix(TOO_MANY_TOKENS))
    is_retryable = status >= 500 or status == 429
    kind = _ERRORS.get(status, EngineUnavailable if is_retryable else EngineError)
    return kind(message)


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {response.status_code}"


def _batches(inputs: Sequence[EmbedInput]) -> Iterator[Sequence[EmbedInput]]:
    """Consecutive inputs, at most 96 and about 14 MiB each; a larger one goes alone."""
    start = size = 0
    for place, one in enumerate(inputs):
        cost = sum(_part_bytes(part) for part in one.parts)
        if place > start and (place - start == MAX_INPUTS or size + cost > _BATCH_BYTES):
            yield inputs[start:place]
            start, size = place, 0
        size += cost
    if inputs:
        yield inputs[start:]


def _part_bytes(part: Part) -> int:
    # JSON writes other scripts as \uXXXX: six bytes a character, still within the room left.
    if isinstance(part, ImagePart):
        return len(part.content) + len(part.text or "") * 6
    return len(part.text) * 6


def _result(answer: Mapping[str, Any], *, count: int) -> EmbedResult:
    try:
        vectors = from_base64(answer["embeddings"]["base64"])
        billed = answer.get("meta", {}).get("billed_units", {})
        images = tuple(ImageFacts(**facts) for facts in answer.get("images", ()))
    except (KeyError, TypeError, ValueError) as error:
        raise EngineUnavailable("the server's answer is no Embed v2 answer") from error
    if len(vectors) != count:
        raise EngineUnavailable(f"the server answered {len(vectors)} vectors for {count} inputs")
    return EmbedResult(
        vectors=vectors,
        text_tokens=int(billed.get("input_tokens", 0)),
        image_tokens=int(billed.get("image_tokens", 0)),
        images=images,
    )
