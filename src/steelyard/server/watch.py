"""What surrounds every request: security headers, request counts, and the loop's lag."""

import asyncio
from time import perf_counter, time_ns

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from steelyard.server.metrics import Metrics

LAG_PERIOD_S = 0.5
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


# What answers people, and what admission is about.
QUESTION_PATHS = frozenset(
    {"/v1/query", "/v1/search", "/v1/chat/completions", "/v1/embeddings", "/v1/rerank"}
)


class Observed:
    """Counts responses by route and status, and sends the security headers.

    Of questions, it counts those in flight, from the first byte to the last of a stream, and
    those that were turned away (429); a request that was wrong in itself is neither.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        question = scope["path"] in QUESTION_PATHS
        scope.setdefault("state", {})["started_ns"] = time_ns()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)  # a report has a stricter policy of its own
                route = scope.get("route")
                path = getattr(route, "path", "other")
                self._metrics.request(path, message["status"])
                if question:
                    self._admission(message["status"])
            await send(message)

        if not question:
            await self._app(scope, receive, watched)
            return
        self._count(1)
        try:
            await self._app(scope, receive, watched)
        finally:
            self._count(-1)

    def _admission(self, status: int) -> None:
        if status == 429:
            self._metrics.rejected()
        elif status < 400 or status >= 500:
            self._metrics.admitted()

    def _count(self, change: int) -> None:
        self._in_flight += change
        self._metrics.in_flight(self._in_flight)


async def watch_loop_lag(metrics: Metrics) -> None:
    """Measure how late the event loop wakes up: computing on the loop shows here."""
    while True:
        started = perf_counter()
        await asyncio.sleep(LAG_PERIOD_S)
        metrics.loop_lag(max(perf_counter() - started - LAG_PERIOD_S, 0.0))
