"""Kill -9 at random moments of a switch, with writes in between: it goes on, and loses nothing."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steelyard.app import App, open_app
from steelyard.core.ranking import PUBLIC, Query
from steelyard.flows.library import NewText
from steelyard.store import DATABASE, OPERATOR, Store

NUM_TEXTS = 400


def command(home: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "steelyard", "embedder", *words, "--home", str(home), "--json"]


def text_of(n: int, version: int) -> str:
    body = " ".join(f"word{(n * 31 + k * 7) % 900}" for k in range(30))
    return f"Rule {n}, version {version}. {body}"


def write_some(app: App, names: list[int], version: int) -> None:
    async def put() -> None:
        tickets = []
        for n in names:
            receipt = await app.library.put_text(NewText(id=f"d{n}", text=text_of(n, version)))
            tickets += receipt.tickets
        await app.library.settled(tickets)

    asyncio.run(app.while_ingesting(put()))


def await_begin(home: Path, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the switch is in the truth: before that a kill has nothing to interrupt."""
    with Store.open(home / DATABASE, read_only=True) as store:
        while store.switch() is None and process.poll() is None:
            time.sleep(0.02)


def set_model(home: Path, model: str) -> None:
    (home / "settings.toml").write_text(f'[embed]\nmodel = "{model}"\n')


def test_a_switch_that_is_killed_goes_on_and_loses_nothing(tmp_path: Path):
    kill_over_and_over(tmp_path, num_kills=1)


@pytest.mark.slow
def test_a_switch_that_is_killed_twenty_times_goes_on_and_loses_nothing(tmp_path: Path):
    kill_over_and_over(tmp_path, num_kills=20)


def kill_over_and_over(tmp_path: Path, *, num_kills: int) -> None:
    chance = random.Random(20261121)
    home = tmp_path / "home"
    home.mkdir()
    set_model(home, "hashing")
    versions = dict.fromkeys(range(NUM_TEXTS), 0)
    app = open_app(home)
    write_some(app, list(versions), 0)
    app.close()
    set_model(home, "hashing-96")
    killed = 0
    for turn in range(1, num_kills + 1):
        process = subprocess.Popen(
            command(home, "switch"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        await_begin(home, process)
        if turn > 1:  # the first kill is at once, so that one hits however fast the machine is
            time.sleep(chance.uniform(0.0, 0.5))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        _, told = process.communicate()
        assert b"Traceback" not in told, told.decode()
        writer = open_app(home)  # a process that comes in the middle writes by whoever owns it
        some = chance.sample(range(NUM_TEXTS), 10)
        write_some(writer, some, turn)
        versions |= dict.fromkeys(some, turn)
        assert writer.store.check() == []
        writer.close()
    assert killed, "no kill hit: the moments were chosen too late"
    done = subprocess.run(command(home, "switch"), capture_output=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["home"]["dim"] == 96
    done = subprocess.run(command(home, "confirm"), capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert_whole(home, versions)


def assert_whole(home: Path, versions: dict[int, int]) -> None:
    app = open_app(home)
    try:
        assert app.store.check() == []
        assert app.store.switch() is None
        assert app.embedder.dim == 96
        _, live = app.store.live_chunk_ids()
        app.index.refresh()
        view = app.index.view().dense_view
        assert sorted(view.chunk_ids().tolist()) == sorted(live.tolist())
        assert [path.name for path in home.glob("index*")] == [
            app.store.home_embedder().place  # type: ignore[union-attr]
        ]
        for n, version in versions.items():
            assert app.store.text("default", f"d{n}", principal=OPERATOR) == text_of(n, version)

        async def ask() -> str:
            result = await app.retriever.search(Query(text_of(7, versions[7]), PUBLIC, k=1))
            return result.found[0].chunk.document_id

        assert asyncio.run(ask()) == "d7"
    finally:
        app.close()
