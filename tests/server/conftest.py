"""A real app on the hashing embedder, behind Starlette's client: no weights, no network."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
import uvicorn
from starlette.testclient import TestClient

from steelyard.app import App, open_app
from steelyard.flows import fine_tuning
from steelyard.infra.concurrent import LoopThread
from steelyard.infra.mock_llm import MockLLM, MockOptions, serve_mock_llm
from steelyard.jobs import RUNS
from steelyard.server import build

sys.path.insert(0, str(Path(__file__).parent))  # what the tests of this folder share

OPTIONS = {"embed.model": "hashing"}
CHILD = Path(__file__).parents[1] / "jobs" / "fake_child.py"
STEPS = 4  # of a fake child


@pytest.fixture
def open_client(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Open a home and a client on it; several calls open several homes."""
    opened: list[tuple[TestClient, App]] = []

    def open_one(
        *paths: Path, prepare: Callable[[App], None] | None = None, **options: object
    ) -> TestClient:
        flags = OPTIONS | {key.replace("__", "."): value for key, value in options.items()}
        app = open_app(tmp_path / f"home{len(opened)}", flags=flags)
        if prepare is not None:
            prepare(app)
        server = build(app, paths=[str(path) for path in paths])
        client = TestClient(server, base_url="http://127.0.0.1:8080", raise_server_exceptions=False)
        client.__enter__()
        opened.append((client, app))
        return client

    yield open_one
    for client, app in opened:
        client.__exit__(None, None, None)
        app.close()


@pytest.fixture
def client(open_client: Callable[..., TestClient]) -> TestClient:
    return open_client()


@pytest.fixture
def mock_llm() -> Iterator[Callable[..., MockLLM]]:
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


@pytest.fixture
def served(open_client, monkeypatch, tmp_path):
    """The official client of a served home, whose queue starts fake children."""

    def tune_command(home):
        def command(job, recipe, resume):
            assert json.loads(recipe.read_text())["base"] == job.model
            wait = ["--wait", str(tmp_path / "go")] if job.model == "slow" else []
            fail = ["--fail", "2"] if job.model == "broken" else []
            more = [*wait, *fail, *(["--resume"] if resume else [])]
            return [sys.executable, str(CHILD), str(home / RUNS / job.run), str(STEPS), *more]

        return command

    monkeypatch.setattr(fine_tuning, "tune_command", tune_command)
    monkeypatch.setattr(fine_tuning, "POLL_S", 0.02)
    monkeypatch.setattr(fine_tuning, "IDLE_S", 0.02)
    client = open_client()
    config = uvicorn.Config(
        client.app, host="127.0.0.1", port=0, lifespan="off", log_config=None, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with openai.OpenAI(
        base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0
    ) as official:
        yield official, client
    (tmp_path / "go").touch()  # what still waits ends by itself
    server.should_exit = True
    thread.join()
