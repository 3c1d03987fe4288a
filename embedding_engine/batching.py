"""One device thread, two lanes: queries go before documents at every batch boundary.

Knows rows and their cost in tokens; knows neither models nor requests.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from embedding_engine.base import Row
from embedding_engine.errors import EngineUnavailable
from embedding_engine.types import FloatArray

Forward = Callable[[Sequence[Row]], FloatArray]

# Rows sorted together to save padding; more would let late rows overtake early ones for longer.
_WAVE_BATCHES = 8
# After so many query batches in a row a waiting document batch gets its turn.
_QUERY_STREAK = 16


@dataclass(eq=False, slots=True)
class _Group:
    """The rows of one submit, and what has come back of them."""

    future: Future[FloatArray]
    left: int
    vectors: list[FloatArray | None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    group: _Group
    position: int
    row: Row


@dataclass(frozen=True, slots=True)
class SchedulerCounters:
    """Totals since start, and the queue as it is now."""

    batches: int
    rows: int
    tokens: int
    padded_tokens: int
    forward_seconds: float
    waiting_queries: int
    waiting_documents: int


@dataclass(slots=True)
class _Lane:
    """Rows in order of arrival, and the batches already cut from them."""

    budget: int
    arrived: deque[_Waiting] = field(default_factory=deque)
    planned: deque[list[_Waiting]] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self.arrived) + sum(len(batch) for batch in self.planned)

    def next_batch(self) -> list[_Waiting]:
        """The next rows to run; empty when all that waited was cancelled meanwhile."""
        if not self.planned:
            self.planned.extend(batches_by_budget(self._take_wave(), self.budget))
        batch = self.planned.popleft() if self.planned else []
        return [waiting for waiting in batch if not waiting.group.future.done()]

    def _take_wave(self) -> list[_Waiting]:
        wave: list[_Waiting] = []
        left = self.budget * _WAVE_BATCHES
        while self.arrived and left > 0:
            waiting = self.arrived.popleft()
            if not waiting.group.future.done():
                left -= waiting.row.cost
                wave.append(waiting)
        return wave


def batches_by_budget(rows: Iterable[_Waiting], budget: int) -> list[list[_Waiting]]:
    """Rows sorted by cost, cut so that rows x longest <= budget; one above it runs alone."""
    batches: list[list[_Waiting]] = []
    for waiting in sorted(rows, key=lambda waiting: waiting.row.cost):
        if batches and (len(batches[-1]) + 1) * waiting.row.cost <= budget:
            batches[-1].append(waiting)
        else:
            batches.append([waiting])
    return batches


class Scheduler:
    """Runs `forward` on a thread of its own. `submit` from any thread; `close` once."""

    def __init__(self, forward: Forward, *, budget_tokens: int) -> None:
        self._forward = forward
        self._queries = _Lane(budget_tokens)
        self._documents = _Lane(budget_tokens)
        self._changed = threading.Condition()
        self._closed = False
        self._streak = 0
        self._batches = self._rows = self._tokens = self._padded = 0
        self._seconds = 0.0
        self._thread = threading.Thread(target=self._run, name="engine-device", daemon=True)
        self._thread.start()

    def submit(self, rows: Sequence[Row], *, urgent: bool) -> Future[FloatArray]:
        """A future of (n rows, d). `urgent` rows go before the others. Cancel it to drop them."""
        future: Future[FloatArray] = Future()
        if not rows:
            raise ValueError("no rows")
        group = _Group(future, len(rows), [None] * len(rows))
        with self._changed:
            if self._closed:
                raise EngineUnavailable("the engine is shutting down")
            lane = self._queries if urgent else self._documents
            lane.arrived.extend(_Waiting(group, place, row) for place, row in enumerate(rows))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Finish the running batch, refuse the waiting ones, end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        for lane in (self._queries, self._documents):
            left = [*lane.arrived, *(waiting for batch in lane.planned for waiting in batch)]
            _fail(left, EngineUnavailable("the engine is shutting down"))

    @property
    def is_closed(self) -> bool:
        """True from the moment `close` was called."""
        return self._closed

    def counters(self) -> SchedulerCounters:
        """Totals since start, and the queue lengths now."""
        with self._changed:
            return SchedulerCounters(
                batches=self._batches,
                rows=self._rows,
                tokens=self._tokens,
                padded_tokens=self._padded,
                forward_seconds=self._seconds,
                waiting_queries=len(self._queries),
                waiting_documents=len(self._documents),
            )

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            if batch:
                self._run_batch(batch)

    def _next_batch(self) -> list[_Waiting] | None:
        with self._changed:
            while not (self._closed or len(self._queries) or len(self._documents)):
                self._changed.wait()
            if self._closed:
                return None
            return self._chosen_lane().next_batch()

    def _chosen_lane(self) -> _Lane:
        is_turn_of_documents = self._streak >= _QUERY_STREAK and len(self._documents) > 0
        if len(self._queries) and not is_turn_of_documents:
            self._streak += 1
            return self._queries
        self._streak = 0
        return self._documents

    def _run_batch(self, batch: list[_Waiting]) -> None:
        started = time.perf_counter()
        try:
            vectors = self._forward([waiting.row for waiting in batch])
        except Exception as error:  # noqa: BLE001 - top of the device thread: the callers get it
            _fail(batch, error)
            return
        self._count(batch, time.perf_counter() - started)
        for waiting, vector in zip(batch, vectors, strict=True):
            _deliver(waiting, vector)

    def _count(self, batch: list[_Waiting], seconds: float) -> None:
        costs = [waiting.row.cost for waiting in batch]
        with self._changed:
            self._batches += 1
            self._rows += len(batch)
            self._tokens += sum(costs)
            self._padded += max(costs) * len(costs)
            self._seconds += seconds


def _deliver(waiting: _Waiting, vector: FloatArray) -> None:
    group = waiting.group
    group.vectors[waiting.position] = vector
    group.left -= 1
    # False when the caller cancelled while the batch ran.
    if group.left == 0 and group.future.set_running_or_notify_cancel():
        group.future.set_result(np.stack([row for row in group.vectors if row is not None]))


def _fail(batch: Iterable[_Waiting], error: Exception) -> None:
    for group in {waiting.group for waiting in batch}:
        if not group.future.done() and group.future.set_running_or_notify_cancel():
            group.future.set_exception(error)
