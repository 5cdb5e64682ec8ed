"""Following the registry: what is promoted, here or by another process, comes to serve.

Load in shadow, at low priority; check; flip one reference. Whatever fails on the way leaves what
served before, and is told in the log, by `/readyz` and on Operations.
"""

import asyncio
import logging
from dataclasses import dataclass, replace
from time import perf_counter, time
from typing import Protocol

from steelyard.ahead import RERANKER, build_ahead
from steelyard.bundle import Bundle
from steelyard.core.errors import Overloaded, SetupError, SteelyardError
from steelyard.embed import EmbedOptions
from steelyard.infra.concurrent import compute
from steelyard.probes import check_endpoints, check_models
from steelyard.serving import alike
from steelyard.settings import Settings
from steelyard.switching import EmbedderSwitch, Switchable

log = logging.getLogger(__name__)

POLL_S = 0.1
RETRY_S = 1.0  # for the lock of a process that builds
# Options that belong to the process or to the home, not to one way to answer.
FIXED_GROUPS = ("serve", "cache", "parse", "chunk", "index")


class Host(Switchable, Protocol):
    """What promotions need of an app."""

    def wanted(self) -> Settings:
        """Return what the settings and the registry say now; raises SetupError."""
        ...


@dataclass(frozen=True, slots=True)
class Swap:
    """One change of what serves: how long loading and checking took, and the flip itself.

    `warm`: it was the bundle before, and nothing was loaded.
    """

    at: float
    before: str
    after: str
    load_ms: float
    flip_ms: float
    warm: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why what the registry says at `seq` does not serve."""

    at: float
    seq: int
    code: str
    reason: str


class Promotions:
    """Brings what the registry says to serve; used from the event loop's thread."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = asyncio.Lock()
        self._seen: tuple[object, ...] = ()
        self._building: asyncio.Task[None] | None = None
        self._aim: EmbedOptions | None = None  # of what is being built, or failed
        self.switch = EmbedderSwitch(host)
        self.last: Swap | None = None
        self.refusal: Refusal | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        store, version = self._host.store, -1
        keeping = asyncio.create_task(self.switch.keep())
        try:
            while True:
                try:
                    now = store.data_version()
                    if now != version:
                        await self.look()
                        version = now
                except SteelyardError as error:
                    log.warning("registry_not_read reason=%s", error)
                await asyncio.sleep(POLL_S)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._stop_building()

    async def look(self) -> Swap | None:
        """Serve what the registry says now; None if that is what serves, or must not."""
        async with self._lock:
            state = await compute(self._host.workers.query, self._state)
            if state == self._seen:
                return None
            seq = self._host.store.registry_seq()
            self._seen = state
            try:
                await self.switch.follow()
                settings = await compute(self._host.workers.query, self._host.wanted)
                swap = await self._swap(replace(settings, embed=self._host.space.settings.embed))
                await self._aim_at(settings)
            except SteelyardError as error:
                self._refused(seq, error.code, str(error))
                return None
            except Exception as error:  # whatever is wrong with it, the old one serves
                log.exception("promotion_failed")
                self._refused(seq, "internal", f"{type(error).__name__}: {error}")
                return None
            self.refusal = None
            return swap

    async def swap(self, settings: Settings) -> Swap | None:
        """Let the bundle of `settings` answer; None if it does already.

        Raises:
            SetupError, UpstreamError: it cannot serve; what served before does.
        """
        async with self._lock:
            return await self._swap(settings)

    async def _swap(self, settings: Settings) -> Swap | None:
        host, serving = self._host, self._host.serving
        current = serving.champion
        _check_fixed(settings, host.settings)
        if alike(settings, current.settings) and host.space is current.space:
            return None
        started = perf_counter()
        bundle = serving.warm(settings, host.space)
        warm = bundle is not None
        if bundle is None:
            bundle = Bundle(host, settings, host.space, like=current)
            await self._made_ready(bundle, current)
        flipping = perf_counter()
        serving.flip(bundle)
        host.settings = settings
        self.last = Swap(
            at=time(),
            before=current.name,
            after=bundle.name,
            load_ms=round((flipping - started) * 1000, 3),
            flip_ms=round((perf_counter() - flipping) * 1000, 3),
            warm=warm,
        )
        log.warning(
            "promoted before=%s after=%s load_ms=%s flip_ms=%s",
            current.name, bundle.name, self.last.load_ms, self.last.flip_ms,
        )  # fmt: skip
        return self.last

    async def _made_ready(self, bundle: Bundle, current: Bundle) -> None:
        """Load and check a bundle beside the current one; closed again if it must not serve."""
        try:
            shadow = self._host.workers.shadow
            if bundle.settings.rerank != current.settings.rerank:
                await build_ahead(RERANKER, bundle.settings)
            await compute(shadow, bundle.warm_up)
            await compute(shadow, check_models, bundle, current, self._host.home)
            await check_endpoints(bundle, current)
        except BaseException:
            await bundle.aclose(keep=current.models())
            raise

    def _state(self) -> tuple[object, ...]:
        """Return what must have changed if there is anything to do."""
        store = self._host.store
        held, switch = store.home_embedder(), store.switch()
        fingerprint = None if held is None else held.fingerprint
        other = None if switch is None else (switch.other, switch.flipped)
        return store.registry_seq(), fingerprint, other

    async def _aim_at(self, settings: Settings) -> None:
        """Have the embedder that is wanted built beside the one that serves, if they differ."""
        host, task = self._host, self._building
        if task is not None and task.done():
            self._building = task = None
        if settings.embed == host.space.settings.embed:
            await self._stop_building()
            self._aim = None
            return
        if settings.embed == self._aim and (task is not None or host.store.switch() is None):
            return  # under way; or cancelled, or failed
        if not host.spaces.may_switch(settings):
            raise SetupError(
                "embed.* differ from those that the home's vectors were made with; run "
                "`steelyard embedder switch`",
                code="other_embedder",
            )
        await self._stop_building()
        self._aim = settings.embed
        self._building = asyncio.create_task(self._build(settings))

    async def _build(self, settings: Settings) -> None:
        """Build until it is done, waiting for another process that is at it."""
        seq = self._host.store.registry_seq()
        while True:
            try:
                await self.switch.build(settings)
            except Overloaded as error:
                if error.code == "locked":  # what it flips is followed
                    await asyncio.sleep(RETRY_S)
                    continue
                self._refused(seq, error.code, str(error))
            except SteelyardError as error:
                self._refused(seq, error.code, str(error))
            except Exception as error:  # whatever is wrong with it, the old one serves
                log.exception("embedder_not_switched")
                self._refused(seq, "internal", f"{type(error).__name__}: {error}")
            else:
                self.refusal = None
            return

    async def _stop_building(self) -> None:
        if self._building is not None:
            self._building.cancel()
            await asyncio.gather(self._building, return_exceptions=True)
            self._building = None

    def _refused(self, seq: int, code: str, reason: str) -> None:
        self.refusal = Refusal(time(), seq, code, reason)
        log.error("promotion_refused seq=%d code=%s reason=%s", seq, code, reason)


def _check_fixed(settings: Settings, now: Settings) -> None:
    """Raise SetupError for options that a running server cannot change."""
    for group in FIXED_GROUPS:
        if getattr(settings, group) != getattr(now, group):
            raise SetupError(
                f"options of {group!r} differ from those that the server was started with; "
                "stop it, and start it again with `steelyard serve`"
            )
