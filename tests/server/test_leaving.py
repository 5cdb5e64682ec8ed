"""Clients that leave, behind the real server: nothing of theirs stays."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvicorn

from steelyard.app import open_app
from steelyard.flows.library import NewText
from steelyard.infra.mock_llm import MockOptions, serve_mock_llm
from steelyard.server import build, running

TEXT = "The ferry to Skelholm leaves at nine. " * 4


@asynccontextmanager
async def served(home: Path, **llm: object) -> AsyncIterator[SimpleNamespace]:
    """A home with one page and a model server that streams slowly, on a loopback port."""
    async with serve_mock_llm(MockOptions(**llm)) as mock:
        flags = {"embed.model": "hashing", "llm.url": mock.url, "llm.model": "mock"}
        app = open_app(home, flags=flags)
        try:
            asgi = build(app)
            config = uvicorn.Config(asgi, log_config=None, access_log=False, lifespan="off")
            server = uvicorn.Server(config)
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", 0))
                async with running(asgi):
                    receipt = await app.library.put_text(NewText(id="ferry", text=TEXT))
                    await app.library.settled(receipt.tickets)
                    serving = asyncio.create_task(server._serve(sockets=[sock]))
                    await comes_true(lambda: server.started)
                    port = sock.getsockname()[1]
                    load = asgi.state.live.load
                    yield SimpleNamespace(port=port, mock=mock, load=load, app=app)
                    server.should_exit = True
                    await serving
        finally:
            app.close()


async def ask(port: int, until: bytes) -> asyncio.StreamWriter:
    """Open a stream and return its connection as soon as `until` has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"query": "When does the ferry leave?", "stream": True}).encode()
    head = f"POST /v1/query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
    writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
    async with asyncio.timeout(20):
        await reader.readuntil(until)
    return writer


async def comes_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - other machines' state, nothing to await
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("moment", "pace"),
    [
        (b"event: token", {"tokens_per_s": 20.0, "num_tokens": 400}),
        (b"event: sources", {"fault": "stall"}),
    ],
    ids=["between tokens", "before the first token"],
)
def test_a_client_that_leaves_gives_back_permit_task_and_model_connection(
    tmp_path: Path, moment: bytes, pace: dict[str, object]
) -> None:
    async def play() -> None:
        async with served(tmp_path, **pace) as here:
            before = asyncio.all_tasks()
            writers = [await ask(here.port, moment) for _ in range(5)]
            await comes_true(lambda: here.mock.open_streams == 5)
            assert (here.load.open, here.load.computing) == (5, 0)
            for writer in writers:
                writer.transport.abort()
            await comes_true(lambda: here.load.open == 0)
            await comes_true(lambda: here.mock.open_streams == 0)
            await comes_true(lambda: not (asyncio.all_tasks() - before))
            assert here.app.cached.cache.stats().entries == 0  # half an answer is none

    asyncio.run(play())
