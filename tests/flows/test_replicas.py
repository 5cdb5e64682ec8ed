"""Two open apps on one home share answers through a real Redis; what does not fit is refused."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard.app import App, open_app
from steelyard.core.chat import Answer
from steelyard.core.errors import SetupError
from steelyard.core.ranking import PUBLIC, Query
from steelyard.flows.library import NewText
from steelyard.flows.sharing import home_key

pytest.importorskip("redis", reason="the extra `redis` is not installed")
pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="no redis-server; apt-get install redis-server"
)
QUESTION = Query("When does the ferry leave?", PUBLIC, k=2)


@pytest.fixture
def redis() -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    yield f"redis://127.0.0.1:{port}/0", process
    if process.poll() is None:
        process.kill()
    process.wait()


def opened(home: Path, url: str) -> App:
    return open_app(home, flags={"embed.model": "hashing", "cache.url": url})


async def put(app: App, text: str) -> None:
    receipt = await app.library.put_text(NewText(id="ferry", text=text))
    await app.library.settled(receipt.tickets)


async def comes_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.02)


def told(answer: Answer) -> str:
    return " ".join(source.text for source in answer.sources)


def connected(app: App) -> bool:
    assert app.shared is not None
    return app.shared.stats.connected


def test_what_one_replica_answered_another_serves_while_it_is_valid(tmp_path, redis) -> None:
    url, process = redis

    async def play() -> None:
        one, other = opened(tmp_path, url), opened(tmp_path, url)
        try:
            async with one.working(), other.working():
                await put(one, "The ferry leaves at nine.")
                await comes_true(lambda: connected(one) and connected(other))
                await comes_true(lambda: other.index.view().seq >= one.store.last_seq())
                first = await one.answering.answer(QUESTION)
                assert first.cache == "miss"
                await comes_true(lambda: other.cached.cache.stats().entries == 1)
                second = await other.answering.answer(QUESTION)
                assert (second.cache, second.text) == ("exact", first.text)
                await put(one, "The ferry leaves at ten.")
                await comes_true(lambda: other.index.view().seq >= one.store.last_seq())
                third = await other.answering.answer(QUESTION)
                assert third.cache == "miss"
                assert "ten" in told(third)
                process.kill()  # a dead Redis costs speed, never answers
                process.wait()
                await put(one, "The ferry leaves at noon.")
                assert "noon" in told(await one.answering.answer(QUESTION))
        finally:
            one.close()
            other.close()

    asyncio.run(play())


def test_a_copied_home_is_another_truth(tmp_path, redis) -> None:
    url, _ = redis

    async def play() -> None:
        first = opened(tmp_path / "home", url)
        async with first.working():
            await put(first, "The ferry leaves at nine.")
        first.close()
        shutil.copytree(tmp_path / "home", tmp_path / "copy")
        one, other = opened(tmp_path / "home", url), opened(tmp_path / "copy", url)
        try:
            async with one.working(), other.working():
                await put(one, "The ferry leaves at one.")
                await put(other, "The ferry leaves at two.")
                await comes_true(lambda: connected(one) and connected(other))
                assert "at one" in told(await one.answering.answer(QUESTION))
                assert one.shared is not None
                await comes_true(lambda: one.shared.stats.sent >= 1)
                answer = await other.answering.answer(QUESTION)
                assert answer.cache == "miss"
                assert "at two" in told(answer)
        finally:
            one.close()
            other.close()

    asyncio.run(play())


def test_a_homes_key_is_made_once_for_its_owner_and_a_damaged_one_is_refused(tmp_path) -> None:
    database = tmp_path / "steelyard.db"
    database.touch()
    key = home_key(tmp_path, database)
    assert home_key(tmp_path, database) == key
    assert len(key.secret) == 32
    path = tmp_path / "cache.key"
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("not a key")
    with pytest.raises(SetupError, match="damaged"):
        home_key(tmp_path, database)
