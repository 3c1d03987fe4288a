"""A model held by another Embed v2 server, asked as if it were here. Knows no HTTP and no app.

Whole vectors are asked for, cut and made unit length here, so that every dimension is had from
servers that know only one. Requests of documents are several at a time, and those of somebody who
waits (urgency.py) have threads of their own. Imports no torch.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from threading import Event

import numpy as np

from embedding_engine.errors import (
    EngineError,
    EngineUnavailable,
    InvalidInput,
    ModelNotFound,
    ModelUnavailable,
    Unauthorized,
)
from embedding_engine.images import image_facts
from embedding_engine.models.remote_server import RemoteServer, known_spec, server_meet
from embedding_engine.quantization import at_dimension
from embedding_engine.registry import ModelSpec
from embedding_engine.remote import UNIX, EmbedClient
from embedding_engine.remote_wire import Batch, batches
from embedding_engine.retries import Budget, Patience, Retries, pause_after
from embedding_engine.types import EmbedRequest, EmbedResult, ImageFacts, ImagePart, ModelOptions
from embedding_engine.urgency import may_be_urgent

log = logging.getLogger(__name__)

_QUERY_THREADS = 8
_PATIENCE = Patience()
# How often a waiting call looks whether it was cancelled.
_GLANCE_S = 0.1
# Health checks may come every second: the server is looked for more seldom, and they wait a little.
_LOOK_EVERY_S = 5.0
_LOOK_WAIT_S = 1.0


class RemoteEngine:
    """An Embedder over the server at `options.url`: Cohere's, vLLM's, SageMaker's, or one of ours.

    At start the server is asked what it holds. When it does not answer, a model of the registry is
    served all the same (each call fails with EngineUnavailable until the server is back, and `spec`
    is the registry's until then); for any other model the start is tried for `patience.start_s`
    seconds and then raises EngineUnavailable: whoever runs the process starts it again.
    Unauthorized for a refused key, ModelNotFound for a model it does not hold, ModelUnavailable for
    an address that no Embed v2 server answers.
    """

    def __init__(
        self, model: str, options: ModelOptions, *, patience: Patience = _PATIENCE
    ) -> None:
        self._model = model
        self._patience = patience
        self._client = EmbedClient(
            options.url,
            timeout=patience.document_s,
            api_key=options.api_key,
            is_proxied=not options.url.startswith(UNIX),
            name="the embedding server",
        )
        self._retries = Retries(patience)
        self._closed = Event()
        self._waiting = {"queries": 0, "documents": 0}
        self._documents = ThreadPoolExecutor(patience.in_flight, "remote-document")
        self._queries = ThreadPoolExecutor(_QUERY_THREADS, "remote-query")
        self._lock = threading.Lock()
        self._meeting = threading.Lock()
        self._server: RemoteServer | None = None
        self._spec = known_spec(model)
        self._is_reachable = False
        self._look: Future[None] | None = None
        self._look_at = 0.0
        try:
            self._start()
        except EngineError:
            self.close()
            raise

    @property
    def spec(self) -> ModelSpec:
        """What the server holds, as it said itself once it has answered."""
        assert self._spec is not None
        return self._spec

    def embed(self, request: EmbedRequest, *, cancelled: Event | None = None) -> EmbedResult:
        """One unit vector an input, in order.

        Raises InvalidInput (its message begins with "inputs[i]: " where the server names one),
        TooManyTokens, EngineUnavailable, EngineLost, EngineTimeout, EngineFailed, and
        ModelUnavailable when the server no longer takes our key or holds another model.

        Once `cancelled` is set the call ends and asks nothing more, but a request under way is left
        to end by itself: until then, `patience.document_s` at most, it is one of `in_flight`.
        """
        self.spec.checked_dimension(request.output_dimension)
        if not request.inputs:
            raise InvalidInput("there is nothing to embed")
        is_urgent = may_be_urgent(request)
        seconds = self._patience.query_s if is_urgent else self._patience.document_s
        budget = Budget(seconds, cancelled, self._closed)
        try:
            return self._embedded(request, self._met(budget), budget, is_urgent=is_urgent)
        except (Unauthorized, ModelNotFound) as error:
            # Our caller's own key and model are right: 401 and 404 would tell it otherwise.
            raise ModelUnavailable(f"the embedding server refuses us: {error.message}") from error

    def tokenize(self, text: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """The server's ids of a text, and the string of each; InvalidInput where it has none."""
        budget = Budget(self._patience.query_s, self._closed)
        try:
            return self._retries.ask(
                lambda left: self._client.tokenize(text, model=self._model, timeout=left), budget
            )
        except ModelNotFound as error:
            raise InvalidInput("the embedding server does not offer its tokenizer") from error

    def metrics(self) -> dict[str, float]:
        """Totals since start, whether the circuit is open, and the calls that wait now."""
        with self._lock:
            waiting = {f"waiting_{name}": float(count) for name, count in self._waiting.items()}
        found = {f"remote_{name}": value for name, value in self._retries.metrics().items()}
        return {**found, **waiting}

    @property
    def is_lost(self) -> bool:
        """Never: the server may always come back."""
        return False

    @property
    def is_reachable(self) -> bool:
        """Whether the server answered when last looked for, a few seconds ago at most.

        It is looked for in the background and waited for a second: an answer that takes longer
        counts the next time.
        """
        with self._lock:
            if self._look is None or (self._look.done() and time.monotonic() > self._look_at):
                self._look = self._queries.submit(self._look_for)
            look = self._look
        wait([look], timeout=_LOOK_WAIT_S)
        return self._is_reachable

    def _look_for(self) -> None:
        try:
            if self._server is None:
                self._meet(self._patience.query_s)
                self._is_reachable = True
            else:
                answer = self._client.exchange("GET", "/v1/models", timeout=_LOOK_EVERY_S)
                self._is_reachable = answer.status < 500
        except EngineError as error:
            log.warning("%s: %s", self._client.address, error.message)
            self._is_reachable = False
        finally:
            self._look_at = time.monotonic() + _LOOK_EVERY_S

    def close(self) -> None:
        """End its threads; waiting calls fail."""
        self._closed.set()
        for pool in (self._documents, self._queries):
            pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _start(self) -> None:
        until = time.monotonic() + self._patience.start_s
        attempt = 0
        while True:
            try:
                self._meet(self._patience.query_s)
                return
            except EngineError as error:
                if not error.retryable:
                    raise
                said = f"{self._client.address}: {error.message}"
                if self._spec is not None:
                    log.warning("%s; served all the same, it will be asked again", said)
                    return
                pause = pause_after(error, attempt, self._patience)
                if time.monotonic() + pause > until:
                    raise EngineUnavailable(
                        f"{said}; only this server can say what '{self._model}' is"
                    ) from error
            time.sleep(pause)
            attempt += 1

    def _met(self, budget: Budget) -> RemoteServer:
        """The server as it introduced itself, now if it could not at start."""
        while self._server is None:
            if self._meeting.acquire(timeout=min(budget.left(), _GLANCE_S)):
                try:
                    if self._server is None:
                        self._retries.ask(self._meet, budget)
                finally:
                    self._meeting.release()
        return self._server

    def _meet(self, left: float) -> None:
        # All calls wait for it, queries too.
        timeout = min(left, self._patience.query_s)
        server = server_meet(self._client, self._model, timeout=timeout)
        self._spec = server.spec
        self._server = server

    def _embedded(
        self, request: EmbedRequest, server: RemoteServer, budget: Budget, *, is_urgent: bool
    ) -> EmbedResult:
        dimension = server.spec.checked_dimension(request.output_dimension)
        parts = list(batches(request.inputs, server.dialect, max_tokens=request.max_tokens))

        def answered(batch: Batch) -> EmbedResult:
            return self._retries.ask(lambda left: self._asked(batch, request, server, left), budget)

        results = self._answers(answered, parts, budget, is_urgent=is_urgent)
        vectors = np.empty((len(request.inputs), server.dimension), dtype=np.float32)
        for batch, result in zip(parts, results, strict=True):
            vectors[batch.places] = result.vectors
        return EmbedResult(
            vectors=at_dimension(vectors, dimension),
            text_tokens=sum(result.text_tokens for result in results),
            image_tokens=sum(result.image_tokens for result in results),
            images=_images(request, results, server),
        )

    def _asked(
        self, batch: Batch, request: EmbedRequest, server: RemoteServer, left: float
    ) -> EmbedResult:
        result = self._client.embed_batch(
            batch,
            request,
            model=self._model,
            dialect=server.dialect,
            dimension=server.asked_dimension,
            timeout=left,
        )
        if result.vectors.shape[1] != server.dimension:
            raise ModelUnavailable(
                f"the embedding server answers vectors of {result.vectors.shape[1]} dimensions "
                f"instead of {server.dimension}: it holds another model than at start"
            )
        return result

    def _answers(
        self,
        answered: Callable[[Batch], EmbedResult],
        parts: Sequence[Batch],
        budget: Budget,
        *,
        is_urgent: bool,
    ) -> list[EmbedResult]:
        lane = "queries" if is_urgent else "documents"
        pool = self._queries if is_urgent else self._documents
        self._count_waiting(lane, 1)
        try:
            return _gathered([pool.submit(answered, batch) for batch in parts], budget)
        except RuntimeError as error:
            if not self._closed.is_set():
                raise
            raise EngineUnavailable("the engine is shutting down") from error
        finally:
            self._count_waiting(lane, -1)

    def _count_waiting(self, lane: str, change: int) -> None:
        with self._lock:
            self._waiting[lane] += change


def _gathered(futures: Sequence[Future[EmbedResult]], budget: Budget) -> list[EmbedResult]:
    """All results, or the first error at once; what is left is then given up."""
    try:
        waiting = set(futures)
        while waiting:
            left = min(budget.left(), _GLANCE_S)
            done, waiting = wait(waiting, timeout=left, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        return [future.result() for future in futures]
    finally:
        budget.stop()
        for future in futures:
            future.cancel()


def _images(
    request: EmbedRequest, results: Sequence[EmbedResult], server: RemoteServer
) -> tuple[ImageFacts, ...]:
    """Of the pictures in order: what our server says it kept, or what was sent to any other."""
    if server.dialect.is_own:
        return tuple(facts for result in results for facts in result.images)
    parts = (part for one in request.inputs for part in one.parts)
    return tuple(image_facts(part.content) for part in parts if isinstance(part, ImagePart))
