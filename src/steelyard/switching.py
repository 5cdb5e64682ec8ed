"""A new embedder for a home that goes on answering: built beside the old one, checked, flipped.

The truth says whose vectors the home is searched by, and which second embedder is kept in step.
Every process follows it, so whichever process builds (there is one at a time) serves them all.
"""

import asyncio
import hashlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

from steelyard.ahead import EMBEDDER, build_ahead
from steelyard.bundle import Bundle, Home
from steelyard.core.errors import InputError, Overloaded, SetupError, SteelyardError
from steelyard.core.protocols import Embedder
from steelyard.flows.embedding import embed_again
from steelyard.flows.switching import RED, SETTLE_S, InStep, Progress, check_index, sampled
from steelyard.infra.concurrent import compute
from steelyard.infra.files import FileLock
from steelyard.probes import check_embedder, check_endpoints, check_models
from steelyard.serving import Serving
from steelyard.settings import Settings
from steelyard.space import Space, Spaces, embed_options
from steelyard.store import HeldEmbedder, Store

log = logging.getLogger(__name__)

LOCK_FILE = "switch.lock"
KEEP_S = 0.2  # how often the second embedder is brought up to date
DROPPED_AT_ONCE = 2000  # vectors: a write of some milliseconds


class Switchable(Home, Protocol):
    """What a switch needs of an app. `space` is the home's, `beside` that of a second embedder."""

    serving: Serving
    space: Space
    beside: Space | None
    settings: Settings
    home: Path
    spaces: Spaces


class EmbedderSwitch:
    """Builds, flips, follows and lets go; used from the event loop's thread."""

    def __init__(self, host: Switchable) -> None:
        self._host = host
        self._lock = FileLock(host.home / LOCK_FILE)
        self.building = False
        self.progress: Progress | None = None

    async def build(
        self,
        settings: Settings,
        *,
        serves: bool = True,
        told: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """Make the home that of the embedder of `settings`; what was done before is not done again.

        `serves`: this process answers questions, and shall by the new embedder.

        Raises:
            Overloaded: another process is building (code `locked`).
            InputError: another embedder stands beside the home's, or this one was cancelled.
            SetupError: it cannot be opened, or failed its checks; nothing was flipped.
        """
        await compute(self._host.workers.shadow, self._lock.acquire)
        self.building = True
        try:
            space = await self._opened(settings)
            if space is not None:
                await self._built(space, settings, serves=serves, told=told)
        except SetupError as error:
            if error.code == RED:
                await self._let_go()
            raise
        finally:
            self.building, self.progress = False, None
            self._lock.release()

    async def follow(self) -> None:
        """Answer by the embedder that another process gave the home to.

        Raises:
            SetupError: it cannot be opened here.
        """
        host = self._host
        held = host.store.home_embedder()
        if held is None or held.fingerprint == host.space.embedder.fingerprint:
            return
        if held.options is None:
            raise SetupError(
                f"the home is {held.fingerprint!r}'s now, and does not say how to open it; set "
                "embed.* as it was set there, and start `steelyard serve` again",
                code="other_embedder",
            )
        space = self._beside_of(held)
        space = space or host.spaces.made(
            replace(host.settings, embed=embed_options(held)), claims=False
        )
        found = (await compute(host.workers.shadow, lambda: space.embedder)).fingerprint
        if found != held.fingerprint:
            raise SetupError(
                f"the home is {held.fingerprint!r}'s, but what it was opened with is {found!r} "
                "here; use the same model files everywhere",
                code="other_embedder",
            )
        await compute(host.workers.ingest, lambda: space.index)
        bundle = await self._bundle(space, space.settings)
        self._flip(bundle, space)
        log.warning("embedder_followed fingerprint=%s", found)

    async def keep(self) -> None:
        """Keep the second embedder in step, and let it go when the truth has; until cancelled."""
        in_step: InStep | None = None
        of: Space | None = None
        while True:
            await asyncio.sleep(KEEP_S)
            space = self._host.beside
            if space is None or self.building:
                continue
            try:
                if self._host.store.switch() is None:
                    await self._closed(space)
                    continue
                if space is not of or in_step is None:
                    of, in_step = space, InStep(
                        self._host.store, space.embedder, workers=self._host.workers
                    )  # fmt: skip
                if space.index.view().seq != self._host.store.last_seq():
                    await in_step.catch_up(lambda: space.index)  # noqa: B023
            except SteelyardError as error:
                log.warning("second_embedder_lags reason=%s", error)
                await asyncio.sleep(1.0)

    async def end(self) -> HeldEmbedder | None:
        """Let the second embedder go, its vectors and its index; return it, None: there was none.

        Raises:
            Overloaded: the process that builds it does not stop.
        """
        return await self._let_go()

    async def _opened(self, settings: Settings) -> Space | None:
        """Return the space to build; None if the home is this embedder's already."""
        host = self._host
        home = host.store.home_embedder()
        if home is None:
            raise InputError(
                "the home holds no vectors yet: `steelyard ingest` begins with this embedder",
                code="no_vectors",
            )
        space = host.beside
        if space is None or space.settings.embed != settings.embed:
            space = host.spaces.made(settings, claims=False)
        if space is not host.beside:
            await build_ahead(EMBEDDER, settings)
        embedder = await compute(host.workers.shadow, lambda: space.embedder)
        if home.fingerprint == embedder.fingerprint:
            return None  # what was before stays until it is confirmed
        switch = host.store.switch()
        if switch is not None and switch.other.fingerprint != embedder.fingerprint:
            if not switch.flipped:
                raise InputError(
                    f"a switch to {switch.other.fingerprint!r} is under way; run `steelyard "
                    "embedder cancel` first",
                    code="switching",
                )
            await self._let_go()  # what was before is not gone back to
        if settings.embed.adapter is not None:
            await compute(host.workers.shadow, check_embedder, embedder, settings)
        try:
            host.store.begin_switch(
                embedder.fingerprint,
                embedder.dim,
                options=asdict(settings.embed),
                place=f"index-{hashlib.sha256(embedder.fingerprint.encode()).hexdigest()[:8]}",
            )
        except InputError as error:
            if error.code == "is_home":
                return None
            raise
        host.beside = space
        return space

    async def _built(
        self,
        space: Space,
        settings: Settings,
        *,
        serves: bool,
        told: Callable[[Progress], None],
    ) -> None:
        """Embed, index, check, and flip the truth; then what serves here."""
        host, pool = self._host, self._host.workers.ingest

        def noted(progress: Progress) -> None:
            self.progress = progress
            told(progress)

        in_step = InStep(host.store, space.embedder, workers=host.workers, told=noted)
        await in_step.catch_up(lambda: space.index)
        await compute(pool, lambda: space.index.settle(timeout_s=SETTLE_S))
        chunk_ids = await compute(pool, sampled, host.store)
        await in_step.catch_up(lambda: space.index)
        await compute(
            pool, check_index, host.store, space.embedder, space.index, chunk_ids=chunk_ids
        )
        bundle = await self._bundle(space, settings) if serves else None
        while True:
            await in_step.catch_up(lambda: space.index)
            try:
                await compute(pool, host.store.flip_embedder)
                break
            except Overloaded as error:
                if error.code != "unembedded":
                    raise
                in_step.look_everywhere()
        space.claim()
        if bundle is None:
            host.space, host.beside = space, host.space
        else:
            self._flip(bundle, space)
        log.warning("embedder_switched fingerprint=%s", space.embedder.fingerprint)

    async def _bundle(self, space: Space, settings: Settings) -> Bundle:
        """Return a bundle over a space, loaded and checked."""
        host, current = self._host, self._host.serving.champion
        warm = host.serving.warm(settings, space)
        if warm is not None:
            return warm
        bundle = Bundle(host, settings, space, like=current)
        try:
            await compute(host.workers.shadow, bundle.warm_up)
            await compute(host.workers.shadow, check_models, bundle, current, host.home)
            await check_endpoints(bundle, current)
        except BaseException:
            await bundle.aclose(keep=current.models())
            raise
        return bundle

    def _flip(self, bundle: Bundle, space: Space) -> None:
        """Let everything of this process be the new space's, between two steps of the loop."""
        host = self._host
        before = host.space
        space.claim()
        host.space, host.beside = space, before
        host.settings = bundle.settings
        host.serving.flip(bundle)

    def _beside_of(self, held: HeldEmbedder) -> Space | None:
        """Return the space of an embedder that this process keeps in step already."""
        beside = self._host.beside
        if beside is None or beside.embedder.fingerprint != held.fingerprint:
            return None
        return beside

    async def _let_go(self) -> HeldEmbedder | None:
        """Forget the second embedder: in the truth first, then here, then on disk."""
        host = self._host
        held = host.store.end_switch()
        if host.beside is not None:
            await self._closed(host.beside)
        if held is None:
            return None
        mine = self.building
        if not mine:  # another process may still be building it: it stops at its next slice
            await compute(host.workers.shadow, lambda: self._lock.acquire(timeout_s=30.0))
        try:
            owner = host.store.home_embedder()
            if owner is not None and held.place != owner.place:
                await asyncio.to_thread(shutil.rmtree, host.home / held.place, ignore_errors=True)
            pool, drop = host.workers.ingest, host.store.drop_vectors
            while await compute(pool, drop, held.fingerprint, limit=DROPPED_AT_ONCE):
                pass
        finally:
            if not mine:
                self._lock.release()
        return held

    async def _closed(self, space: Space) -> None:
        """Close a space that nothing is kept in step with any more, once nobody is on it."""
        host = self._host
        if host.beside is space:
            host.beside = None
        previous = host.serving.previous_or_none()
        if previous is not None and previous.space is space:
            host.serving.forget_previous()
        await host.serving.drained(space)
        await asyncio.to_thread(space.close)


def embed_at_once(home: Path, store: Store, embedder: Embedder) -> int:
    """Embed every chunk with `embedder`, with nobody asking meanwhile; return how many.

    Raises:
        SetupError: a second embedder stands beside the home's.
    """
    if store.switch() is not None:
        raise SetupError(
            "the home has a second embedder beside its own; run `steelyard embedder cancel` or "
            "`steelyard embedder confirm` first"
        )
    before = store.home_embedder()
    num = embed_again(store, embedder)
    after = store.home_embedder()
    if before is not None and after is not None and before.place != after.place:
        shutil.rmtree(home / before.place, ignore_errors=True)
    return num
