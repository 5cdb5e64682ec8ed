"""What answers people now, what answered before, and who is still on which.

A request holds one bundle from its beginning to its end. A flip is one assignment: requests that
began before it finish on what they started with. What stood before stays warm, for a rollback
without loading; what stood before that is closed once its last request has ended.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from steelyard.bundle import Bundle
from steelyard.core.protocols import Reranker
from steelyard.settings import Settings
from steelyard.space import Space

log = logging.getLogger(__name__)


def alike(one: Settings, other: Settings) -> bool:
    """Tell whether two settings make the same bundle over one space."""
    return replace(one, embed=other.embed) == other


class Held:
    """A bundle and how many requests are on it; used from the event loop's thread."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.num_open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def held(self) -> Iterator[Bundle]:
        self.num_open += 1
        self._idle.clear()
        try:
            yield self.bundle
        finally:
            self.num_open -= 1
            if not self.num_open:
                self._idle.set()

    async def idle(self) -> None:
        """Wait until no request is on it."""
        while self.num_open:
            await self._idle.wait()


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands at one moment."""

    champion: Held
    previous: Held | None = None


class Serving:
    """Holds the champion and the one before it. Flips and holds happen on one event loop."""

    def __init__(self, first: Callable[[], Bundle]) -> None:
        """`first` makes what answers until something else is promoted; called at first use."""
        self._first = first
        self._standing: Standing | None = None
        self._listeners: list[Callable[[Bundle, Bundle], None]] = []
        self._retiring: set[asyncio.Task[None]] = set()
        self._draining: set[Held] = set()

    @property
    def champion(self) -> Bundle:
        return self._now().champion.bundle

    @property
    def previous(self) -> Bundle | None:
        held = self._now().previous
        return None if held is None else held.bundle

    def previous_or_none(self) -> Bundle | None:
        """Return the previous bundle without making a first one."""
        return None if self._standing is None else self.previous

    def rerankers(self) -> list[Reranker | None]:
        """Return the champion's reranker, then that of what stood before it."""
        bundles = [self.champion, self.previous_or_none()]
        return [bundle.reranker for bundle in bundles if bundle is not None]

    @property
    def num_draining(self) -> int:
        """Return how many requests are still on what no longer answers new ones."""
        previous = self._now().previous
        return (previous.num_open if previous else 0) + len(self._retiring)

    @contextmanager
    def hold(self) -> Iterator[Bundle]:
        """Lend the champion of this moment: it stays open, whatever is promoted meanwhile."""
        with self._now().champion.held() as bundle:
            yield bundle

    def listen(self, told: Callable[[Bundle, Bundle], None]) -> None:
        """Call `told(before, after)` inside every flip, before any request sees the new one."""
        self._listeners.append(told)

    def warm(self, settings: Settings, space: Space) -> Bundle | None:
        """Return the previous bundle if these options make it; None: it must be loaded."""
        previous = self.previous
        if (
            previous is None
            or previous.space is not space
            or not alike(previous.settings, settings)
        ):
            return None
        return previous

    def flip(self, bundle: Bundle) -> None:
        """Let a warm bundle answer from now on; what it replaces becomes the previous one."""
        before = self._now()
        if bundle is before.champion.bundle:
            return
        warm = before.previous
        back = warm is not None and warm.bundle is bundle
        champion = warm if warm is not None and back else Held(bundle)
        for told in self._listeners:
            told(before.champion.bundle, bundle)
        self._standing = Standing(champion, before.champion)
        if warm is not None and not back:
            self._retire(warm)

    def forget_previous(self) -> None:
        """Close the previous bundle once its last request has ended."""
        now = self._now()
        if now.previous is not None:
            self._standing = Standing(now.champion)
            self._retire(now.previous)

    async def aclose(self) -> None:
        """Close what stands and what is retiring; no request may be on any of them."""
        for task in tuple(self._retiring):
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        if self._standing is None:
            return
        for held in (self._standing.champion, self._standing.previous):
            if held is not None:
                await held.bundle.aclose()

    async def drained(self, space: Space) -> None:
        """Wait until no request is on a bundle over `space` that answers no more."""
        for held in [one for one in self._draining if one.bundle.space is space]:
            await held.idle()

    def _now(self) -> Standing:
        if self._standing is None:
            self._standing = Standing(Held(self._first()))
        return self._standing

    def _retire(self, held: Held) -> None:
        self._draining.add(held)
        task = asyncio.get_running_loop().create_task(self._closed(held))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _closed(self, held: Held) -> None:
        await held.idle()
        now = self._now()
        both = [one.bundle for one in (now.champion, now.previous) if one is not None]
        await held.bundle.aclose(keep=[model for one in both for model in one.models()])
        self._draining.discard(held)
        log.info("bundle_closed bundle=%s", held.bundle.name)
