"""An honest small OpenAI-shaped model server, for tests and load generators: no model inside.

It answers `/v1/models` and `/v1/chat/completions` (streamed or whole) at a set pace, and can
fail in every way that real servers do.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

Fault = Literal[
    "",
    "refuse",  # closes each connection before it answers
    "stall",  # sends the headers, then nothing
    "stall_later",  # stalls after the first half of the tokens
    "drop",  # breaks the connection after the first half of the tokens
    "cut",  # ends the stream early but cleanly: no finish_reason, no [DONE]
    "html",
    "nonsense",  # 200 and a stream of things that are not JSON
    "empty",  # finishes without a token
    "error_event",  # an error object inside the stream
    "no_done",  # finish_reason, but no [DONE]
    "no_stream_options",  # rejects the field stream_options
    "whole",  # ignores "stream": true
    "redirect",
    "400",
    "401",
    "404",
    "429",
    "500",
    "502",
    "503",
]

_REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
_SOURCE = re.compile(r"<source n=\"(\d+)\"[^>]*>\n(.*?)\n</source>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MockOptions:
    """`reply` "" means: echo the first sentences of the first source of the prompt, with [1].

    `failures` limits a fault to the first so many chat requests; 0 means all of them.
    """

    reply: str = ""
    models: tuple[str, ...] = ("mock",)
    ttft_ms: float = 0.0
    tokens_per_s: float = 0.0  # 0: as fast as the socket takes them
    reasoning: str = ""
    fault: Fault = ""
    failures: int = 0
    key: str = ""


@dataclass(slots=True)
class MockLLM:
    """A running server. `requests` holds the bodies of all chat requests so far, in order;
    `open_streams` counts the chat requests being answered now; `dropped` those whose client
    went away before the end."""

    options: MockOptions
    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    open_streams: int = 0
    dropped: int = 0
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextlib.asynccontextmanager
async def serve_mock_llm(
    options: MockOptions | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[MockLLM]:
    """Run a mock server while the context lasts; `port` 0 takes a free one."""
    mock = MockLLM(options or MockOptions())
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        mock.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await _answer(mock, reader, writer):
                    pass
        except asyncio.CancelledError:
            pass  # the server closes; a raised cancellation would only be logged as an error
        finally:
            tasks.discard(task)
            mock.connections -= 1
            writer.close()

    server = await asyncio.start_server(connected, host, port)
    mock.port = server.sockets[0].getsockname()[1]
    try:
        yield mock
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _answer(
    mock: MockLLM, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Answer one request; tell whether the connection may carry another."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return False
    verb, path = head.split(" ", 2)[:2]
    length = re.search(r"^content-length:\s*(\d+)", head, re.IGNORECASE | re.MULTILINE)
    body = await reader.readexactly(int(length.group(1))) if length else b""
    if mock.options.fault == "refuse":
        return False
    if mock.options.key and f"bearer {mock.options.key}".lower() not in head.lower():
        return await _send(writer, 401, _error("Incorrect API key provided: sk-abcdefgh12345678"))
    if verb == "GET" and path.rstrip("/") == "/v1/models":
        if mock.options.fault == "html":
            return await _send(writer, 200, b"<html>not an API</html>", media_type="text/html")
        models = [{"id": name, "object": "model"} for name in mock.options.models]
        return await _send(writer, 200, _json({"object": "list", "data": models}))
    if verb == "POST" and path.rstrip("/") == "/v1/chat/completions":
        request = json.loads(body)
        mock.requests.append(request)
        return await _chat(mock, request, reader, writer)
    return await _send(writer, 404, _error(f"no such path: {path}"))


async def _chat(
    mock: MockLLM,
    request: dict[str, Any],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> bool:
    options = mock.options
    fault = options.fault
    if options.failures and len(mock.requests) > options.failures:
        fault = ""
    if fault.isdigit():
        extra = {"Retry-After": "7"} if fault == "429" else {}
        return await _send(writer, int(fault), _error(f"mock fault {fault}"), extra=extra)
    if fault == "redirect":
        return await _send(writer, 302, b"", extra={"Location": "https://elsewhere.invalid/"})
    if fault == "html":
        page = b"<!doctype html><title>Welcome</title>"
        return await _send(writer, 200, page, media_type="text/html")
    if fault == "no_stream_options" and "stream_options" in request:
        return await _send(writer, 400, _error("Unrecognized request argument: stream_options"))
    tokens = _tokens(options.reply or _echo(request["messages"]))
    usage = {"prompt_tokens": _rough_tokens(request), "completion_tokens": len(tokens)}
    if not request.get("stream") or fault == "whole":
        choice = {"message": {"role": "assistant", "content": "".join(tokens)}}
        whole = {"choices": [choice | {"index": 0, "finish_reason": "stop"}], "usage": usage}
        return await _send(writer, 200, _json(whole))
    mock.open_streams += 1
    gone = asyncio.create_task(reader.read(1))  # a client that goes away ends this read
    stream = asyncio.create_task(_stream(mock, request, fault, tokens, usage, writer))
    try:
        await asyncio.wait({gone, stream}, return_when=asyncio.FIRST_COMPLETED)
        if not stream.done():
            mock.dropped += 1
    finally:
        mock.open_streams -= 1
        for task in (gone, stream):
            task.cancel()
        await asyncio.gather(gone, stream, return_exceptions=True)
    return False


async def _stream(
    mock: MockLLM,
    request: dict[str, Any],
    fault: Fault,
    tokens: list[str],
    usage: dict[str, int],
    writer: asyncio.StreamWriter,
) -> None:
    """Write the whole stream, or as much of it as the fault allows."""
    options = mock.options
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    await writer.drain()
    if fault == "stall":
        await asyncio.Event().wait()
    await asyncio.sleep(options.ttft_ms / 1000)
    _begin_events(writer, options, fault)
    if fault in ("nonsense", "error_event"):
        await writer.drain()
        return
    half = fault in ("stall_later", "drop", "cut")
    sent = [] if fault == "empty" else tokens[: max(1, len(tokens) // 2)] if half else tokens
    for token in sent:
        _event(writer, _delta({"content": token}))
        await writer.drain()
        if options.tokens_per_s:
            await asyncio.sleep(1 / options.tokens_per_s)
    if fault == "stall_later":
        await asyncio.Event().wait()
    if fault == "drop":
        writer.transport.abort()
        return
    if fault != "cut":
        _end_events(writer, request, usage, done=fault != "no_done")
    _part(writer, b"")
    await writer.drain()


def _begin_events(writer: asyncio.StreamWriter, options: MockOptions, fault: Fault) -> None:
    _part(writer, b": keep-alive\r\n\r\n")
    _event(writer, _delta({"role": "assistant", "content": ""}))
    for word in _tokens(options.reasoning):
        _event(writer, _delta({"reasoning_content": word}))
    if fault == "nonsense":
        _part(writer, b"data: {this is not json\n\n")
    if fault == "error_event":
        _event(writer, {"error": {"message": "the model ran out of memory", "code": 500}})


def _end_events(
    writer: asyncio.StreamWriter, request: dict[str, Any], usage: dict[str, int], *, done: bool
) -> None:
    _event(writer, _delta({}, finish="stop"))
    if request.get("stream_options", {}).get("include_usage"):
        _event(writer, {"choices": [], "usage": usage})
    if done:
        _part(writer, b"data: [DONE]\n\n")


def _delta(delta: dict[str, str], *, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _event(writer: asyncio.StreamWriter, content: dict[str, Any]) -> None:
    _part(writer, b"data: " + _json(content) + b"\n\n")


def _part(writer: asyncio.StreamWriter, content: bytes) -> None:
    """Write one chunk of a chunked body; an empty one ends it."""
    writer.write(b"%x\r\n%b\r\n" % (len(content), content))


async def _send(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes,
    *,
    media_type: str = "application/json",
    extra: dict[str, str] | None = None,
) -> bool:
    head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: {media_type}\r\n"
    for name, value in (extra or {}).items():
        head += f"{name}: {value}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body)
    await writer.drain()
    return True


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def _error(message: str) -> bytes:
    return _json({"error": {"message": message, "type": "mock"}})


def _tokens(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


def _rough_tokens(request: dict[str, Any]) -> int:
    return sum(len(message["content"]) for message in request["messages"]) // 4


def _echo(messages: list[dict[str, str]]) -> str:
    """Return the start of the first source in the prompt, cited."""
    found = _SOURCE.search(messages[-1]["content"])
    if found is None:
        return "The documents don't tell."
    text = " ".join(found.group(2).split())
    first = re.match(r".{20,}?[.!?](?=\s|$)", text)
    return f"{first.group() if first else text[:200]} [{found.group(1)}]"
