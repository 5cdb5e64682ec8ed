"""Reused child processes that run untrusted work under limits.

A task is bytes in, bytes out, by a function named `module:function`. Whatever it does (spins,
hogs memory, crashes, prints) costs that task only: its worker is replaced.
"""

import atexit
import contextlib
import itertools
import json
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass

from steelyard.core.errors import SetupError
from steelyard.infra import sandboxed
from steelyard.infra.sandbox_worker import Limits, Reason, SandboxFailure, Worker

__all__ = ["Limits", "Reason", "SandboxFailure", "SandboxPool", "Upkeep"]

_START_S = 60.0  # importing a large extension from a cold disk


@dataclass(frozen=True, slots=True)
class Upkeep:
    """When a worker is replaced or, left idle, stopped."""

    max_tasks: int = 500
    max_resident_bytes: int = 512 << 20
    idle_s: float = 60.0


class SandboxPool:
    """Runs tasks in up to `num_workers` reused processes; thread-safe, started lazily.

    One housekeeping thread starts every worker, because a child is told of its parent's death
    by the *thread* that started it; the same thread stops workers that have been idle.
    """

    def __init__(
        self,
        target: str,
        *,
        limits: Limits | None = None,
        upkeep: Upkeep | None = None,
        num_workers: int = 1,
    ) -> None:
        self._target = target
        self._limits = limits or Limits()
        self._upkeep = upkeep or Upkeep()
        self._slots = threading.BoundedSemaphore(num_workers)
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._workers: set[Worker] = set()
        self._starts: queue.SimpleQueue[Future[Worker] | None] = queue.SimpleQueue()
        self._housekeeper: threading.Thread | None = None
        self._closed = False
        self.network_cut: bool | None = None

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that live now."""
        with self._lock:
            return sorted(worker.process.pid for worker in self._workers)

    def run(self, payload: bytes, *, wall_s: float | None = None) -> bytes:
        """Run one task and return its result; waits for a free worker first.

        Raises:
            SandboxFailure: the task gave no result; `reason` says why.
            SetupError: the workers cannot be started.
        """
        with self._slots:
            worker = self._take()
            keep = False
            try:
                limit = self._limits.wall_s if wall_s is None else wall_s
                status, answer = worker.exchange(payload, wall_s=limit)
                keep = status in (sandboxed.DONE, sandboxed.RAISED)
            except SandboxFailure as failure:
                if self._closed:
                    raise SandboxFailure(Reason.CLOSED, "the sandbox was closed") from failure
                raise
            finally:
                self._give_back(worker, keep=keep)
        if status == sandboxed.OUT_OF_MEMORY:
            raise SandboxFailure(Reason.MEMORY, "the task needed more memory than its limit")
        if status == sandboxed.RAISED:
            raise SandboxFailure(Reason.RAISED, answer.decode(errors="replace"))
        return answer

    def close(self) -> None:
        """Kill every worker, running tasks included; a later `run` fails. Safe to call twice."""
        with self._lock:
            self._closed = True
            workers, housekeeper = list(self._workers), self._housekeeper
            idle, self._idle = self._idle, []
        for worker in workers:  # one in use is only killed here: its thread cleans up
            worker.process.kill()
        for worker in idle:
            self._discard(worker)
        if housekeeper is not None:
            self._starts.put(None)
            housekeeper.join()
            atexit.unregister(self.close)

    def _take(self) -> Worker:
        """Return an idle worker, the one used last first, or a new one."""
        with self._lock:
            if self._closed:
                raise SandboxFailure(Reason.CLOSED, "the sandbox is closed")
            while self._idle:
                worker = self._idle.pop()
                if worker.process.poll() is None:
                    return worker
                self._workers.discard(worker)
                worker.stop()
            if self._housekeeper is None:
                self._housekeeper = threading.Thread(
                    target=self._keep_house, name="sandbox-housekeeper", daemon=True
                )
                self._housekeeper.start()
                atexit.register(self.close)
            started: Future[Worker] = Future()
            self._starts.put(started)
        return started.result()

    def _give_back(self, worker: Worker, *, keep: bool) -> None:
        worn = (
            worker.num_tasks >= self._upkeep.max_tasks
            or worker.resident_bytes > self._upkeep.max_resident_bytes
        )
        with self._lock:
            if keep and not worn and not self._closed:
                worker.idle_since = time.monotonic()
                self._idle.append(worker)
                return
        self._discard(worker)

    def _discard(self, worker: Worker) -> None:
        worker.stop()
        with self._lock:
            self._workers.discard(worker)

    def _keep_house(self) -> None:
        """Start workers on request and stop idle ones, until told to end."""
        while True:
            try:
                request = self._starts.get(timeout=max(0.05, self._upkeep.idle_s / 4))
            except queue.Empty:
                self._stop_idle()
                continue
            if request is None:
                break
            try:
                request.set_result(self._start())
            except Exception as error:
                request.set_exception(error)
        for request in iter(self._pending, None):
            request.set_exception(SandboxFailure(Reason.CLOSED, "the sandbox was closed"))

    def _pending(self) -> Future[Worker] | None:
        with contextlib.suppress(queue.Empty):
            return self._starts.get_nowait()
        return None

    def _start(self) -> Worker:
        worker = Worker(self._target, self._limits)
        with self._lock:
            self._workers.add(worker)
            closed = self._closed
        try:
            if closed:
                raise SandboxFailure(Reason.CLOSED, "the sandbox was closed")
            status, answer = worker.receive(time.monotonic() + _START_S)
        except BaseException:
            self._discard(worker)
            raise
        if status != sandboxed.READY:
            self._discard(worker)
            detail = answer.decode(errors="replace")
            raise SetupError(
                f"the sandbox cannot load {self._target!r} ({detail}); "
                f"reinstall the dependencies: pip install --force-reinstall steelyard"
            )
        self.network_cut = bool(json.loads(answer)["network_cut"])
        return worker

    def _stop_idle(self) -> None:
        oldest = time.monotonic() - self._upkeep.idle_s
        with self._lock:
            stale = list(itertools.takewhile(lambda w: w.idle_since < oldest, self._idle))
            self._idle = self._idle[len(stale) :]
        for worker in stale:
            self._discard(worker)
