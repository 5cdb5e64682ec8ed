"""The one crossing between the waiting world (async) and computing (threads)."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Each computes on one core, so one more than there are keeps them busy; with two more, threads
# wait for the interpreter instead (a tenth to a fifth fewer searches/s on two cores).
QUERY_THREADS = (os.cpu_count() or 2) + 1


class Workers:
    """Named thread pools: `query` answers people, `ingest` works through files behind them, and
    `shadow`, one thread, loads and checks what shall serve next."""

    def __init__(self, *, query_threads: int = QUERY_THREADS, ingest_threads: int = 4) -> None:
        self.query = ThreadPoolExecutor(query_threads, "steelyard-query")
        self.ingest = ThreadPoolExecutor(ingest_threads, "steelyard-ingest", _be_nice)
        self.shadow = ThreadPoolExecutor(1, "steelyard-shadow", _be_nice)

    def close(self) -> None:
        for pool in (self.query, self.ingest, self.shadow):
            pool.shutdown(wait=True, cancel_futures=True)


def _be_nice() -> None:
    """Lower this thread's priority, so that ingestion yields the cores to questions."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    except (AttributeError, OSError):  # not Linux, or not allowed: only speed is lost
        return


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's, where there is uvloop."""
    try:
        import uvloop
    except ImportError:  # not built for this system
        return None
    return uvloop.new_event_loop


async def compute(
    pool: ThreadPoolExecutor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run a blocking function in `pool` and wait for it without blocking the event loop."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(pool, lambda: function(*args, **kwargs))


async def together(*jobs: Coroutine[Any, Any, T]) -> list[T]:
    """Run jobs at once and return their results in order.

    The first error is raised as it is (not wrapped in an `ExceptionGroup`, which error tables
    miss) after every other job was cancelled and has ended.
    """
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class LoopThread:
    """An event loop on a thread of its own, for callers that are not async."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="steelyard-loop", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def submit(self, job: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(job, self._loop)

    def run(self, job: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait; an interrupt cancels it."""
        future = self.submit(job)
        with _cancelling(future):
            return future.result()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


@contextmanager
def _cancelling(future: "Future[Any]") -> Iterator[None]:
    try:
        yield
    except BaseException:
        future.cancel()
        raise
