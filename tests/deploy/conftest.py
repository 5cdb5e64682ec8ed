"""A real `steelyard serve` on loopback, with the keys of an operator, a colleague and an edge."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from steelyard.app import open_app
from steelyard.infra.concurrent import LoopThread
from steelyard.infra.mock_llm import MockLLM, MockOptions, serve_mock_llm

sys.path.insert(0, str(Path(__file__).parent))

LEAVE = "# Leave\n\nStaff get 31 days of paid leave a year. Leave is booked in Rostra.\n"
SECRET = "# Leave\n\nDirectors get 77 days of paid leave a year, which staff must not know.\n"


@dataclass(frozen=True, slots=True)
class Origin:
    """A running server and the secrets of its keys: `admin`, `director` and `edge`."""

    url: str
    keys: dict[str, str]
    process: "subprocess.Popen[str]"

    def stop(self) -> None:
        """End it as an operator would; once is enough."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)

    def client(self, key: str = "admin", url: str = "") -> httpx2.Client:
        """Return a client with this key ("": none), of the server or of what is before it."""
        headers = {"Authorization": f"Bearer {self.keys[key]}"} if key else {}
        return httpx2.Client(base_url=url or self.url, headers=headers, timeout=60, trust_env=False)

    def put(self, text: str = LEAVE, identity: str = "leave", **body: object) -> None:
        with self.client() as client:
            response = client.put(
                f"/v1/documents/{identity}", params={"wait": "true"}, json={"text": text, **body}
            )
        assert response.json()["state"] == "searchable"

    def delete(self, identity: str) -> None:
        with self.client() as client:
            assert client.delete(f"/v1/documents/{identity}").status_code == 200

    def answered(self, status: int) -> int:
        """Return how many questions were answered with this status so far."""
        with self.client() as client:
            lines = client.get("/metrics").text.splitlines()
        wanted = f'steelyard_requests_total{{route="/v1/query",status="{status}"}}'
        return sum(int(float(line.split()[-1])) for line in lines if line.startswith(wanted))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Origin]]:
    """Start a server; keyword arguments are options."""
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
        settings |= {key.replace("__", "."): str(value) for key, value in options.items()}
        command = [sys.executable, "-m", "steelyard", "serve", "--home", str(home), "--json"]
        command += ["--port", str(port)]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
        )
        origin = Origin(_told(process)["url"], keys, process)
        running.append(origin)
        return origin

    yield start
    for origin in running:
        if origin.process.poll() is None:
            origin.stop()


def _told(process: "subprocess.Popen[str]") -> dict[str, str]:
    """Return the JSON object that a process prints when it answers."""
    text = ""
    assert process.stdout is not None
    for line in process.stdout:
        text += line
        if line.rstrip().endswith("}"):
            told: dict[str, str] = json.loads(text)
            return told
    raise AssertionError(f"the process ended before it answered: {text!r}")


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
