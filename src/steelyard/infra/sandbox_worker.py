"""One fenced child process, as its parent holds it."""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from enum import StrEnum

from steelyard.infra import sandboxed

_POLL_MS = 100
_PIPE_BYTES = 1 << 20


class Reason(StrEnum):
    """Why a task gave no result."""

    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"
    CRASHED = "crashed"
    RAISED = "raised"
    CLOSED = "closed"


class SandboxFailure(Exception):
    """A task failed inside its fence; the caller says what that means to its own user."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Limits:
    """What one task may use; memory is address space, shared libraries included."""

    memory_bytes: int = 2 << 30
    cpu_s: float = 60.0
    wall_s: float = 120.0
    max_output_bytes: int = 128 << 20


class Worker:
    """One child process and its pipes; used by one thread at a time."""

    def __init__(self, target: str, limits: Limits) -> None:
        self.home = tempfile.mkdtemp(prefix="steelyard-sandbox-")
        self.limits = limits
        self.num_tasks = 0
        self.resident_bytes = 0
        self.idle_since = time.monotonic()
        bounds = json.dumps({"memory_bytes": limits.memory_bytes, "cpu_s": limits.cpu_s})
        argv = [sys.executable, "-P", "-s", "-m", sandboxed.__name__, target, bounds]
        self.process = subprocess.Popen(
            [*argv, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd=self.home,
            env=_scrubbed_environment(self.home),
            start_new_session=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.to_child = self.process.stdin.fileno()
        self.from_child = self.process.stdout.fileno()
        os.set_blocking(self.to_child, False)
        os.set_blocking(self.from_child, False)

    def exchange(self, payload: bytes, *, wall_s: float) -> tuple[int, bytes]:
        """Send a task and return its reply's status and payload."""
        deadline = time.monotonic() + wall_s
        self.num_tasks += 1
        try:
            self._send(sandboxed.REQUEST.pack(len(payload)), deadline)
            self._send(payload, deadline)
        except BrokenPipeError:
            raise self.failure() from None
        return self.receive(deadline)

    def receive(self, deadline: float) -> tuple[int, bytes]:
        header = self._read(sandboxed.REPLY.size, deadline)
        status, self.resident_bytes, size = sandboxed.REPLY.unpack(header)
        if size > self.limits.max_output_bytes:
            limit = self.limits.max_output_bytes
            raise SandboxFailure(
                Reason.OUTPUT, f"the result has {size} bytes, the limit is {limit}"
            )
        return status, self._read(size, deadline)

    def _send(self, content: bytes, deadline: float) -> None:
        view = memoryview(content)
        while view:
            self._wait(self.to_child, select.POLLOUT, deadline)
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(self.to_child, view[:_PIPE_BYTES]) :]

    def _read(self, size: int, deadline: float) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            self._wait(self.from_child, select.POLLIN, deadline)
            try:
                part = os.read(self.from_child, min(size - len(parts), _PIPE_BYTES))
            except BlockingIOError:
                continue
            if not part:
                raise self.failure()
            parts += part
        return bytes(parts)

    def _wait(self, fd: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(fd, event)
        while not poll.poll(_POLL_MS):
            if time.monotonic() > deadline:
                raise SandboxFailure(Reason.TIMEOUT, "the task ran longer than its wall limit")

    def failure(self) -> SandboxFailure:
        """Say how the process ended; it has closed its pipe, so it ends now."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)
        code = self.process.returncode
        if code == -signal.SIGXCPU:
            return SandboxFailure(Reason.TIMEOUT, "the task used more CPU time than its limit")
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            return SandboxFailure(Reason.CRASHED, f"the worker process ended by {name}")
        return SandboxFailure(Reason.CRASHED, f"the worker process ended with status {code}")

    def stop(self) -> None:
        """Kill the process and its children, and remove its home."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        shutil.rmtree(self.home, ignore_errors=True)


def _scrubbed_environment(home: str) -> dict[str, str]:
    """Return an environment without secrets, proxies or caches, one thread to each pool."""
    search_path = [path for path in sys.path if path and os.path.exists(path)]
    return {
        "HOME": home,
        "TMPDIR": home,
        "XDG_CACHE_HOME": home,
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(search_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": "1",
        "RAYON_NUM_THREADS": "1",
        "TOKIO_WORKER_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
