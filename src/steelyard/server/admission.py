"""Permits at the door: beyond capacity a request is turned away at once, not queued for ever.

Two numbers bound the work: requests that still compute (search, rerank, an answer quoted from
the documents), and requests that are open at all (most of these wait for a language model).
Computing ones queue for the worker threads in the order of arrival, so that the first bound is
the length of that queue too.
"""

from dataclasses import dataclass
from time import perf_counter

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from steelyard.core.errors import Overloaded
from steelyard.server.errors import on_steelyard_error

GUARDED = frozenset(
    {"/v1/query", "/v1/search", "/v1/chat/completions", "/v1/embeddings", "/v1/rerank"}
)
_PERMIT = "steelyard.permit"
_LEARNING = 0.05
_LEAST_RETRY_S = 1.0


@dataclass(slots=True)
class Load:
    """What is inside now, and what came since the start; `computing_s` is a moving mean."""

    computing: int = 0
    open: int = 0
    admitted: int = 0
    rejected: int = 0
    computing_s: float = 0.0


class Permit:
    """One admitted request. It gives back its computing place once, its own at the end."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._computes = True
        self.arrived = perf_counter()
        load.admitted += 1
        load.computing += 1
        load.open += 1

    def waits(self) -> None:
        """Say that from here on only others compute (a language model, a slow client)."""
        if self._computes:
            self._computes = False
            self._load.computing -= 1
            took_s = perf_counter() - self.arrived
            self._load.computing_s += _LEARNING * (took_s - self._load.computing_s)

    def end(self) -> None:
        self.waits()
        self._load.open -= 1


class Admission:
    def __init__(self, app: ASGIApp, *, load: Load, max_computing: int, max_open: int) -> None:
        self._app = app
        self._load = load
        self._max_computing = max_computing
        self._max_open = max_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in GUARDED:
            await self._app(scope, receive, send)
            return
        load = self._load
        if load.computing >= self._max_computing or load.open >= self._max_open:
            load.rejected += 1
            response = await on_steelyard_error(Request(scope), self._refusal())
            await response(scope, receive, send)
            return
        permit = scope[_PERMIT] = Permit(load)
        try:
            await self._app(scope, receive, send)
        finally:
            permit.end()

    def _refusal(self) -> Overloaded:
        """Ask to come back when what is inside now should be done."""
        return Overloaded(
            f"{self._load.computing} questions are being worked on and {self._load.open} are "
            "open, which is all this server takes at once; try again shortly",
            retry_after_s=max(_LEAST_RETRY_S, self._load.computing_s),
        )


def permit(request: Request) -> Permit | None:
    """Return the permit of a guarded route's request; None elsewhere."""
    found: Permit | None = request.scope.get(_PERMIT)
    return found
