"""Load from processes of their own, so that the generator never holds the server's lock."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace

from steelyard.core.errors import UpstreamError
from steelyard.loadtest.drive import Load, load_row
from steelyard.loadtest.samples import Sample, Summary, summarise

CLIENTS_PER_PROCESS = 64


@dataclass(frozen=True, slots=True)
class Measured:
    """`interrupted`: Ctrl-C ended it early, and this is what was measured until then."""

    samples: tuple[Sample, ...]
    took_s: float
    interrupted: bool = False

    @property
    def summary(self) -> Summary:
        return summarise(self.samples, took_s=self.took_s)


def measure(load: Load) -> Measured:
    """Send the load from one process for every 64 clients, and return what they saw.

    Raises:
        UpstreamError: a process of the generator itself broke down.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker(share)) for share in _shares(load)]
        for worker in workers:
            _read(worker)  # ready
        interrupted = False
        try:
            for worker in workers:
                _write(worker, "go\n")
            lines = [_read(worker) for worker in workers]
        except KeyboardInterrupt:
            interrupted = True
            for worker in workers:
                _write(worker, "stop\n")
            lines = [_read(worker) for worker in workers]
    found = [json.loads(line) for line in lines]
    samples = tuple(Sample.from_row(row) for one in found for row in one["samples"])
    return Measured(samples, max(one["took_s"] for one in found), interrupted)


def _shares(load: Load) -> list[Load]:
    """Split clients and order over the processes; a rate is split alike."""
    most = max(1, (os.cpu_count() or 2) - 1)
    num = min(-(-load.num_clients // CLIENTS_PER_PROCESS), most, max(1, len(load.order)))
    clients = [load.num_clients // num + (n < load.num_clients % num) for n in range(num)]
    return [
        replace(load, order=load.order[n::num], num_clients=clients[n], rate=load.rate / num)
        for n in range(num)
    ]


@contextmanager
def _worker(load: Load) -> Iterator["subprocess.Popen[str]"]:
    worker = subprocess.Popen(
        [sys.executable, "-m", "steelyard.loadtest.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C is for us: a worker ends when it is told
    )
    try:
        _write(worker, json.dumps(load_row(load)) + "\n")
        yield worker
    finally:
        worker.kill()
        worker.communicate()


def _write(worker: "subprocess.Popen[str]", line: str) -> None:
    assert worker.stdin is not None
    with suppress(BrokenPipeError):  # it died: reading from it says so
        worker.stdin.write(line)
        worker.stdin.flush()


def _read(worker: "subprocess.Popen[str]") -> str:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise UpstreamError("a process of the load generator ended early; its error stands above")
    return line
