"""The one door to embedding_engine; hides who holds the model: our engine process, or we.

Vectors come back as float32 arrays of unit length at the index's dimension. Knows no rows.
"""

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from django.conf import settings

from embedding_engine import api as embed_api
from embedding_engine import errors as engine_errors
from embedding_engine.answers import error_answer, failure_answer
from embedding_engine.keypoints import Keypoints, QueryKeypoints, likeness
from embedding_engine.registry import ModelSpec
from embedding_engine.remote import EmbedClient
from embedding_engine.types import (
    EmbedInput,
    EmbedRequest,
    EmbedResult,
    FloatArray,
    ImagePart,
    InputType,
    ModelSource,
    Part,
    Reading,
    TextPart,
    WireAnswer,
)
from embedding_engine.urgency import URGENT_INPUTS
from embedding_engine.wire import MAX_BODY_BYTES
from searchapp.engine.connection import (
    client,
    connected,
    is_inprocess,
    local_engine,
    use_inprocess,
)
from searchapp.engine.errors import translated
from searchapp.engine.local import page_keypoints, passages, read, windows
from searchapp.engine.pictures import query_keypoints, read_pictures
from searchapp.engine.specs import (
    VectorSpace,
    configured,
    described,
    known_spec,
    model_options,
    spec_described,
)
from searchapp.errors import Unavailable

__all__ = [
    "MAX_BODY_BYTES",
    "FloatArray",
    "ImagePart",
    "Keypoints",
    "ModelSource",
    "ModelSpec",
    "Part",
    "QueryKeypoints",
    "Reading",
    "TextPart",
    "VectorSpace",
    "WireAnswer",
    "configured",
    "default_set",
    "described",
    "dimension",
    "embed_api",
    "embed_documents",
    "embed_queries",
    "embed_query",
    "error_answer",
    "forward",
    "is_reachable",
    "is_ready",
    "known_spec",
    "likeness",
    "model_options",
    "page_keypoints",
    "passages",
    "query_keypoints",
    "read",
    "read_pictures",
    "spec",
    "spec_described",
    "spec_wait",
    "use_inprocess",
    "wait_reachable",
    "windows",
]

# Seconds: a probe is asked by load balancers, a query by a person who waits, the rest by workers.
_PROBE_S = 2.0
_QUERY_S = 15.0
_WORK_S = 120.0
# Of Embed API clients: just under the 300 s that the official SDK waits.
_FORWARD_S = 290.0
# Codes of what may well be over in a moment.
_PASSING = ("model_loading", "engine_unavailable", "engine_lost")


def spec(source: ModelSource | None = None) -> ModelSpec:
    """What a model is (default: the configured one): name, revision, dimensions, lanes.

    Of a model that came with us all is known beforehand; any other is described by the engine
    process, which is asked once and loads it when it must. Raises Unavailable: `model_loading`
    meanwhile, or while the engine is away.
    """
    source = source or configured()
    known = known_spec(source)
    if known is not None:
        return known
    try:
        if is_inprocess():
            return local_engine(source).spec
        return _served_spec(settings.ENGINE_URL, settings.ENGINE_API_KEY, source)
    except engine_errors.EngineError as error:
        raise translated(error) from error


def spec_wait(source: ModelSource, seconds: float) -> ModelSpec:
    """As `spec`, waiting up to `seconds` for the engine to answer and to load the model."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return spec(source)
        except Unavailable as error:
            if error.code not in _PASSING or time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def dimension() -> int:
    """Components of a vector of the configured model. Raises as `spec`."""
    return int(settings.EMBEDDING_DIMENSION) or spec().dimension


def default_set(source: ModelSource) -> None:
    """Make a loaded model the one that the Embed API's general names mean. Raises as `spec`."""
    if is_inprocess():
        return
    try:
        client(_QUERY_S).load(source, is_default=True)
    except engine_errors.EngineError as error:
        raise translated(error) from error


def is_reachable() -> bool:
    """Whether the engine answers now (always true in process)."""
    return is_inprocess() or _models() is not None


def is_ready() -> bool:
    """Whether the engine answers, and the server behind it where there is one."""
    if is_inprocess():
        return True
    models = _models()
    return models is not None and all(model.get("is_reachable", True) for model in models)


def _models() -> list[dict[str, Any]] | None:
    """What the engine says that it serves; None while it does not answer."""
    try:
        return client(_PROBE_S).models()
    except engine_errors.EngineError:
        return None


def wait_reachable(seconds: float) -> bool:
    """Wait until the engine answers, at most `seconds`; whether it does."""
    deadline = time.monotonic() + seconds
    while not is_reachable():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def embed_documents(inputs: Sequence[Sequence[Part]], *, space: VectorSpace) -> FloatArray:
    """One vector per input, as `search_document`: (n, D).

    By exactly the weights of `space`, which the engine loads when it must. Raises Unavailable
    while it does (`model_loading`), when it holds others under that name (`model_mismatch`) and
    while it is away; EngineFailed when one of these inputs makes it fail, InvalidInput when it
    refuses one.
    """
    return _embed(inputs, "search_document", space, _WORK_S)


def embed_query(parts: Sequence[Part], *, space: VectorSpace) -> FloatArray:
    """The vector of one query, as `search_query`: (D,). Raises as `embed_documents`."""
    vector: FloatArray = embed_queries([parts], space=space)[0]
    return vector


def embed_queries(inputs: Sequence[Sequence[Part]], *, space: VectorSpace) -> FloatArray:
    """One vector per query: (n, D). Asked in portions, each of which goes before documents.

    Raises as `embed_documents`.
    """
    starts = range(0, len(inputs), URGENT_INPUTS)
    portions = [inputs[start : start + URGENT_INPUTS] for start in starts]
    return np.concatenate([_embed(part, "search_query", space, _QUERY_S) for part in portions])


def forward(method: str, path: str, body: bytes) -> WireAnswer:
    """A request of the Embed API, answered by whoever holds the model. Errors are answers too."""
    try:
        if is_inprocess():
            local = local_engine(configured())
            return embed_api.answer(local, method=method, path=path, body=body)
        # Only a POST makes the model work.
        return client(_FORWARD_S if method == "POST" else _PROBE_S).forward(method, path, body)
    except engine_errors.EngineError as error:
        return failure_answer(error)


def _embed(
    inputs: Sequence[Sequence[Part]], input_type: InputType, space: VectorSpace, timeout: float
) -> FloatArray:
    request = EmbedRequest(
        inputs=tuple(EmbedInput(tuple(parts)) for parts in inputs),
        input_type=input_type,
        output_dimension=space.dimension,
    )
    try:
        result = _send(request, space, timeout)
    except engine_errors.EngineError as error:
        raise translated(error) from error
    return np.asarray(result.vectors, dtype=np.float32)


def _send(request: EmbedRequest, space: VectorSpace, timeout: float) -> EmbedResult:
    wanted = space.spec.identity
    if is_inprocess():
        local = local_engine(space.source)
        _identity_check(local.spec, space)
        return local.embed(request)
    try:
        return client(timeout).embed(request, model=wanted)
    except engine_errors.ModelNotFound:
        # It was started anew, or made room for another; perhaps with other weights there.
        _served_spec.cache_clear()
        _identity_check(_loaded_spec(client(_QUERY_S), space.source), space)
        return client(timeout).embed(request, model=wanted)


def _identity_check(loaded: ModelSpec, space: VectorSpace) -> None:
    """Raises Unavailable when what is loaded now would make vectors of another kind."""
    if loaded.identity != space.spec.identity:
        raise Unavailable(
            "model_mismatch",
            f"'{space.source.model}' holds {loaded.identity} now, the index was made with "
            f"{space.spec.identity}. Put those weights back, or run `manage.py index build`.",
        )


@lru_cache(maxsize=8)
def _served_spec(url: str, api_key: str, source: ModelSource) -> ModelSpec:
    """What the engine says of a model; no answer is not kept."""
    return _loaded_spec(connected(url, api_key, _QUERY_S), source)


def _loaded_spec(to: EmbedClient, source: ModelSource) -> ModelSpec:
    try:
        return spec_described(to.load(source))
    except (KeyError, TypeError) as error:
        raise engine_errors.EngineUnavailable(
            f"ENGINE_URL names a server that is not ours: it does not describe '{source.model}'; "
            "other Embed v2 servers are for EMBEDDING_URL"
        ) from error
