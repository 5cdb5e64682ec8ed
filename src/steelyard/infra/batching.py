"""Continuous micro-batching: a lone item never waits; while batches run, the next one forms."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class BatchSize:
    """What `observe` is told of a batch as it starts; `waiting` items stay behind."""

    num_items: int
    weight: int
    waiting: int


@dataclass(slots=True, eq=False)
class _Waiter:
    """One caller: where its result goes, and what is done with it on the worker's thread."""

    future: "asyncio.Future[Any]"
    then: Callable[[Any], Any]

    def give(self, out: Any) -> None:
        try:
            result = self.then(out)
        except BaseException as error:
            self.fail(error)
            return
        self._call(self._settle, result)

    def fail(self, error: BaseException) -> None:
        self._call(self._refuse, error)

    def _call(self, settle: Callable[[Any], None], value: Any) -> None:
        with suppress(RuntimeError):  # the caller's loop has closed: nobody waits any more
            self.future.get_loop().call_soon_threadsafe(settle, value)

    def _settle(self, result: Any) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def _refuse(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(slots=True, eq=False)
class _Flight(Generic[In]):
    """One item and everybody who waits for it."""

    item: In
    key: Hashable
    weight: int
    waiters: list[_Waiter] = field(default_factory=list)


class Batcher(Generic[In, Out]):
    """Runs items on worker threads, `lanes` batches at once.

    An item that finds a lane free starts at once, alone. A lane that becomes free takes what
    waits, oldest first, while their weights (tokens, say) sum to at most `max_weight`; an item
    heavier than that runs alone. `run` yields one result an item, in order; each is given out
    as it comes. If it raises, the item whose turn it was fails, and the others run again.

    Items with an equal `key` that wait or run share one result. An item whose callers have all
    been cancelled is skipped.
    """

    def __init__(
        self,
        run: Callable[[Sequence[In]], Iterator[Out]],
        *,
        pool: ThreadPoolExecutor,
        lanes: int,
        max_weight: int,
        weigh: Callable[[In], int] = lambda _: 1,
        observe: Callable[[BatchSize], None] = lambda _: None,
    ) -> None:
        self._run = run
        self._pool = pool
        self._lanes = lanes
        self._max_weight = max_weight
        self._weigh = weigh
        self.observe = observe
        self._lock = threading.Lock()
        self._waiting: deque[_Flight[In]] = deque()
        self._flights: dict[Hashable, _Flight[In]] = {}
        self._running = 0

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    async def submit(self, item: In, *, then: Callable[[Out], R], key: Hashable | None = None) -> R:
        """Return `then(result)`, which runs on the worker's thread too.

        Raises: what `run` or `then` raised for this item.
        """
        waiter = _Waiter(asyncio.get_running_loop().create_future(), then)
        flight, start = self._join(item, waiter, key)
        if start:
            try:
                self._pool.submit(self._lane)
            except RuntimeError:  # the pool is shut down
                self._leave(flight, waiter)
                with self._lock:
                    self._running -= 1
                raise
        try:
            result: R = await waiter.future
            return result
        except asyncio.CancelledError:
            self._leave(flight, waiter)
            raise

    def _join(self, item: In, waiter: _Waiter, key: Hashable | None) -> tuple[_Flight[In], bool]:
        """Add a caller; return its flight, and whether a lane must be started."""
        with self._lock:
            flight = self._flights.get(key) if key is not None else None
            if flight is not None:
                flight.waiters.append(waiter)
                return flight, False
            flight = _Flight(item, key, self._weigh(item), [waiter])
            self._waiting.append(flight)
            if key is not None:
                self._flights[key] = flight
            start = self._running < self._lanes
            self._running += start
            return flight, start

    def _leave(self, flight: _Flight[In], waiter: _Waiter) -> None:
        with self._lock:
            if waiter in flight.waiters:
                flight.waiters.remove(waiter)
            if not flight.waiters and flight in self._waiting:
                self._waiting.remove(flight)
                self._land(flight)

    def _lane(self) -> None:
        while batch := self._next_batch():
            while batch:
                batch = batch[self._fly(batch) :]

    def _next_batch(self) -> list[_Flight[In]]:
        """Take the next batch; if there is none, end the lane."""
        with self._lock:
            batch: list[_Flight[In]] = []
            weight = 0
            while self._waiting and (
                not batch or weight + self._waiting[0].weight <= self._max_weight
            ):
                batch.append(self._waiting.popleft())
                weight += batch[-1].weight
            if not batch:
                self._running -= 1
                return batch
            size = BatchSize(len(batch), weight, len(self._waiting))
        self.observe(size)
        return batch

    def _fly(self, batch: Sequence[_Flight[In]]) -> int:
        """Run a batch; return how many of its items were settled, at least one."""
        results = self._run([flight.item for flight in batch])
        for settled, flight in enumerate(batch):
            try:
                out = next(results)
            except BaseException as error:
                for waiter in self._landed(flight):
                    waiter.fail(error)
                return settled + 1
            for waiter in self._landed(flight):
                waiter.give(out)
        return len(batch)

    def _landed(self, flight: _Flight[In]) -> list[_Waiter]:
        with self._lock:
            self._land(flight)
            return list(flight.waiters)

    def _land(self, flight: _Flight[In]) -> None:
        """Let no later caller join; under the lock."""
        if flight.key is not None and self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
