"""A queue over a temporary home whose jobs are done by `fake_child.py`."""

import sys
import time
from pathlib import Path

import pytest

from steelyard.jobs import RUNS, Ended, Job, Runner, find_job, progress_of, save_job

CHILD = Path(__file__).with_name("fake_child.py")


def make_job(home, n=1, **fields):
    given = {
        "id": f"ftjob-{n:024x}", "created_at": float(n), "model": "base", "kind": "llm",
        "method": "supervised", "run": f"run-{n:012x}", "dataset": "abc",
        "training_file": "file-1", "recipe": {"kind": "llm"},
    }  # fmt: skip
    job = Job(**(given | fields))
    save_job(home, job)
    return job


class Queue:
    """Several runners may stand over one home, as several servers would."""

    def __init__(self, home):
        self.home = home
        self.arguments = {}  # job id → what its child is told
        self.steps = 4
        self.commands = []
        self.runners = []

    def job(self, n=1, **fields):
        return make_job(self.home, n, **fields)

    def runner(self):
        made = Runner(self.home, self._command, self._done)
        self.runners.append(made)
        return made

    def _command(self, job, recipe, resume):
        self.commands.append((job.id, resume))
        assert recipe.is_file()
        more = [*self.arguments.get(job.id, ()), *(["--resume"] if resume else [])]
        return [sys.executable, str(CHILD), str(self.home / RUNS / job.run), str(self.steps), *more]

    def _done(self, job):
        return Ended(f"version-of-{job.run}", "file-result")

    def status(self, job):
        return progress_of(self.home, find_job(self.home, job.id)).status.value

    def until(self, runner, done, *, limit_s=20.0):
        """Turn until `done()`; a limit only so that a fault is no endless loop."""
        ends = time.monotonic() + limit_s
        while not done():
            assert time.monotonic() < ends, "this takes too long"
            runner.turn()
            time.sleep(0.01)


@pytest.fixture
def queue(tmp_path):
    made = Queue(tmp_path)
    yield made
    for runner in made.runners:
        for child in runner._children._own.values():
            child.kill()
            child.wait()
        runner.close()
