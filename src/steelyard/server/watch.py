"""What surrounds every request: security headers, request counts, and the loop's lag."""

import asyncio
from time import perf_counter

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


class Observed:
    """Counts responses by route and status, and sends the security headers."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                route = scope.get("route")
                path = getattr(route, "path", "other")
                self._metrics.request(path, message["status"])
            await send(message)

        await self._app(scope, receive, watched)


async def watch_loop_lag(metrics: Metrics) -> None:
    """Measure how late the event loop wakes up: computing on the loop shows here."""
    while True:
        started = perf_counter()
        await asyncio.sleep(LAG_PERIOD_S)
        metrics.loop_lag(max(perf_counter() - started - LAG_PERIOD_S, 0.0))
