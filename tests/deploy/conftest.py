"""A real `steelyard serve` on loopback, with the keys of an operator, a colleague and an edge."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard.app import open_app
from steelyard.infra.concurrent import LoopThread
from steelyard.infra.mock_llm import MockLLM, MockOptions, serve_mock_llm

sys.path.insert(0, str(Path(__file__).parent))  # what the tests of this folder share

from served_origin import Origin, told_by


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Origin]]:
    """Start a server; keyword arguments are options, or make them from the keys."""
    running: list[Origin] = []

    def start(*, port: int = 0, environment: dict[str, str] | None = None, **options) -> Origin:
        home = tmp_path / f"home{len(running)}"
        app = open_app(home, flags={"embed.model": "hashing"})
        keys = {
            "admin": app.store.add_key("admin", ("public",), operator=True),
            "director": app.store.add_key("director", ("public", "board")),
            "edge": app.store.add_key("edge", ("public",)),
        }
        app.close()
        settings = {"embed.model": "hashing", "serve.public_key": "edge"}
        for key, value in options.items():
            told = value(keys) if callable(value) else value
            settings[key.replace("__", ".")] = str(told)
        command = [sys.executable, "-m", "steelyard", "serve", "--home", str(home), "--json"]
        command += ["--port", str(port)]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
        )
        origin = Origin(told_by(process)["url"], keys, process)
        running.append(origin)
        return origin

    yield start
    for origin in running:
        if origin.process.poll() is None:
            origin.stop()


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
