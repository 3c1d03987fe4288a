"""The one door to embedding_engine; hides who holds the model: engine process, server, or we.

Vectors come back as float32 arrays of unit length at the index's dimension. Knows no rows.
"""

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings

from embedding_engine import errors as engine_errors
from embedding_engine.registry import ModelSpec, model_spec
from embedding_engine.remote import EmbedClient
from embedding_engine.tokens import split_windows
from embedding_engine.types import (
    EmbedInput,
    EmbedRequest,
    EmbedResult,
    FloatArray,
    ImagePart,
    InputType,
    Part,
    Reading,
    TextPart,
)
from searchapp.errors import InvalidInput, SearchappError, Unavailable

if TYPE_CHECKING:
    from embedding_engine.engine import Engine

__all__ = ["FloatArray", "ImagePart", "Part", "Reading", "TextPart"]

_lock = threading.Lock()
_inprocess_wanted = False


def spec() -> ModelSpec:
    """What the configured model is: name, revision, dimensions, lanes. Loads nothing."""
    return model_spec(settings.EMBEDDING_MODEL)


def dimension() -> int:
    """Components of every stored vector."""
    return int(settings.EMBEDDING_DIMENSION)


def use_inprocess() -> None:
    """Hold the model in this process: for commands that run while no engine process does."""
    global _inprocess_wanted
    _inprocess_wanted = True


def is_reachable() -> bool:
    """Whether the engine answers now (always true in process)."""
    if _is_inprocess():
        return True
    try:
        _client().models()
    except engine_errors.EngineError:
        return False
    return True


def embed_documents(inputs: Sequence[Sequence[Part]]) -> FloatArray:
    """One vector per input, as `search_document`: (n, D). Raises Unavailable, SearchappError."""
    return _embed(inputs, "search_document")


def embed_query(parts: Sequence[Part]) -> FloatArray:
    """The vector of one query, as `search_query`: (D,). Raises Unavailable, InvalidInput."""
    vector: FloatArray = _embed([parts], "search_query")[0]
    return vector


def windows(text: str) -> list[str]:
    """A page's text cut into the model's windows; none for a blank text."""
    return split_windows(text, model=settings.EMBEDDING_MODEL)


def read(image: bytes) -> Reading:
    """OCR in this process: text and word boxes of one picture. Raises SearchappError."""
    from embedding_engine import reading

    try:
        return reading.read(image)
    except engine_errors.EngineError as error:
        raise _translated(error) from error


def read_pictures(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts of a query with the text of each picture added, where the model only reads.

    It is read where the model is, so that web processes hold no OCR.
    """
    if "image" in spec().lanes:
        return tuple(parts)
    return tuple(
        ImagePart(part.content, text=_read_urgently(part.content))
        if isinstance(part, ImagePart) and part.text is None
        else part
        for part in parts
    )


def _read_urgently(image: bytes) -> str:
    from embedding_engine import reading  # onnxruntime is heavy

    try:
        found = reading.read(image, urgent=True) if _is_inprocess() else _client().read(image)
    except engine_errors.EngineError as error:
        raise _translated(error) from error
    return found.text


def _is_inprocess() -> bool:
    return bool(settings.EMBEDDING_INPROCESS) or _inprocess_wanted


def _embed(inputs: Sequence[Sequence[Part]], input_type: InputType) -> FloatArray:
    request = EmbedRequest(
        inputs=tuple(EmbedInput(tuple(parts)) for parts in inputs),
        input_type=input_type,
        output_dimension=dimension(),
    )
    try:
        result = _send(request)
    except engine_errors.EngineError as error:
        raise _translated(error) from error
    return np.asarray(result.vectors, dtype=np.float32)


def _send(request: EmbedRequest) -> EmbedResult:
    if _is_inprocess():
        return _local_engine().embed(request)
    return _client().embed(request, model=settings.EMBEDDING_MODEL)


def _translated(error: engine_errors.EngineError) -> SearchappError:
    if isinstance(error, engine_errors.InvalidInput):
        return InvalidInput(error.code, error.message)
    if error.retryable:
        return Unavailable(error.code, error.message)
    return SearchappError(error.code, error.message)


@lru_cache(maxsize=1)
def _client() -> EmbedClient:
    return EmbedClient(settings.ENGINE_URL, timeout=120.0, api_key=settings.EMBEDDING_API_KEY)


def _local_engine() -> "Engine":
    from embedding_engine.engine import load_engine

    with _lock:
        name = settings.EMBEDDING_MODEL
        if name not in _engines:
            _engines[name] = load_engine(name, device=settings.EMBEDDING_DEVICE)
        return _engines[name]


_engines: dict[str, "Engine"] = {}
