"""One kept-alive HTTP/1.1 connection, as cheap as Python allows: the server is what is measured.

Understands JSON answers and two dialects of event streams: ours (`token`, `done`, `error`) and
OpenAI's (`choices[0].delta.content`).
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

from steelyard.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go: `path` begins with a slash; `headers` go with each of them."""

    host: str
    port: int
    path: str
    tls: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Reply:
    """One response. `first_at` and `ended_at` are `perf_counter` times; `last` is the JSON
    body, or the payload of a stream's `done` event; `code` names an error event; `finished` says
    that a stream ended with its last word and was not cut."""

    status: int = 0
    retry_after_s: float | None = None
    first_at: float | None = None
    ended_at: float = 0.0
    num_tokens: int = 0
    code: str = ""
    last: bytes = b""
    streamed: bool = False
    finished: bool = False


def target_of(url: str, path: str, *, headers: Mapping[str, str] | None = None) -> Target:
    """Return the target of `path` below a server's URL.

    Raises:
        InputError: not an http(s) URL with a host.
    """
    try:
        parts = urlsplit(url if "://" in url else "http://" + url)
        port = parts.port
    except ValueError as error:
        raise InputError(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise InputError(f"{url!r} is not a server's URL, such as http://127.0.0.1:8080")
    tls = parts.scheme == "https"
    base = parts.path.rstrip("/")
    return Target(parts.hostname, port or (443 if tls else 80), base + path, tls, headers or {})


def request_bytes(target: Target, body: object) -> bytes:
    """Return a whole POST of `body` as JSON."""
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    host = f"[{target.host}]" if ":" in target.host else target.host
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {host}:{target.port}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in target.headers.items()),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


async def connect(target: Target) -> "Connection":
    """Raises OSError where nobody listens."""
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context() if target.tls else None
    _, connection = await loop.create_connection(Connection, target.host, target.port, ssl=context)
    return connection


class Connection(asyncio.Protocol):
    """Asks one request at a time; broken, it stays broken: see `usable`."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._reply = Reply()
        self._waiting: asyncio.Future[Reply] | None = None
        self._parts: list[bytes] = []
        self._rest = b""
        self._read_at = 0.0
        self.usable = False

    async def ask(self, request: bytes) -> Reply:
        """Return the whole response.

        Raises:
            ConnectionError: the server broke it off, or does not speak HTTP.
        """
        if not self.usable:
            raise ConnectionResetError("the connection is closed")
        self._reply, self._parts, self._rest = Reply(), [], b""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiting
        except BaseException:  # cancelled half-way: what still comes belongs to nobody
            self.abort()
            raise
        finally:
            self._waiting = None

    def abort(self) -> None:
        self.usable = False
        self._transport.abort()

    # -- the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.usable = True

    def data_received(self, data: bytes) -> None:
        self._read_at = perf_counter()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionError(f"no HTTP response: {error}"))
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._fail(ConnectionResetError("the server broke off the connection"))

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)

    # -- the response, as the parser tells it

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"content-type":
            self._reply.streamed = value.startswith(b"text/event-stream")
        elif lower == b"retry-after" and value.isdigit():
            self._reply.retry_after_s = float(value)

    def on_body(self, body: bytes) -> None:
        if not self._reply.streamed:
            self._parts.append(body)
            return
        *events, self._rest = (self._rest + body.replace(b"\r", b"")).split(b"\n\n")
        for event in events:
            _note_event(self._reply, event, self._read_at)

    def on_message_complete(self) -> None:
        reply = self._reply
        reply.status = self._parser.get_status_code()
        if reply.status < 200:  # 100 Continue and its like: the answer is yet to come
            return
        reply.ended_at = self._read_at
        if not reply.streamed:
            reply.last = b"".join(self._parts)
        if not self._parser.should_keep_alive():
            self.usable = False
            self._transport.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(reply)


def _note_event(reply: Reply, event: bytes, at: float) -> None:
    name, data = b"", b""
    for line in event.split(b"\n"):
        if line.startswith(b"data:"):
            data += line[5:].strip()
        elif line.startswith(b"event:"):
            name = line[6:].strip()
    if name == b"done":
        reply.last, reply.finished = data, True
    elif data == b"[DONE]":
        reply.finished = True
    elif name == b"error" or (not name and data.startswith(b'{"error"')):
        reply.code = _error_code(data)
    elif name in (b"", b"token") and data:
        reply.num_tokens += 1
        if reply.first_at is None and _is_visible(data):
            reply.first_at = at


def _is_visible(data: bytes) -> bool:
    """Tell whether a token event shows a reader anything: white space does not."""
    event = _json(data)
    text = event.get("text")
    choices = event.get("choices")
    if text is None and isinstance(choices, list) and choices:
        text = (choices[0].get("delta") or {}).get("content")
    return isinstance(text, str) and bool(text.strip())


def _error_code(data: bytes) -> str:
    event = _json(data)
    inner = event.get("error")
    found = inner if isinstance(inner, dict) else event
    return str(found.get("code") or "error")


def _json(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
