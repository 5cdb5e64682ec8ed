"""A server that answers as it is told, request by request."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from steelyard.infra.concurrent import LoopThread
from steelyard.infra.mock_llm import MockLLM, MockOptions, serve_mock_llm

Answer = Callable[[int], bytes]  # the number of the request, from 0 -> the whole response


@dataclass(slots=True)
class Told:
    port: int = 0
    bodies: list[dict[str, object]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0


@contextlib.asynccontextmanager
async def serve_told(answer: Answer) -> AsyncIterator[Told]:
    """An empty answer breaks the connection off; `b"hang"` never answers."""
    told = Told()
    open_now: set[asyncio.StreamWriter] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.connections += 1
        open_now.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                assert length is not None
                body = json.loads(await reader.readexactly(int(length.group(1))))
                told.heads.append(head)
                told.bodies.append(body)
                response = answer(len(told.bodies) - 1)
                if response == b"hang":
                    continue
                writer.write(response)
                if not response:
                    break
        writer.close()
        open_now.discard(writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    told.port = server.sockets[0].getsockname()[1]
    try:
        yield told
    finally:
        server.close()
        for writer in list(open_now):
            writer.close()
        await asyncio.sleep(0)


def http(status: int, body: object, **headers: str) -> bytes:
    content = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def events(*pairs: tuple[str, object]) -> bytes:
    """A chunked event stream, each event in a chunk of its own."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunks = b""
    for name, data in pairs:
        event = f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
        chunks += b"%x\r\n%b\r\n" % (len(event), event)
    return head + chunks + b"0\r\n\r\n"


@pytest.fixture
def mock_llm():
    """Start a model server on a loopback port; keyword arguments are `MockOptions`."""
    loop = LoopThread()
    running = []

    def start(**options: object) -> MockLLM:
        server = serve_mock_llm(MockOptions(**options))
        running.append(server)
        return loop.run(server.__aenter__())

    yield start
    for server in running:
        loop.run(server.__aexit__(None, None, None))
    loop.close()
