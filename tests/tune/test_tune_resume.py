"""FIELD 19: killed at any moment and resumed, a run ends with the very same weights."""

import os
import random
import signal
import time
import warnings
from pathlib import Path

import pytest
from tests.tune.tiny import KINDS, recipe_for, rows_for, started

from steelyard.core.tuning import RunState
from steelyard.tune import RunFolder, train


def forked(kind: str, base: Path, run: RunFolder) -> tuple[int, int]:
    """Train in a process of its own, which tells each step; return its pid and what to read."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: torch has one here
        pid = os.fork()
    if pid:
        os.close(write)
        return pid, read
    try:

        def told(line):
            os.write(write, bytes([line["step"] if "loss" in line else 0]))

        train(recipe_for(kind, base), rows_for(kind), run, told=told)
    finally:
        os._exit(0)


def weights(run: RunFolder) -> bytes:
    return (run.artefact / "adapter_model.safetensors").read_bytes()


def killed_then_resumed(kind: str, base: Path, run: RunFolder, chance: random.Random) -> int:
    """Kill a run after a step by chance, then go on here; return the step it had told."""
    pid, steps = forked(kind, base, run)
    last = chance.randrange(1, 12)
    while (told := os.read(steps, 1)) and told[0] != last:
        pass
    time.sleep(chance.random() * 0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(steps)
    assert run.status().state in (RunState.INTERRUPTED, RunState.DONE)
    if run.status().state is not RunState.DONE:
        train(recipe_for(kind, base), rows_for(kind), run)
    return last


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_run_is_bitwise_an_uninterrupted_one(kind, base, tmp_path):
    whole = started(tmp_path, recipe_for(kind, base), name="whole")
    train(recipe_for(kind, base), rows_for(kind), whole)
    killed = started(tmp_path, recipe_for(kind, base), name="killed")
    killed_then_resumed(kind, base, killed, random.Random(19))
    assert weights(killed) == weights(whole)
    assert killed.status().state is RunState.DONE
    steps = [line["step"] for line in killed.metrics() if "loss" in line]
    assert steps == list(range(1, 13)), "each step is told once"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_five_random_kills_of_each_kind(kind, base, tmp_path):
    whole = started(tmp_path, recipe_for(kind, base), name="whole")
    train(recipe_for(kind, base), rows_for(kind), whole)
    chance = random.Random(kind)
    for n in range(5):
        killed = started(tmp_path, recipe_for(kind, base), name=f"killed-{n}")
        killed_then_resumed(kind, base, killed, chance)
        assert weights(killed) == weights(whole)
