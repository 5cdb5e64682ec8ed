"""Keeping up: with watched files as they change, and with what other processes write."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import watchfiles

from steelyard.core.errors import SteelyardError
from steelyard.core.protocols import Index
from steelyard.flows.library import Library
from steelyard.flows.sources import belongs
from steelyard.infra.concurrent import Workers, compute
from steelyard.store import Store

log = logging.getLogger(__name__)

DEBOUNCE_MS = 40  # how long a burst of file events is gathered
STEP_MS = 10
POLL_S = 0.05  # how often another process's commits are looked for: microseconds each
MAX_PAUSE_S = 0.5  # an upsert is searchable within a second
RETRY_S = 1.0
RESYNC_S = 300.0  # a full look, in case the system dropped events


async def follow_files(
    library: Library,
    roots: Sequence[Path],
    *,
    collection: str,
    exclude: Sequence[Path],
) -> None:
    """Submit what changes under `roots` and delete what vanishes, until cancelled."""
    folders = {root if root.is_dir() else root.parent for root in roots}
    changes = watchfiles.awatch(
        *folders,
        debounce=DEBOUNCE_MS,
        step=STEP_MS,
        watch_filter=None,
        recursive=True,
        rust_timeout=1000,
        yield_on_timeout=True,
    )
    loop = asyncio.get_running_loop()
    next_resync = loop.time() + RESYNC_S
    async for batch in changes:
        paths = {Path(path) for _, path in batch}
        touched = [path for path in paths if belongs(path, roots, exclude=exclude)]
        if any(path.is_dir() for path in touched) or loop.time() > next_resync:
            next_resync = loop.time() + RESYNC_S
            await library.sync(roots, collection=collection, exclude=exclude)
        elif touched:
            await library.touched(touched, collection=collection)


class TruthFollower:
    """Keeps the index up to what this and other processes commit."""

    def __init__(self, store: Store, index: Callable[[], Index], workers: Workers) -> None:
        """`index` is asked for again at every look: another one may serve by then."""
        self._store = store
        self._index = index
        self._workers = workers
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look now: something was committed here."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; under a stream of commits, take at most a fifth of the time."""
        seen: int | None = None
        while True:
            took_s = 0.0
            version = self._store.data_version()
            if version != seen:
                started = perf_counter()
                seen = version if await self._catch_up() else None
                took_s = perf_counter() - started
            await asyncio.sleep(min(4 * took_s, MAX_PAUSE_S))
            # Not `wait_for`: in Python 3.11 it can swallow a cancellation that meets the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            self._wake.clear()

    async def _catch_up(self) -> bool:
        if self._index().view().seq == self._store.last_seq():
            return True
        try:
            await compute(self._workers.ingest, self._index().refresh)
        except SteelyardError as error:  # a full disk: the index lags until there is room
            log.warning("index_lags reason=%s", error)
        except Exception:  # a shadow may lag, it never stops the server
            log.exception("refresh_failed")
        else:
            return True
        await asyncio.sleep(RETRY_S)
        return False


class Vanished:
    """Tells at read time that a watched file is gone, before its event has arrived.

    Only for files under `roots`: elsewhere a missing file says nothing (a home may be moved).
    """

    def __init__(self) -> None:
        self._prefixes: tuple[str, ...] = ()
        self._path_of: Callable[[str], Path | None] | None = None

    def watch(self, roots: Sequence[Path], path_of: Callable[[str], Path | None]) -> None:
        self._prefixes = tuple(str(root) for root in roots)
        self._path_of = path_of

    def __call__(self, uri: str) -> bool:
        if not self._prefixes or self._path_of is None or not uri.startswith("file://"):
            return False
        path = self._path_of(uri)
        return (
            path is not None and str(path).startswith(self._prefixes) and not os.path.exists(path)
        )
