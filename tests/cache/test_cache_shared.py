"""Replicas through a real Redis that is killed, stopped, started again and poisoned."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest
from kept import make_answer, make_entry, unit

from steelyard.cache import AnswerCache, CacheOptions
from steelyard.cache.shared import SharedCache
from steelyard.cache.wire import sealed
from steelyard.core.errors import SetupError

pytest.importorskip("redis", reason="the extra `redis` is not installed")
SECRET = b"s" * 32
LONG_S = 20

needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="no redis-server; apt-get install redis-server"
)


class Server:
    """A Redis of this test alone."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + LONG_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            time.sleep(0.02)
        raise AssertionError("redis-server did not start")

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.stop()


def replica(
    url: str, *, secret: bytes = SECRET, home: str = "h"
) -> tuple[AnswerCache, SharedCache]:
    memory = AnswerCache(CacheOptions())
    return memory, SharedCache(url, memory, secret=secret, home_id=home)


def fresh(question: str, **more):
    return make_entry(question, created_at=time.time(), vector=unit(1), **more)


async def until(condition, what: str) -> None:
    async with asyncio.timeout(LONG_S):
        while not condition():  # noqa: ASYNC110  # what is waited for sets no event
            await asyncio.sleep(0.01)
    assert condition(), what


@contextlib.asynccontextmanager
async def running(*shared: SharedCache):
    tasks = [asyncio.create_task(one.run()) for one in shared]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended


async def connected(*shared: SharedCache) -> None:
    await until(lambda: all(one.stats.connected for one in shared), "connected")


@needs_redis
def test_an_answer_of_one_replica_is_found_in_another_and_checked_again_there(server):
    async def scenario():
        (one, first), (other, second) = replica(server.url), replica(server.url)
        async with running(first, second):
            await connected(first, second)
            one.put(fresh("q", snapshot=9))
            await until(lambda: other.peek("s", "q") is not None, "fan-out")
            found = other.nearest("s", unit(1), at_least=0.9, limit=1)[0].entry
            assert found.answer == make_answer()
            assert found.snapshot < 0
            await until(lambda: first.stats.sent == 1, "counted")
            assert first.stats.received == 0

    asyncio.run(scenario())


@needs_redis
def test_a_replica_that_starts_loads_what_is_there_but_not_what_is_older(server):
    async def scenario():
        one, first = replica(server.url)
        async with running(first):
            one.put(fresh("q"))
            one.put(fresh("r"))
            await until(lambda: first.stats.sent == 2, "sent")
        other, second = replica(server.url)
        other.adopt(fresh("r", answer=make_answer("mine")))
        async with running(second):
            await until(lambda: second.stats.received == 1, "loaded")
            assert other.peek("s", "q") is not None
            assert other.peek("s", "r").answer.id == "mine"

    asyncio.run(scenario())


@needs_redis
def test_other_homes_and_other_secrets_are_not_heard(server):
    async def scenario():
        (one, first), (foreign, second) = replica(server.url), replica(server.url, home="g")
        liar, third = replica(server.url, secret=b"x" * 32)
        async with running(first, second, third):
            await connected(first, second, third)
            liar.put(fresh("lie"))
            one.put(fresh("q"))
            await until(lambda: third.stats.refused == 1 and first.stats.refused == 1, "refused")
            assert one.peek("s", "lie") is None
            assert foreign.stats().entries == 0

    asyncio.run(scenario())


@needs_redis
def test_garbage_in_redis_is_refused_and_counted(server):
    async def scenario():
        from redis.asyncio import Redis

        _, shared = replica(server.url)
        async with Redis.from_url(server.url) as client:
            await client.lpush(shared._prefix + ":e:list", b"of another type")
            await client.set(shared._prefix + ":e:planted", b"nothing")
            await client.set(
                shared._prefix + ":e:forged", sealed(fresh("x"), sender="y", secret=b"z")
            )
            memory, shared = replica(server.url)
            async with running(shared):
                await until(lambda: shared.stats.refused == 2, "stored")
                await client.publish(shared._channel, b"\xff" * 100)
                await until(lambda: shared.stats.refused == 3, "published")
                assert shared.stats.connected
                assert memory.stats().entries == 0

    asyncio.run(scenario())


@needs_redis
def test_what_cannot_be_written_as_json_is_dropped_and_the_rest_goes_on(server):
    async def scenario():
        one, first = replica(server.url)
        async with running(first):
            one.put(fresh("half", answer=make_answer(text="\ud800")))
            one.put(fresh("whole"))
            await until(lambda: first.stats.sent + first.stats.dropped == 2, "both")
            assert first.stats.sent >= 1
            assert first.stats.connected

    asyncio.run(scenario())


@needs_redis
def test_a_killed_redis_costs_nothing_and_is_found_again(server, caplog):
    caplog.set_level(logging.WARNING)

    async def scenario():
        (one, first), (other, second) = replica(server.url), replica(server.url)
        async with running(first, second):
            await connected(first, second)
            server.stop()
            await until(lambda: not first.stats.connected and not second.stats.connected, "lost")
            one.put(fresh("during"))
            assert one.exact("s", "during") is not None
            await asyncio.sleep(1)  # several attempts, one line
            server.start()
            await connected(first, second)
            await until(lambda: other.peek("s", "during") is not None, "sent later")

    asyncio.run(scenario())
    lost = [one for one in caplog.records if "shared_cache_lost" in one.message]
    assert len(lost) == 2


@needs_redis
def test_a_hanging_redis_is_found_out_and_blocks_no_put(server):
    async def scenario():
        one, first = replica(server.url)
        async with running(first):
            await connected(first)
            server.send(signal.SIGSTOP)
            for number in range(1_500):
                one.put(fresh(f"q{number}"))
            assert one.stats().entries == 1_500
            assert first.stats.dropped == 500
            await until(lambda: not first.stats.connected, "found out")
            server.send(signal.SIGCONT)
            await until(lambda: first.stats.sent >= 1_000, "sent later")

    asyncio.run(scenario())


def test_without_redis_the_cache_works_and_ends_at_once():
    async def scenario():
        memory, shared = replica("redis://127.0.0.1:1/0")
        async with running(shared):
            memory.put(fresh("q"))
            await until(lambda: shared.stats.outages == 1, "outage")
            assert memory.exact("s", "q") is not None
        memory.put(fresh("after the end"))

    asyncio.run(scenario())


def test_wrong_addresses_and_short_secrets_are_refused_at_once():
    with pytest.raises(SetupError, match=r"cache\.url"):
        replica("redis://host:port/0")
    with pytest.raises(SetupError, match="16 bytes"):
        replica("redis://127.0.0.1:1", secret=b"short")
