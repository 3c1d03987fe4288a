"""The engine: one loaded model behind one thread-safe call. Knows no wire format and no app."""

import importlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from threading import Event

import numpy as np

from embedding_engine.base import Embedder, Model, Prepared
from embedding_engine.batching import Scheduler
from embedding_engine.checkpoints import Checkpoint, checkpoint
from embedding_engine.device import default_batch_tokens, within_memory
from embedding_engine.errors import (
    EngineError,
    EngineFailed,
    EngineTimeout,
    InvalidInput,
    ModelUnavailable,
    RequestCancelled,
)
from embedding_engine.preparing import prepare_inputs
from embedding_engine.query_cache import Embedded, QueryCache
from embedding_engine.totals import Totals
from embedding_engine.types import (
    EmbedInput,
    EmbedRequest,
    EmbedResult,
    FloatArray,
    ModelOptions,
    TextPart,
)
from embedding_engine.urgency import is_urgent

log = logging.getLogger(__name__)

_DEFAULTS = ModelOptions()
# How soon a caller who went away is noticed while nothing else happens to his request.
_CANCEL_POLL_S = 0.05
# Words: torch and the GPU's libraries choose and keep code by length, so the first query of each
# length would be slow.
_WARM_UP_WORDS = (1, 8, 24, 64)

_LARGE_CHARACTERS = 1_000_000
_LARGE_REQUESTS = 2

_COUNTED = (
    "requests_total",
    "inputs_total",
    "cancelled_total",
    "timed_out_total",
    "prepare_seconds_total",
    "post_seconds_total",
)


@contextmanager
def _engine_errors() -> Iterator[None]:
    """Whatever breaks in a model, callers know one kind of error; the log has the details."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        log.exception("the model failed")
        raise EngineFailed(f"the model failed: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, who may leave, and when it is too late (`time.monotonic`)."""

    request: EmbedRequest
    cancelled: Event | None
    deadline: float

    @property
    def left_s(self) -> float:
        """Seconds until it is too late."""
        return self.deadline - time.monotonic()

    @property
    def pause_s(self) -> float:
        """How long nobody need look whether it is still wanted."""
        return self.left_s if self.cancelled is None else min(self.left_s, _CANCEL_POLL_S)


class Engine:
    """A loaded model. `embed` from any thread; `close` ends the device thread.

    `budget_tokens`: most tokens of one batch, padding included (else `options.batch_tokens`, else
    what suits the device). `timeout_s`: longest that an `embed` takes. ModelNotFound,
    ModelUnavailable when it cannot be loaded.
    """

    def __init__(
        self,
        model: str,
        options: ModelOptions = _DEFAULTS,
        *,
        budget_tokens: int | None = None,
        query_cache: int = 4_096,
        timeout_s: float = 300.0,
    ) -> None:
        self._model = _loaded(checkpoint(model, options), options)
        self.spec = self._model.spec
        self._scheduler = Scheduler(
            within_memory(self._model.forward),
            budget_tokens=budget_tokens
            or options.batch_tokens
            or default_batch_tokens(options.device),
            is_packed=self._model.is_packed,
        )
        self._cache = QueryCache(query_cache)
        self._totals = Totals(*_COUNTED)
        self._timeout_s = timeout_s
        self._large = threading.BoundedSemaphore(_LARGE_REQUESTS)

    def embed(self, request: EmbedRequest, *, cancelled: Event | None = None) -> EmbedResult:
        """One unit vector an input, in order.

        Once `cancelled` is set nothing more is computed for it. Raises InvalidInput (its message
        begins with "inputs[i]: "), TooManyTokens, DeviceOutOfMemory, EngineFailed for anything else
        that breaks in the model, RequestCancelled, EngineTimeout, EngineUnavailable.
        """
        dimension = self.spec.checked_dimension(request.output_dimension)
        if not request.inputs:
            raise InvalidInput("there is nothing to embed")
        self._totals.add(requests_total=1, inputs_total=len(request.inputs))
        with _engine_errors():
            return self._result(self._embedded(self._call(request, cancelled)), dimension)

    def tokenize(self, text: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """The ids of the text, without special tokens, and what each stands for in it."""
        tokens = self._model.tokenizer.encode(text)
        return tokens.ids, tuple(text[start:end] for start, end in tokens.spans)

    def warm_up(self) -> None:
        """Run queries of a few lengths: no requests, not kept, but counted as rows and batches."""
        for words in _WARM_UP_WORDS:
            query = EmbedInput((TextPart(" ".join(["warm"] * words)),))
            call = self._call(EmbedRequest((query,), "search_query"), None)
            with _engine_errors():
                self._run(self._prepared(call, [0]), call)

    def metrics(self) -> dict[str, float]:
        """Counters (`..._total`) and gauges by name, as GET /metrics shows them.

        Seconds by stage are sums: prepare and post over requests, wait over rows (from submit to
        the start of their batch), load over rows, forward over batches.
        """
        return {**self._totals.values(), **self._scheduler.metrics(), **self._cache.metrics()}

    @property
    def is_reachable(self) -> bool:
        """Always: it is here."""
        return True

    @property
    def is_lost(self) -> bool:
        """Whether the device is lost: every call fails until the program starts anew."""
        return self._scheduler.is_lost

    def close(self) -> None:
        """Stop the device thread; waiting calls fail with EngineUnavailable."""
        self._scheduler.close()

    def _call(self, request: EmbedRequest, cancelled: Event | None) -> _Call:
        return _Call(request, cancelled, time.monotonic() + self._timeout_s)

    def _embedded(self, call: _Call) -> list[Embedded]:
        request = call.request
        found = [self._cache.get(request, item) for item in request.inputs]
        new = [place for place, one in enumerate(found) if one is None]
        with self._turn(call), self._totals.timed("prepare_seconds_total"):
            prepared = self._prepared(call, new)
        for place, one in zip(new, self._run(prepared, call), strict=True):
            found[place] = one
            self._cache.put(request, request.inputs[place], one)
        return [one for one in found if one is not None]

    @contextmanager
    def _turn(self, call: _Call) -> Iterator[None]:
        """Few large requests at a time: tokenizing a book holds the interpreter for seconds."""
        parts = (part for one in call.request.inputs for part in one.parts)
        if sum(len(part.text or "") for part in parts) <= _LARGE_CHARACTERS:
            yield
            return
        while not self._large.acquire(timeout=max(call.pause_s, 0)):
            self._check_wanted(call)
        try:
            yield
        finally:
            self._large.release()

    def _result(self, embedded: Sequence[Embedded], dimension: int) -> EmbedResult:
        with self._totals.timed("post_seconds_total"):
            natives = np.concatenate([one.vector for one in embedded])
            return EmbedResult(
                vectors=self._model.project(natives, dimension),
                text_tokens=sum(one.text_tokens for one in embedded),
                image_tokens=sum(one.image_tokens for one in embedded),
                images=tuple(facts for one in embedded for facts in one.images),
            )

    def _prepared(self, call: _Call, places: Sequence[int]) -> list[Prepared]:
        return prepare_inputs(
            self._model, call.request, places, check=lambda: self._check_wanted(call)
        )

    def _run(self, prepared: list[Prepared], call: _Call) -> list[Embedded]:
        if not prepared:
            return []
        rows = [row for one in prepared for row in one.rows]
        urgent = is_urgent(call.request, rows)
        future = self._scheduler.submit(rows, urgent=urgent, cancelled=call.cancelled)
        vectors = self._waited(future, call)
        if not np.isfinite(vectors).all():
            raise EngineFailed("the model's answer is not finite")
        with self._totals.timed("post_seconds_total"):
            ends = np.cumsum([len(one.rows) for one in prepared])[:-1]
            parts = np.split(vectors, ends)
            return [self._pooled(part, one) for part, one in zip(parts, prepared, strict=True)]

    def _pooled(self, vectors: FloatArray, prepared: Prepared) -> Embedded:
        native = self._model.pool(vectors, [row.weight for row in prepared.rows])
        return Embedded(native, prepared.text_tokens, prepared.image_tokens, prepared.images)

    def _waited(self, future: Future[FloatArray], call: _Call) -> FloatArray:
        try:
            while True:
                self._check_wanted(call)
                try:
                    return future.result(call.pause_s)
                except TimeoutError:
                    if future.done():  # the model's own, or it came at the last moment
                        return future.result()
        finally:
            future.cancel()

    def _check_wanted(self, call: _Call) -> None:
        if call.cancelled is not None and call.cancelled.is_set():
            self._totals.add(cancelled_total=1)
            raise RequestCancelled("request cancelled")
        if call.left_s <= 0:
            self._totals.add(timed_out_total=1)
            raise EngineTimeout(f"the model did not answer within {self._timeout_s:g} s")


def _loaded(found: Checkpoint, options: ModelOptions) -> Model:
    spec = found.spec
    module, _, attribute = spec.implementation.partition(":")
    try:
        model_class: type[Model] = getattr(importlib.import_module(module), attribute)
        return model_class(spec, found.folder, options)
    except ImportError as error:
        raise ModelUnavailable(f"model '{spec.name}' needs a missing package: {error}") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        # What loaders of weights raise for files that are missing, torn or of another model.
        raise ModelUnavailable(f"model '{spec.name}' cannot be loaded: {error}") from error


_loading = threading.Lock()


def load_engine(model: str, options: ModelOptions = _DEFAULTS) -> Embedder:
    """The engine of this program for that model: loaded once, warmed up, then shared.

    With `options.url` it holds no model but asks the server there. ModelNotFound, ModelUnavailable.
    """
    with _loading:
        return _load_engine(model, options)


def make_engine(model: str, options: ModelOptions) -> Embedder:
    """A new engine for that model, warmed up; its owner closes it. Raises as `load_engine`."""
    if options.url:
        from embedding_engine.models.remote import RemoteEngine

        return RemoteEngine(model, options)
    engine = Engine(model, options)
    engine.warm_up()
    return engine


_load_engine = lru_cache(maxsize=4)(make_engine)
