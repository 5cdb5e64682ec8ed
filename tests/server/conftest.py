"""A real app on the hashing embedder, behind Starlette's client: no weights, no network."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from steelyard.app import App, open_app
from steelyard.infra.concurrent import LoopThread
from steelyard.infra.mock_llm import MockLLM, MockOptions, serve_mock_llm
from steelyard.server import build

sys.path.insert(0, str(Path(__file__).parent))  # what the tests of this folder share

OPTIONS = {"embed.model": "hashing"}


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
