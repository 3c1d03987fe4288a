"""The routes of the Embed API over an engine: a method, a path and a body in, an answer out.

Knows no HTTP server: server.py (ASGI) and web frameworks put it on a wire and check keys.
"""

import logging
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from math import ceil
from threading import Event
from typing import Any, TypeVar
from urllib.parse import unquote

from embedding_engine.answers import (
    CLIENT_GONE,
    Shape,
    embed_answer,
    error_answer,
    failure_answer,
    json_answer,
    text_answer,
)
from embedding_engine.base import Embedder
from embedding_engine.errors import (
    EngineError,
    InputTooLarge,
    InvalidInput,
    ModelLoading,
    ModelUnavailable,
)
from embedding_engine.images import decoded_image
from embedding_engine.kept import Kept
from embedding_engine.keypoints import QueryKeypoints
from embedding_engine.openapi import OPENAPI
from embedding_engine.pool import ModelPool
from embedding_engine.types import ModelSource, Reading, WireAnswer
from embedding_engine.urgency import may_be_urgent
from embedding_engine.wire import (
    MAX_BODY_BYTES,
    check_model,
    parse_embed_body,
    parse_json,
    wrong_type,
)

log = logging.getLogger(__name__)

NO_KEY = "no api key supplied"
BAD_KEY = "invalid api token"
NOT_FOUND = "404 page not found"
OVERLOADED = "the server is overloaded, try again later"
OPEN_PATHS = ("/ping", "/openapi.json")
"""Answered without a key: health checks and the description."""

_CANCELLED = "request cancelled"
MAX_TOKENIZE_CHARACTERS = 65_536
_MODELS = "/v1/models"
# A base_url that ends with a version makes clients ask for /v1/v2/embed and the like.
_DOUBLE_VERSION = re.compile(r"/v[12](?=/v[12]/)")
_JSON_LIKE = re.compile(
    # What curl -d and simple clients call a JSON body is let pass as well.
    r"(application/(json|[\w.+-]+\+json|x-www-form-urlencoded|octet-stream)|text/(json|plain))\Z"
)

Done = TypeVar("Done")
Run = Callable[[Event | None], WireAnswer]


@dataclass(frozen=True, slots=True)
class Work:
    """What is left to do of a request that was read. `run` never raises.

    `is_urgent`: somebody waits for it, or it takes no time.
    """

    run: Run
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """A body, and whether our own client sent it."""

    body: bytes
    is_own: bool


Route = Callable[[Embedder, _Asked], WireAnswer | Work]


def answer(
    engine: Embedder,
    *,
    method: str,
    path: str,
    body: bytes,
    cancelled: Event | None = None,
    is_own: bool = False,
) -> WireAnswer:
    """One request of the Embed API. Never raises: what fails is an `{id, message}` answer.

    `path`: with or without a query string, percent-encoding, and slash at the end; `cancelled`: set
    by the caller when nobody waits any more (499); `is_own`: it carries ENGINE_HEADER.
    """
    if cancelled is not None and cancelled.is_set():
        return error_answer(CLIENT_GONE, _CANCELLED)
    return opened(engine, method=method, path=path, body=body, is_own=is_own).run(cancelled)


def opened(engine: Embedder, *, method: str, path: str, body: bytes, is_own: bool = False) -> Work:
    """The first half of `answer`: the body is read, no model runs. Never raises."""

    def read() -> WireAnswer | Work:
        return _routed(engine, method, canonical_path(path), _Asked(body, is_own))

    found = _guarded(read, None)
    if isinstance(found, WireAnswer):
        return Work(lambda _: found, is_urgent=True)
    return found


def _guarded(run: Callable[[], Done], cancelled: Event | None) -> Done | WireAnswer:
    """The top of a request: what `run` raises is an answer."""
    try:
        return run()
    except EngineError as error:
        if cancelled is not None and cancelled.is_set():
            return error_answer(CLIENT_GONE, _CANCELLED)
        return failure_answer(error)
    except Exception:  # logged, answered, the server goes on
        log.exception("request failed")
        return error_answer(500, "internal error")


def bearer_token(authorization: str) -> str:
    """The token of such a header, the scheme in any case; "" for none or another scheme."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def canonical_path(path: str) -> str:
    """The route a client means: no query string, one slash before, none behind, one version."""
    plain = "/" + unquote(path.partition("?")[0]).strip("/")
    return _DOUBLE_VERSION.sub("", plain, count=1)


def route_refusal(method: str, path: str) -> WireAnswer | None:
    """404 or 405 for what has no route; None when it may be answered. Needs no body.

    `path`: as `canonical_path` gives it.
    """
    routes = _routes(path)
    if not routes:
        return error_answer(404, NOT_FOUND)
    if _verb(method) not in routes:
        return error_answer(405, "405 method not allowed", (("allow", ", ".join(routes)),))
    return None


def media_type_refusal(path: str, headers: Mapping[str, str]) -> WireAnswer | None:
    """415 for a body that says it is compressed or no JSON; None when it may be read.

    `headers`: names in lower case. Called before the body is read.
    """
    if headers.get("content-encoding", "identity").lower() != "identity":
        return error_answer(415, "unsupported media type: send the body uncompressed")
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_picture = canonical_path(path) in ("/v1/read", "/v1/keypoints")
    if not media_type or is_picture or _JSON_LIKE.match(media_type):
        return None
    return error_answer(415, "unsupported media type: send application/json")


def too_large_answer() -> WireAnswer:
    """413, for those who refuse a body before `answer` sees it."""
    return failure_answer(InputTooLarge(f"a request may have at most {MAX_BODY_BYTES:,} bytes"))


def _routed(engine: Embedder, method: str, path: str, asked: _Asked) -> WireAnswer | Work:
    if len(asked.body) > MAX_BODY_BYTES:
        return too_large_answer()
    if refusal := route_refusal(method, path):
        return refusal
    return _routes(path)[_verb(method)](engine, asked)


def _routes(path: str) -> Mapping[str, Route]:
    if path.startswith(f"{_MODELS}/"):
        name = path.removeprefix(f"{_MODELS}/")
        return {"GET": lambda engine, *_: _model(engine, name)}
    return _ROUTES.get(path, {})


def _verb(method: str) -> str:
    return "GET" if method == "HEAD" else method


def _embed_route(shape: Shape) -> Route:
    # Only v2 insists on a model: v1 had a default, and on SageMaker the endpoint is the model.
    def route(engine: Embedder, asked: _Asked) -> Work:
        body = parse_json(asked.body)
        chosen = _chosen(engine, body.get("model") if isinstance(body, dict) else None)
        spec = chosen.spec
        call = parse_embed_body(
            body,
            spec=spec,
            is_model_required=shape == "2",
            is_own=asked.is_own,
        )

        def embedded(cancelled: Event | None) -> WireAnswer:
            try:
                result = chosen.embed(call.request, cancelled=cancelled)
            except InvalidInput as error:
                return failure_answer(error, kind=call.kind)
            return embed_answer(call, result, spec=spec, shape=shape)

        return _later(embedded, is_urgent=may_be_urgent(call.request))

    return route


def _later(run: Run, *, is_urgent: bool = False) -> Work:
    return Work(lambda cancelled: _guarded(lambda: run(cancelled), cancelled), is_urgent)


def _tokenize(engine: Embedder, asked: _Asked) -> WireAnswer:
    fields = parse_json(asked.body)
    if not isinstance(fields, dict):
        raise InvalidInput("invalid type: the body must be a JSON object")
    chosen = _chosen(engine, fields.get("model"))
    check_model(fields.get("model"), spec=chosen.spec)
    text = fields.get("text")
    if not isinstance(text, str):
        raise wrong_type("text", text, "string")
    if not 1 <= len(text) <= MAX_TOKENIZE_CHARACTERS:
        raise InvalidInput(f"text must have 1 to {MAX_TOKENIZE_CHARACTERS:,} characters")
    tokens, token_strings = chosen.tokenize(text)
    meta = {"api_version": {"version": "1"}}
    return json_answer({"tokens": tokens, "token_strings": token_strings, "meta": meta})


def _models(engine: Embedder, asked: _Asked) -> WireAnswer:
    held = engine.engines if isinstance(engine, ModelPool) else (engine,)
    return json_answer({"models": [_described(one) for one in held]})


def _model(engine: Embedder, name: str) -> WireAnswer:
    chosen = _chosen(engine, name)
    check_model(name, spec=chosen.spec)
    return json_answer(_described(chosen))


def _chosen(engine: Embedder, name: object) -> Embedder:
    """Whom a request means by `name`; the default for a name that nobody has."""
    return engine.chosen(name) if isinstance(engine, ModelPool) else engine


def _load(engine: Embedder, asked: _Asked) -> WireAnswer:
    """For our own processes: 200 with the model once it is loaded, 202 until then, 501 for one
    that cannot be loaded here.

    `is_default` makes it the one that is active.
    """
    fields = parse_json(asked.body)
    if not isinstance(fields, dict):
        raise InvalidInput("invalid type: the body must be a JSON object")
    source = ModelSource(*(_word(fields, name) for name in ("model", "revision", "url")))
    if not isinstance(engine, ModelPool):
        return _model(engine, source.model)
    try:
        loaded = engine.asked(source, is_default=fields.get("is_default") is True)
    except ModelLoading as error:
        retry = ("retry-after", str(ceil(error.retry_after_s or 1)))
        return json_answer({"message": error.message}, status=202, headers=(retry,))
    except ModelUnavailable as error:
        return error_answer(501, error.message)
    return json_answer(_described(loaded))


def _word(fields: Mapping[str, Any], name: str) -> str:
    text = fields.get(name, "")
    if not isinstance(text, str):
        raise wrong_type(name, text, "string")
    return text


def _described(engine: Embedder) -> dict[str, Any]:
    """The fields that Embed clients know, then ours."""
    spec = engine.spec
    return {
        "name": spec.name,
        "is_deprecated": False,
        "endpoints": ["embed"],
        "finetuned": False,
        "context_length": spec.context_tokens,
        "tokenizer_url": None,
        "default_endpoints": [],
        "features": None,
        "dimensions": spec.dimensions,
        "default_dimension": spec.dimension,
        "lanes": spec.lanes,
        "window_tokens": spec.window_tokens,
        "revision": spec.revision,
        "languages": spec.languages,
        "is_reachable": engine.is_reachable,
    }


def _read(engine: Embedder, asked: _Asked) -> Work:
    def run(cancelled: Event | None) -> WireAnswer:
        reading = _readings(asked.body)
        words = [astuple(word) for word in reading.words]
        return json_answer({"text": reading.text, "words": words})

    return _later(run)


def _read_now(image: bytes) -> Reading:
    from embedding_engine.reading import read  # onnxruntime: heavy, and a model may not need it

    return read(decoded_image(image))


def _keypoints(engine: Embedder, asked: _Asked) -> Work:
    def run(cancelled: Event | None) -> WireAnswer:
        found = _points(asked.body)
        points = b64encode(found.points.to_bytes()).decode("ascii")
        return json_answer({"points": points, "words": found.words})

    return _later(run)


def _keypoints_now(image: bytes) -> QueryKeypoints:
    from embedding_engine.keypoints import query_keypoints  # OpenCV, as heavy

    return query_keypoints(image)


# A question with a picture is asked again with another weight, another filter, for more hits.
_PICTURES_KEPT = 64
_readings = Kept(_read_now, size=_PICTURES_KEPT)
_points = Kept(_keypoints_now, size=_PICTURES_KEPT)


def _metrics(engine: Embedder, asked: _Asked) -> WireAnswer:
    """Prometheus' text format, 0.0.4. A name that ends with `_total` is a counter."""
    lines = []
    for name, value in sorted(engine.metrics().items()):
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += [
            f"# HELP engine_{name} {name.replace('_', ' ')}",
            f"# TYPE engine_{name} {kind}",
            f"engine_{name} {value}",
        ]
    return text_answer("\n".join([*lines, ""]), "text/plain; version=0.0.4")


def _ping(engine: Embedder, asked: _Asked) -> WireAnswer:
    return text_answer("", "text/plain")


def _openapi(engine: Embedder, asked: _Asked) -> WireAnswer:
    return json_answer(OPENAPI)


_ROUTES: Mapping[str, Mapping[str, Route]] = {
    "/v2/embed": {"POST": _embed_route("2")},
    "/v1/embed": {"POST": _embed_route("1")},
    "/invocations": {"POST": _embed_route("sagemaker")},
    "/v1/tokenize": {"POST": _tokenize},
    "/v1/read": {"POST": _read},
    "/v1/keypoints": {"POST": _keypoints},
    "/v1/load": {"POST": _load},
    _MODELS: {"GET": _models},
    "/ping": {"GET": _ping},
    "/metrics": {"GET": _metrics},
    "/openapi.json": {"GET": _openapi},
}
