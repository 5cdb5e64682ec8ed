"""Clients that ask: a closed loop, or an open one at a rate, over kept-alive connections."""

import asyncio
import base64
import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from steelyard.loadtest.samples import REJECTED, UNFINISHED, Sample
from steelyard.loadtest.wire import Connection, Reply, Target, connect

GRACE_S = 5.0  # for requests that run when the time is up
MAX_BACKOFF_S = 1.0  # a refused client of a closed loop waits as told, at most so long
PAUSE_S = 0.05  # after a broken connection, so that a dead server is not hammered
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Load:
    """What one process sends. `order` has the questions' numbers, asked one after the other.

    `rate` 0 is a closed loop: each of `num_clients` asks as soon as it was answered. Else
    request n is due n / `rate` seconds after the start, and its time counts from then, sent or
    not: a server that stalls cannot hide the requests that it kept waiting.
    """

    target: Target
    requests: Sequence[bytes]
    order: Sequence[int]
    num_clients: int
    seconds: float
    rate: float = 0.0
    timeout_s: float = 60.0


def load_row(load: Load) -> dict[str, Any]:
    """Return the load as JSON takes it, for a process to read."""
    target = load.target
    return {
        "target": [target.host, target.port, target.path, target.tls, dict(target.headers)],
        "requests": [base64.b64encode(request).decode("ascii") for request in load.requests],
        "order": list(load.order),
        "num_clients": load.num_clients,
        "seconds": load.seconds,
        "rate": load.rate,
        "timeout_s": load.timeout_s,
    }


def load_from_row(row: dict[str, Any]) -> Load:
    requests = [base64.b64decode(request) for request in row["requests"]]
    return Load(**row | {"target": Target(*row["target"]), "requests": requests})


@dataclass(frozen=True, slots=True)
class Driven:
    samples: tuple[Sample, ...]
    took_s: float


class Drive:
    """One load on its way. `open` connects, `run` asks, `stop` ends it early."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._idle: list[Connection] = []
        self._samples: list[Sample] = []
        self._stopping = asyncio.Event()
        self._stopped_at = 0.0

    async def open(self) -> None:
        """Connect every client; one that cannot is told by its first request."""
        tries = (connect(self._load.target) for _ in range(self._load.num_clients))
        made = await asyncio.gather(*tries, return_exceptions=True)
        self._idle = [one for one in made if isinstance(one, Connection)]

    async def run(self) -> Driven:
        """Ask until the order or the time is used up, or `stop` is called."""
        started = perf_counter()
        turns = iter(enumerate(self._load.order))
        timer = asyncio.get_running_loop().call_later(self._load.seconds, self.stop)
        stopped: asyncio.Task[Any] = asyncio.create_task(self._stopping.wait())
        clients = [
            asyncio.create_task(self._client(turns, started)) for _ in range(self._load.num_clients)
        ]
        everyone: asyncio.Task[Any] = asyncio.create_task(asyncio.wait(clients))
        try:
            await asyncio.wait([everyone, stopped], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait([everyone], timeout=GRACE_S)
        finally:
            timer.cancel()
            for task in (stopped, everyone, *clients):
                task.cancel()
            ended = await asyncio.gather(*clients, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):
                raise result
        self._count_unsent(turns, started)
        return Driven(tuple(self._samples), perf_counter() - started)

    def stop(self) -> None:
        """Send nothing more; what runs has `GRACE_S` to end. May be called at any time."""
        if not self._stopping.is_set():
            self._stopped_at = perf_counter()
            self._stopping.set()

    async def _client(self, turns: Iterator[tuple[int, int]], started: float) -> None:
        connection = self._idle.pop() if self._idle else None
        try:
            for turn, question in turns:
                begun = await self._due(turn, started)
                if self._stopping.is_set():
                    self._unsent(question, begun)
                    return
                connection, reply = await self._ask(connection, question, begun)
                if reply is not None and reply.status == 429 and not self._load.rate:
                    await self._pause(min(reply.retry_after_s or 0.0, MAX_BACKOFF_S))
                elif reply is None:
                    await self._pause(PAUSE_S)
        finally:
            if connection is not None:
                connection.abort()

    async def _due(self, turn: int, started: float) -> float:
        """Wait for the turn's moment; return the time that its request counts from."""
        if not self._load.rate:
            return perf_counter()
        due = started + turn / self._load.rate
        await self._pause(due - perf_counter())
        return due

    async def _pause(self, seconds: float) -> None:
        if seconds > 0 and not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()

    async def _ask(
        self, connection: Connection | None, question: int, begun: float
    ) -> tuple[Connection | None, Reply | None]:
        """Ask one question and note how it went; None: no response, or no connection."""
        code = UNFINISHED
        try:
            async with asyncio.timeout(self._load.timeout_s):
                if connection is None or not connection.usable:
                    connection = None
                    connection = await connect(self._load.target)
                reply = await connection.ask(self._load.requests[question])
                code = ""
        except TimeoutError:
            code = "timeout"
        except OSError:
            code = "connection"
        finally:  # also when cancelled, the time being up
            if code:
                took_ms = (perf_counter() - begun) * 1000
                self._samples.append(Sample(question, round(took_ms, 3), code=code))
        if code:
            return None, None
        self._samples.append(_sample(question, reply, begun))
        return connection, reply

    def _unsent(self, question: int, begun: float) -> None:
        """Note a request of an open loop that was due before the end and could not be sent."""
        if self._load.rate and begun <= self._stopped_at:
            took_ms = round((perf_counter() - begun) * 1000, 3)
            self._samples.append(Sample(question, took_ms, code=UNFINISHED))

    def _count_unsent(self, turns: Iterator[tuple[int, int]], started: float) -> None:
        if not self._load.rate or not self._stopping.is_set():
            return
        for turn, question in turns:
            due = started + turn / self._load.rate
            if due > self._stopped_at:
                return
            self._unsent(question, due)


def _sample(question: int, reply: Reply, begun: float) -> Sample:
    total_ms = round((reply.ended_at - begun) * 1000, 3)
    code = _code(reply)
    if code:
        return Sample(question, total_ms, code=code)
    first_ms = None if reply.first_at is None else round((reply.first_at - begun) * 1000, 3)
    timings, cache, degraded = (
        _said(reply.last, name) for name in (b"timings_ms", b"cache", b"degraded")
    )
    return Sample(
        question,
        total_ms,
        first_ms,
        timings_ms=timings if isinstance(timings, dict) else {},
        cache=cache if isinstance(cache, str) else "",
        degraded=tuple(map(str, degraded)) if isinstance(degraded, list) else (),
    )


def _code(reply: Reply) -> str:
    if reply.status == 429:
        return REJECTED
    if reply.status != 200:
        return f"http_{reply.status}"
    return reply.code or ("cut" if reply.streamed and not reply.finished else "")


def _said(body: bytes, name: bytes) -> Any:
    """Return the last value of that name in a JSON body; None if there is none.

    A whole answer is 20 KB and its numbers 300 bytes: parsing the rest would cost the server
    processor time. A name inside a string has its quotes escaped, so it is not taken for one.
    """
    at = body.rfind(b'"' + name + b'":')
    if at < 0:
        return None
    text = body[at + len(name) + 3 :][:4096].decode("utf-8", "ignore").lstrip()
    try:
        return _DECODER.raw_decode(text)[0]
    except ValueError:
        return None
