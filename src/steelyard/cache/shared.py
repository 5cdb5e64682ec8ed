"""Replicas tell each other their answers through Redis or Valkey, behind every question's back.

What one keeps, all keep in memory: a question never waits for Redis. Entries are published, and
stored with a time to live for replicas that start or come back later. Pub/sub rather than a
stream, because those stored keys already are the log of what one missed.
"""

import asyncio
import logging
import random
import secrets
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from steelyard.cache.entry import Entry
from steelyard.cache.memory import AnswerCache
from steelyard.cache.wire import MAX_BYTES, Refused, opened, sealed
from steelyard.core.errors import SetupError
from steelyard.infra.concurrent import together

log = logging.getLogger(__name__)

TIMEOUT_S = 2.0  # of a connection, and of every answer of Redis
HEARTBEAT_S = 2.0
FIRST_PAUSE_S, LAST_PAUSE_S = 0.2, 15.0
MAX_WAITING = 1_000
MAX_LOADED = 2_000
_BATCH = 100
_UNCHECKED = -1  # no snapshot: what another replica found valid is checked again here


@dataclass(frozen=True, slots=True)
class SharedStats:
    """`dropped` could not be sent, `refused` were not signed by us or damaged."""

    connected: bool
    sent: int
    received: int
    refused: int
    dropped: int
    outages: int


class SharedCache:
    """Joins the cache in memory with those of other replicas of the same home.

    `run` works until it is cancelled. `home_id` names the truth that they share, and `secret`
    signs entries: without it, nobody who can write to Redis can plant an answer.
    """

    def __init__(self, url: str, memory: AnswerCache, *, secret: bytes, home_id: str) -> None:
        """Raises:
        SetupError: the extra is not installed, the address is wrong, or the secret is short.
        """
        if len(secret) < 16:
            raise SetupError(
                "the secret of the shared cache has less than 16 bytes; make a new one"
            )
        self._url = url
        self._memory = memory
        self._secret = secret
        self._prefix = "steelyard:" + sha256(home_id.encode()).hexdigest()[:16]
        self._channel = self._prefix + ":entries"
        self._me = secrets.token_hex(8)
        self._waiting: deque[Entry] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._connected = False
        self._sent = self._received = self._refused = self._dropped = self._outages = 0
        self._errors = _redis_errors()
        self._client()  # says at once what is wrong with the address
        memory.listen(self._offer)

    @property
    def stats(self) -> SharedStats:
        return SharedStats(
            connected=self._connected,
            sent=self._sent,
            received=self._received,
            refused=self._refused,
            dropped=self._dropped,
            outages=self._outages,
        )

    async def run(self) -> None:
        """Send and receive until cancelled; an outage is logged once and costs nothing else."""
        self._loop = asyncio.get_running_loop()
        pause_s, silent = FIRST_PAUSE_S, False
        try:
            while True:
                try:
                    await self._session()
                except self._errors as error:
                    if self._connected:
                        pause_s, silent = FIRST_PAUSE_S, False
                    self._connected = False
                    if not silent:
                        self._outages += 1
                        log.warning("shared_cache_lost reason=%s", type(error).__name__)
                        silent = True
                await asyncio.sleep(pause_s * random.uniform(0.7, 1.3))
                pause_s = min(2 * pause_s, LAST_PAUSE_S)
        finally:
            self._connected = False
            self._memory.listen(None)

    def _offer(self, entry: Entry) -> None:
        """Take an entry to be sent; on any thread, without waiting."""
        if len(self._waiting) >= MAX_WAITING:
            self._dropped += 1
            return
        self._waiting.append(entry)
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._wake.set)

    async def _session(self) -> None:
        """Be connected: hear first, then load what is there, then go on with both."""
        async with self._connection() as (client, pubsub):
            await pubsub.subscribe(self._channel)
            await client.ping()
            self._connected = True
            log.info("shared_cache_connected")
            await together(self._receive(pubsub), self._load_and_send(client))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[Any, Any]]:
        client = self._client()
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        try:
            yield client, pubsub
        finally:
            for part in (pubsub, client):
                with suppress(*self._errors):
                    async with asyncio.timeout(TIMEOUT_S):
                        await part.aclose()

    async def _receive(self, pubsub: Any) -> None:
        while True:
            message = await pubsub.get_message(timeout=HEARTBEAT_S)
            if message is not None:
                self._adopt(message["data"])

    async def _load_and_send(self, client: Any) -> None:
        await self._load(client)
        while True:
            self._wake.clear()
            while self._waiting:
                await self._send(client, self._waiting[0])
                self._waiting.popleft()
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._wake.wait()
            except TimeoutError:
                await client.ping()  # a Redis that hangs is found out here

    async def _load(self, client: Any) -> None:
        """Adopt what other replicas have stored, in an order that tells nothing, bounded."""
        left = MAX_LOADED
        cursor: int = 0
        while left > 0:
            cursor, keys = await client.scan(cursor, match=self._prefix + ":e:*", count=_BATCH)
            for message in await client.mget(keys[:left]) if keys else ():
                if message is not None:
                    self._adopt(message)
                    await asyncio.sleep(0)
            left -= len(keys)
            if cursor == 0:
                return

    async def _send(self, client: Any, entry: Entry) -> None:
        try:
            message = sealed(entry, sender=self._me, secret=self._secret)
        except ValueError:  # half a surrogate pair, which no JSON can hold
            message = b""
        if not 0 < len(message) <= MAX_BYTES:
            self._dropped += 1
            return
        name = sha256(f"{entry.scope}\0{entry.question}".encode("utf-8", "replace")).hexdigest()
        async with client.pipeline(transaction=False) as pipeline:
            ttl_s = max(1, int(self._memory.options.ttl_s))
            pipeline.set(f"{self._prefix}:e:{name}", message, ex=ttl_s)
            pipeline.publish(self._channel, message)
            await pipeline.execute()
        self._sent += 1

    def _adopt(self, message: object) -> None:
        """Keep another replica's entry, unless it is not one, or older than what is kept here."""
        try:
            if not isinstance(message, bytes):
                raise Refused("no bytes")
            received = opened(message, secret=self._secret)
        except Refused as reason:
            self._refused += 1
            log.debug("shared_entry_refused reason=%s", reason)
            return
        if received.sender == self._me:
            return
        entry = received.entry
        kept = self._memory.peek(entry.scope, entry.question)
        if kept is not None and kept.created_at >= entry.created_at:
            return
        if self._memory.adopt(replace(entry, snapshot=_UNCHECKED)):
            self._received += 1

    def _client(self) -> Any:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        try:
            return Redis.from_url(
                self._url,
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        except ValueError as error:
            raise SetupError(
                f"cache.url cannot be used: {error}; write redis://host:6379/0"
            ) from error


def _redis_errors() -> tuple[type[BaseException], ...]:
    try:
        from redis.exceptions import RedisError
    except ImportError as error:
        raise SetupError(
            "cache.url needs the extra `redis`; run `pip install 'steelyard[redis]'`"
        ) from error
    return (RedisError, OSError, TimeoutError, EOFError)
