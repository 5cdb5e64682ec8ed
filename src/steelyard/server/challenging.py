"""A live comparison over promotions: a new champion begins a new comparison."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from steelyard.app import App
from steelyard.arms.challenger import Challenger, begun
from steelyard.bundle import Bundle
from steelyard.core.errors import SteelyardError
from steelyard.flows.sides import Challenge, Sides
from steelyard.infra.concurrent import compute

log = logging.getLogger(__name__)


class Challenging:
    """Keeps the challenger beside whatever is champion."""

    def __init__(self, app: App, sides: Sides, challenger: Challenger) -> None:
        self._app = app
        self._sides = sides
        self._first = challenger
        self._bundle = challenger.bundle
        self._renewing: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Show the challenger to its users while the context lasts.

        Raises:
            SetupError: it cannot be loaded, or is the champion under another name.
        """
        self._sides.begin(await begun(self._app, self._first))
        self._app.serving.listen(self._flipped)
        try:
            yield
        finally:
            if self._renewing is not None:
                self._renewing.cancel()
                await asyncio.gather(self._renewing, return_exceptions=True)
            await self._bundle.aclose()

    def _flipped(self, before: Bundle, after: Bundle) -> None:
        """Let everybody have the new champion until the comparison with it has begun."""
        self._sides.pause(None)
        former = self._renewing
        self._renewing = asyncio.get_running_loop().create_task(self._renew(former))

    async def _renew(self, former: "asyncio.Task[None] | None") -> None:
        if former is not None:
            await asyncio.gather(former, return_exceptions=True)
        first, bundle = self._first, self._bundle
        try:
            if bundle.space is not self._app.champion.space:
                bundle = await compute(self._app.workers.shadow, self._anew)
            again = Challenger(first.name, first.share, first.options, bundle)
            experiment = await begun(self._app, again)
        except SteelyardError as error:  # it is the champion now, or does not fit the new one
            log.warning("comparison_ended challenger=%s reason=%s", first.name, error)
            return
        self._bundle = bundle
        self._sides.pause(Challenge(first.name, first.share, bundle))
        self._sides.begin(experiment)

    def _anew(self) -> Bundle:
        made = self._app.variant(self._first.options, live=True)
        made.warm_up()
        return made
