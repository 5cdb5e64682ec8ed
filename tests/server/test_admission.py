"""Permits: a request beyond capacity is turned away at once, and no permit is ever lost."""

import asyncio
from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message

from steelyard.server.admission import Admission, Load, permit


class Caller:
    """Sends one request to an ASGI application and keeps what comes back."""

    def __init__(self, app: Admission, path: str = "/v1/search") -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._left = asyncio.Event()
        self._scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [],
            "http_version": "1.1",
            "scheme": "http",
        }
        self.task = asyncio.create_task(app(self._scope, self._receive, self._send))

    def leave(self) -> None:
        self._left.set()

    async def _receive(self) -> Message:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}


def guarded(
    handler: Callable[[Request], object], *, max_computing: int = 2, max_open: int = 4
) -> tuple[Admission, Load]:
    async def route(request: Request) -> Response:
        return await handler(request)  # type: ignore[misc,no-any-return]

    app = Starlette(routes=[Route("/v1/search", route), Route("/healthz", route)])
    load = Load()
    return Admission(app, load=load, max_computing=max_computing, max_open=max_open), load


async def turn() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_what_is_beyond_the_permits_is_refused_at_once_with_a_time_to_return() -> None:
    async def play() -> None:
        gate = asyncio.Event()

        async def handler(request: Request) -> Response:
            await gate.wait()
            return PlainTextResponse("done")

        app, load = guarded(handler)
        inside = [Caller(app), Caller(app)]
        await turn()
        refused = Caller(app)
        await refused.task
        assert refused.status == 429
        assert int(refused.headers["retry-after"]) >= 1
        free = Caller(app, "/healthz")  # a door that computes nothing stays open
        await turn()
        gate.set()
        await asyncio.gather(*(caller.task for caller in inside), free.task)
        assert [caller.status for caller in [*inside, free]] == [200, 200, 200]
        assert (load.computing, load.open, load.admitted, load.rejected) == (0, 0, 2, 1)
        again = Caller(app)
        await again.task
        assert again.status == 200

    asyncio.run(play())


def test_who_waits_for_a_language_model_makes_room_for_others_up_to_the_second_bound() -> None:
    async def play() -> None:
        gate = asyncio.Event()

        async def handler(request: Request) -> Response:
            held = permit(request)
            assert held is not None
            held.waits()
            held.waits()  # once only
            await gate.wait()
            return PlainTextResponse("done")

        app, load = guarded(handler)
        inside = [Caller(app) for _ in range(4)]
        await turn()
        assert (load.computing, load.open) == (0, 4)
        refused = Caller(app)
        await refused.task
        assert refused.status == 429
        gate.set()
        await asyncio.gather(*(caller.task for caller in inside))
        assert (load.computing, load.open) == (0, 0)

    asyncio.run(play())


@pytest.mark.parametrize("how", ["raises", "cancelled", "client leaves its stream"])
def test_no_end_of_a_request_loses_a_permit(how: str) -> None:
    async def play() -> None:
        begun = asyncio.Event()

        async def handler(request: Request) -> Response:
            if how == "raises":
                raise ValueError("a bug")

            async def body():
                begun.set()
                while True:
                    yield b"x"
                    await asyncio.sleep(0.001)

            return StreamingResponse(body())

        app, load = guarded(handler)
        caller = Caller(app)
        if how != "raises":
            await begun.wait()
            assert load.open == 1
            if how == "cancelled":
                caller.task.cancel()
            else:
                caller.leave()
        await asyncio.gather(caller.task, return_exceptions=True)
        assert (load.computing, load.open) == (0, 0)

    asyncio.run(play())
