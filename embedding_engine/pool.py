"""Several loaded models behind one server: loaded when asked for, few at a time.

One of them is the default, which answers to the names of whatever is active. Knows neither indexes
nor a wire format, and imports no torch: `make` does.
"""

import gc
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event

from embedding_engine.base import Embedder
from embedding_engine.checkpoints import checkpoint
from embedding_engine.device import free_cached_memory
from embedding_engine.errors import EngineError, EngineFailed, ModelLoading, Unauthorized
from embedding_engine.registry import ACTIVE_ALIASES, ModelSpec
from embedding_engine.types import EmbedRequest, EmbedResult, ModelOptions, ModelSource

log = logging.getLogger(__name__)

# The active model and the one that is being built or compared.
_MOST = 2
_RETRY_AFTER_S = 5.0
# So long a failed load is told to all who ask; then the next one is a new try.
_TOLD_S = 30.0


@dataclass(frozen=True, slots=True)
class _Failure:
    error: EngineError
    at: float


class ModelPool:
    """An Embedder over its default model, and a door to the others.

    `make` loads a model (engine.make_engine); `options`: how, but for what a source says; `most`:
    models held at a time. `may_load`: whether a request may have one loaded (`asked`): only for a
    server that knows who asks. `load` the default before anything else.
    """

    def __init__(
        self,
        make: Callable[[str, ModelOptions], Embedder],
        options: ModelOptions,
        *,
        most: int = _MOST,
        may_load: bool = False,
    ) -> None:
        self._make = make
        self._options = options
        self._most = most
        self._may_load = may_load
        # The least recently used first. One engine may stand under several sources.
        self._held: OrderedDict[ModelSource, Embedder] = OrderedDict()
        self._default: Embedder | None = None
        self._pending: set[ModelSource] = set()
        self._failed: dict[ModelSource, _Failure] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def load(self, source: ModelSource, *, is_default: bool = False) -> Embedder:
        """The engine of that source, loaded here and now if it is not yet.

        The least recently used one that is not the default makes room first. ModelNotFound,
        ModelUnavailable, EngineUnavailable, EngineFailed.
        """
        with self._loading:
            engine = self._found(source) or self._same(source) or self._made(source)
            with self._lock:
                self._held[source] = engine
        if is_default or self._default is None:
            self._default = engine
        return engine

    def asked(self, source: ModelSource, *, is_default: bool = False) -> Embedder:
        """As `load`, without waiting: ModelLoading until it is there, or why it cannot be.

        Unauthorized where requests change nothing, unless it is there already.
        """
        engine = self._found(source)
        if not self._may_load and (engine is None or (is_default and engine is not self._default)):
            raise Unauthorized("models are loaded on demand only on a Unix socket or with a key")
        if engine is not None:
            self._default = engine if is_default else self._default
            return engine
        with self._lock:
            failure = self._failed.get(source)
            if failure is not None and time.monotonic() - failure.at < _TOLD_S:
                raise failure.error
            is_new = source not in self._pending
            self._pending.add(source)
        if is_new:
            self.load_soon(source, is_default=is_default)
        raise _loading(source.model)

    def load_soon(self, source: ModelSource, *, is_default: bool = False) -> None:
        """Load in the background; what goes wrong is told to who asks for it."""
        with self._lock:
            self._pending.add(source)
        arguments = {"is_default": is_default}
        name = f"load-{source.model}"
        threading.Thread(
            target=self._load_beside, args=(source,), kwargs=arguments, name=name, daemon=True
        ).start()

    def chosen(self, name: object) -> Embedder:
        """The engine that a request means by `name`: the default for none or an unknown one.

        Raises ModelLoading for one that is on its way.
        """
        default = self._defaulted()
        if not isinstance(name, str) or name in ACTIVE_ALIASES or default.spec.answers_to(name):
            return default
        with self._lock:
            for source, engine in self._held.items():
                if engine.spec.answers_to(name):
                    self._held.move_to_end(source)
                    return engine
            if any(name == source.model for source in self._pending):
                raise _loading(name)
        return default

    @property
    def engines(self) -> tuple[Embedder, ...]:
        """All that are loaded, each once, the default first."""
        with self._lock:
            found = [self._default, *self._held.values()]
        return tuple({id(one): one for one in found if one is not None}.values())

    @property
    def spec(self) -> ModelSpec:
        """Of the default model."""
        return self._defaulted().spec

    def embed(self, request: EmbedRequest, *, cancelled: Event | None = None) -> EmbedResult:
        """By the default model."""
        return self._defaulted().embed(request, cancelled=cancelled)

    def tokenize(self, text: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """By the default model."""
        return self._defaulted().tokenize(text)

    def metrics(self) -> dict[str, float]:
        """Sums over the models, and how many there are."""
        total: dict[str, float] = {"models": float(len(self.engines))}
        for engine in self.engines:
            for name, value in engine.metrics().items():
                total[name] = total.get(name, 0.0) + value
        return total

    @property
    def is_reachable(self) -> bool:
        """Whether the default model can be asked now."""
        return self._defaulted().is_reachable

    @property
    def is_lost(self) -> bool:
        """Whether one of them can never answer again in this program."""
        return any(engine.is_lost for engine in self.engines)

    def close(self) -> None:
        """Close all engines."""
        for engine in self.engines:
            engine.close()

    def _defaulted(self) -> Embedder:
        if self._default is None:
            raise _loading("the model")
        return self._default

    def _found(self, source: ModelSource) -> Embedder | None:
        with self._lock:
            engine = self._held.get(source)
            if engine is not None:
                self._held.move_to_end(source)
            return engine

    def _same(self, source: ModelSource) -> Embedder | None:
        """The one that is held under another name of the same weights."""
        if source.url:
            return None
        wanted = checkpoint(source.model, self._options_of(source)).spec.identity
        with self._lock:
            local = (engine for held, engine in self._held.items() if not held.url)
            return next((engine for engine in local if engine.spec.identity == wanted), None)

    def _made(self, source: ModelSource) -> Embedder:
        while len(self.engines) >= self._most and self._unload_one():
            pass
        return self._make(source.model, self._options_of(source))

    def _options_of(self, source: ModelSource) -> ModelOptions:
        # The key is for the server that was set with it, and for no other.
        key = self._options.api_key if source.url == self._options.url else ""
        return replace(self._options, revision=source.revision, url=source.url, api_key=key)

    def _unload_one(self) -> bool:
        """Forget the least recently used one; whom it keeps waiting is told to try again."""
        with self._lock:
            others = [one for one in self._held.values() if one is not self._default]
            if not others:
                return False
            unloaded = others[0]
            for source in [key for key, one in self._held.items() if one is unloaded]:
                del self._held[source]
        log.info("unloading %s", unloaded.spec.identity)
        unloaded.close()
        del unloaded, others
        gc.collect()
        free_cached_memory()
        return True

    def _load_beside(self, source: ModelSource, *, is_default: bool) -> None:
        try:
            self.load(source, is_default=is_default)
            failure = None
        except EngineError as error:
            failure = _Failure(error, time.monotonic())
        except Exception as error:  # the top of a thread
            log.exception("loading %s failed", source.model)
            failure = _Failure(EngineFailed(f"loading failed: {error}"), time.monotonic())
        with self._lock:
            self._pending.discard(source)
            self._failed.pop(source, None)
            if failure is not None:
                log.warning("%s cannot be loaded: %s", source.model, failure.error.message)
                self._failed[source] = failure


def _loading(name: str) -> ModelLoading:
    return ModelLoading(f"'{name}' is being loaded, try again later", retry_after_s=_RETRY_AFTER_S)
