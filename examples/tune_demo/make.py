"""The demonstration's model: made from nothing, taught to read, tuned to the house."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.training import Chat, TrainingRow
from steelyard.tune import RunFolder, begin, new_run, read_recipe, train
from steelyard.tune.fit import Rows

from . import rows, world
from .base import make_base

RECIPES = Path(__file__).parents[2] / "recipes"
# How many rows each step learns from; what a run of 15 minutes on two cores allows.
NUM_HELD_OUT = 40
NUM_FIRST, NUM_READING, NUM_HOUSE = 5_000, 2_600, 3_200


@dataclass(frozen=True, slots=True)
class Made:
    base: Path
    adapter: Path


def make(folder: Path) -> Made:
    """Return the base and the adapter; what an interrupted call has trained is found again."""
    folder.mkdir(parents=True, exist_ok=True)
    old = world.old_edition()
    first = rows.first_reading_rows(NUM_FIRST, seed=1)
    reading = rows.reading_rows(NUM_READING, old, seed=2)
    house = rows.house_rows(NUM_HOUSE, old, seed=3)
    empty = folder / "empty"
    if not (empty / "model.safetensors").is_file():
        make_base(empty, _texts([*first[:2000], *reading[:1000], *house[:500]]))
    once = trained(folder, "demo_reading_1", empty, first)
    base = trained(folder, "demo_reading_2", once, reading)
    return Made(base, trained(folder, "demo_house", base, house))


def trained(folder: Path, name: str, base: Path, given: Sequence[TrainingRow]) -> Path:
    """Return the artefact of a recipe's run, trained now unless it is there."""
    root = folder / "runs"
    run = RunFolder(root / name)
    if run.artefact.is_dir():
        return run.artefact
    recipe = read_recipe(RECIPES / f"{name}.yaml", flags={"base": str(base)})
    if not run.path.is_dir():
        run = new_run(root, name=name)
        begin(run, recipe)
    began = time.perf_counter()
    held_out = random.Random(0).sample(given, NUM_HELD_OUT)
    learnt = [row for row in given if row not in held_out]
    done = train(recipe, Rows(train=learnt, eval=held_out), run, told=_tell)
    took = time.perf_counter() - began
    print(f"{name}: {done.steps} steps, {done.tokens:,} tokens, {took:.0f} s, {dict(done.after)}")
    return done.artefact


def _tell(line: Mapping[str, Any]) -> None:
    if "loss" in line and line["step"] % 50 == 0:
        print(f"  step {line['step']}: loss {line['loss']:.3f}", flush=True)


def _texts(given: Sequence[TrainingRow]) -> list[str]:
    return [
        turn.content for row in given if isinstance(row.example, Chat) for turn in row.example.turns
    ]
