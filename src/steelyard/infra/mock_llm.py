"""An honest small OpenAI-shaped model server, for tests and load generators: no model inside.

It answers `/v1/models` and `/v1/chat/completions` (streamed or whole) at a set pace, and can
fail in every way that real servers do. One callback a token and no task a stream, so that 64
streams keep their pace and leave the processor to what is being measured.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, cast

import httptools

from steelyard.infra import mock_replies as replies
from steelyard.infra.mock_replies import Fault, Script

__all__ = ["Fault", "MockLLM", "MockOptions", "serve_mock_llm"]

# Loops count in milliseconds; the moments are taken from the finer clock, and a timer that
# fires too early is set again.
EARLY_S = 0.0001


@dataclass(frozen=True, slots=True)
class MockOptions:
    """`reply` "" means: quote the first source of the prompt, with its mark.

    The first token leaves `ttft_ms` after the request, each further one 1 / `tokens_per_s` after
    the one before it, and a whole answer when its stream would have ended. `num_tokens` 0: as
    long as the reply is. `failures` limits a fault to the first so many chat requests; 0: all.
    """

    reply: str = ""
    models: tuple[str, ...] = ("mock",)
    ttft_ms: float = 0.0
    tokens_per_s: float = 0.0  # 0: as fast as the socket takes them
    num_tokens: int = 0
    reasoning: str = ""
    fault: Fault = ""
    failures: int = 0
    key: str = ""
    keep_requests: bool = True


@dataclass(slots=True)
class MockLLM:
    """A running server. `requests` holds the bodies of all chat requests so far, in order;
    `open_streams` counts the chat requests being answered now; `dropped` those whose client
    went away before the end."""

    options: MockOptions
    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    num_requests: int = 0
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
    """Run a mock server while the context lasts; `port` 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    mock = MockLLM(options or MockOptions())
    open_now: set[_Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(mock, open_now), host, port, backlog=512)
    mock.port = server.sockets[0].getsockname()[1]
    try:
        yield mock
    finally:
        server.close()
        for connection in list(open_now):
            connection.abort()
        await server.wait_closed()


class _Connection(asyncio.Protocol):
    """One client's connection: parses requests, and writes each answer by its script."""

    def __init__(self, mock: MockLLM, open_now: "set[_Connection]") -> None:
        self._mock = mock
        self._open_now = open_now
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._path = ""
        self._authorization = ""
        self._body: list[bytes] = []
        self._script: Script | None = None
        self._started = 0.0
        self._sent = 0
        self._timer: asyncio.TimerHandle | None = None

    # -- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._open_now.add(self)
        self._mock.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_now.discard(self)
        self._mock.connections -= 1
        if self._script is not None:
            self._mock.dropped += 1
            self._finish()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._send(replies.error(400, "this is not an HTTP/1.1 request"))
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    # -- the request, as the parser tells it

    def on_message_begin(self) -> None:
        self._path, self._authorization, self._body = "", "", []

    def on_url(self, url: bytes) -> None:
        self._path += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"authorization":
            self._authorization = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._script is not None:  # pipelining: no client of ours does it
            self._transport.abort()
            return
        self._answer(self._parser.get_method(), self._path.rstrip("/"))

    def _answer(self, method: bytes, path: str) -> None:
        options = self._mock.options
        if options.fault == "refuse":
            self._transport.close()
        elif options.key and self._authorization.lower() != f"bearer {options.key}".lower():
            self._send(replies.error(401, "Incorrect API key provided: sk-abcdefgh12345678"))
        elif method == b"GET" and path == "/v1/models" and options.fault == "html":
            self._send(replies.response(200, b"<html>not an API</html>", media_type="text/html"))
        elif method == b"GET" and path == "/v1/models":
            models = [{"id": name, "object": "model"} for name in options.models]
            self._send(replies.response(200, replies.as_json({"object": "list", "data": models})))
        elif method == b"POST" and path == "/v1/chat/completions":
            self._chat()
        else:
            self._send(replies.error(404, f"no such path: {path}"))

    def _chat(self) -> None:
        request = _chat_request(b"".join(self._body))
        if request is None:
            self._send(replies.error(400, "send JSON with a list of `messages`"))
            return
        mock = self._mock
        mock.num_requests += 1
        if mock.options.keep_requests:
            mock.requests.append(request)
        failing = not mock.options.failures or mock.num_requests <= mock.options.failures
        fault: Fault = mock.options.fault if failing else ""
        refused = _refusal(fault, request)
        if refused:
            self._send(refused)
        else:
            self._play(_script(mock.options, request, fault))

    # -- the answer

    def _send(self, content: bytes) -> None:
        self._transport.write(content)
        if not self._parser.should_keep_alive():
            self._transport.close()

    def _play(self, script: Script) -> None:
        self._script, self._sent, self._started = script, 0, monotonic()
        self._mock.open_streams += 1
        if script.head:
            self._transport.write(script.head)
        if script.parts:
            self._wait_or_write()

    def _moment(self) -> float:
        assert self._script is not None
        return self._started + self._script.first_s + self._sent * self._script.every_s

    def _wait_or_write(self) -> None:
        """Write every part whose moment has come, and wait for the next one's."""
        self._timer = None
        script = self._script
        assert script is not None
        due: list[bytes] = []
        now = monotonic() + EARLY_S
        while self._sent < len(script.parts) and self._moment() <= now:
            due.append(script.parts[self._sent])
            self._sent += 1
        if due:
            self._transport.write(b"".join(due))
        if self._sent < len(script.parts):
            self._timer = self._loop.call_later(self._moment() - now, self._wait_or_write)
        elif script.ending != "stall":
            self._finish()
            if script.ending == "abort":
                self._transport.abort()
            elif script.ending == "close" or not self._parser.should_keep_alive():
                self._transport.close()

    def _finish(self) -> None:
        self._script = None
        self._mock.open_streams -= 1
        if self._timer is not None:
            self._timer.cancel()


def _chat_request(body: bytes) -> dict[str, Any] | None:
    """Return a chat request's body; None if it is not one."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return None
    messages = request.get("messages") if isinstance(request, dict) else None
    if not isinstance(messages, list) or not messages:
        return None
    return request if all(isinstance(message, dict) for message in messages) else None


def _refusal(fault: Fault, request: dict[str, Any]) -> bytes:
    """Return the whole response of a fault that answers without a model; else nothing."""
    if fault.isdigit():
        extra = {"Retry-After": "7"} if fault == "429" else {}
        return replies.error(int(fault), f"mock fault {fault}", extra=extra)
    if fault == "redirect":
        return replies.response(302, b"", extra={"Location": "https://elsewhere.invalid/"})
    if fault == "html":
        page = b"<!doctype html><title>Welcome</title>"
        return replies.response(200, page, media_type="text/html")
    if fault == "no_stream_options" and "stream_options" in request:
        return replies.error(400, "Unrecognized request argument: stream_options")
    return b""


def _script(options: MockOptions, request: dict[str, Any], fault: Fault) -> Script:
    tokens = replies.tokens_of(request, reply=options.reply, num_tokens=options.num_tokens)
    first_s = options.ttft_ms / 1000
    every_s = 1 / options.tokens_per_s if options.tokens_per_s else 0.0
    if not request.get("stream") or fault == "whole":
        done_s = first_s + every_s * len(tokens)
        return Script(b"", (replies.whole(tokens, request),), done_s, 0.0)
    parts, ending = replies.stream_parts(tokens, request, reasoning=options.reasoning, fault=fault)
    return Script(replies.STREAM_HEAD, parts, first_s, every_s, ending)
