"""Starting the servers that are compared, asking them, and stopping them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from machine import rss_mb

from steelyard.loadtest import Load, Measured, measure, request_bytes, target_of

BYPASS = {"Cache-Control": "no-store"}  # searches are compared, not caches
REST_S = 5.0


class Server:
    """A server process and what it took to start it; `path` is its search."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        *,
        path: str = "/v1/search",
        env: Mapping[str, str] | None = None,
        start_timeout_s: float = 900.0,
    ) -> None:
        self.port, self.path = port, path
        started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, env={**os.environ, **(env or {})}, text=True
        )
        try:
            self._wait(started + start_timeout_s)
        except BaseException:
            self.stop()
            raise
        self.start_s = time.perf_counter() - started

    def _wait(self, deadline: float) -> None:
        while True:
            try:
                self.post(self.path, {"query": "list comprehension", "k": 10})
                return
            except OSError as error:
                ended = self.process.poll()
                if ended is not None or time.perf_counter() > deadline:
                    raise SystemExit(
                        f"{self.process.args!r} does not answer (exit {ended}): {error}"
                    ) from None
                time.sleep(0.01)

    def post(self, path: str, body: object, *, method: str = "POST") -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=300) as response:
            found: dict[str, Any] = json.load(response)
            return found

    def load(
        self,
        path: str,
        bodies: Sequence[object],
        *,
        clients: int,
        seconds: float = 60.0,
    ) -> Measured:
        """Send each body once, from `clients` connections of another process."""
        target = target_of(f"http://127.0.0.1:{self.port}", path, headers=BYPASS)
        requests = [request_bytes(target, body) for body in bodies]
        return measure(Load(target, requests, range(len(bodies)), clients, seconds=seconds))

    def rest_mb(self) -> float:
        time.sleep(REST_S)
        return rss_mb(self.process.pid)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def row(measured: Measured, *, clients: int) -> dict[str, Any]:
    """Return a load's figures; None where nothing was answered."""
    summary = measured.summary
    found = summary.total_ms
    return {
        "clients": clients,
        "answered": summary.num_answered,
        "per_s": round(summary.per_s, 1),
        "p50_ms": None if found is None else round(found.p50, 2),
        "p95_ms": None if found is None else round(found.p95, 2),
        "p99_ms": None if found is None else round(found.p99, 2),
        "mean_ms": None if found is None else round(found.mean, 2),
        "errors": dict(summary.errors),
        "rejected": summary.num_rejected,
        "unfinished": summary.num_unfinished,
    }


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def steelyard(*words: str) -> list[str]:
    return [sys.executable, "-m", "steelyard", *words]


class MockModel:
    """`steelyard bench llm` in a process of its own, while the context lasts."""

    def __init__(
        self,
        *,
        ttft_ms: float = 50,
        tokens_per_s: float = 200,
        tokens: int = 60,
        model: str = "mock",
    ) -> None:
        pace = ("--ttft-ms", str(ttft_ms), "--tokens-per-s", str(tokens_per_s), "--model", model)
        self._command = steelyard("bench", "llm", "--port", "0", "--json", *pace)
        self._command += ["--tokens", str(tokens)]
        self.url = ""

    def __enter__(self) -> "MockModel":
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        text = ""
        for line in self._process.stdout:
            text += line
            if line.startswith("}"):
                self.url = json.loads(text)["url"]
                return self
        raise SystemExit("the mock model did not start")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
