"""The server that a bench asks: one that runs already, or one started for a home."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx2

from steelyard.core.errors import SetupError, UpstreamError
from steelyard.infra.http import open_client, upstream_error

READY_S = 120.0  # a first start may have to build the encoder
STOP_S = 20.0


@contextmanager
def serving_home(
    home: Path, flags: Mapping[str, str | None], settings: Sequence[str]
) -> Iterator[str]:
    """Serve a home on a free loopback port in a process of its own; yield the address.

    Raises:
        SetupError: there is no home, or it cannot be served; stderr has said why.
    """
    if not (home / "steelyard.db").is_file():
        raise SetupError(
            f"there are no documents in {str(home)!r}; run `steelyard --home {home} ingest FOLDER` "
            "first, or name a running server by --url"
        )
    command = [sys.executable, "-m", "steelyard", "serve", "--home", str(home), "--port", "0"]
    command += [word for name, value in flags.items() if value for word in (name, value)]
    command += [word for pair in settings for word in ("--set", pair)]
    with _stopping_on_sigterm() as stop:
        server = subprocess.Popen(
            [*command, "--json"],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us: the server is told when all is written
        )
        try:
            stop.now()
            yield _address(server)
        finally:
            _end(server)


def _end(server: "subprocess.Popen[str]") -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    assert server.stdout is not None
    server.stdout.close()


class _Stop:
    """A SIGTERM (`timeout` and its like) that waits until the server can be stopped too."""

    def __init__(self) -> None:
        self._can_leave = self._asked = False

    def on_signal(self, number: int, frame: object) -> None:
        self._asked = True
        if self._can_leave:
            raise SystemExit(128 + number)

    def now(self) -> None:
        self._can_leave = True
        if self._asked:
            raise SystemExit(128 + signal.SIGTERM)


@contextmanager
def _stopping_on_sigterm() -> Iterator[_Stop]:
    stop = _Stop()
    before = signal.signal(signal.SIGTERM, stop.on_signal)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


def _address(server: "subprocess.Popen[str]") -> str:
    """Return what the server announces, a JSON object over several lines."""
    assert server.stdout is not None
    text = ""
    for line in server.stdout:
        text += line
        if line.startswith("}"):
            url = json.loads(text)["url"]
            assert isinstance(url, str)
            return url
    raise SetupError("the home could not be served; the line above says why and what to run")


def wait_ready(url: str) -> None:
    """Wait until the server says that it is ready; one without `/readyz` is taken as ready.

    Raises:
        UpstreamError: it cannot be reached, or is not ready in time.
    """
    deadline = monotonic() + READY_S
    while True:
        waiting_for = asyncio.run(_waiting_for(url))
        if waiting_for is None:
            return
        if monotonic() > deadline:
            raise UpstreamError(f"{url} is not ready after {READY_S:.0f} s: {waiting_for}")
        sleep(0.1)


async def _waiting_for(url: str) -> str | None:
    """Return what the server waits for; None when it is ready."""
    try:
        async with open_client(url) as client:
            async with asyncio.timeout(10):
                response = await client.get(url.rstrip("/") + "/readyz")
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError) as error:
        raise upstream_error(error, where=url) from error
    return response.text[:200] if response.status_code == 503 else None
