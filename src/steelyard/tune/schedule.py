"""How the learning rate goes, and how many steps a run has: functions of the step alone."""

import math

from steelyard.tune.recipe import TrainRecipe

_PARTS = 10  # of a run, between evaluations and between checkpoints, where nothing is said


def num_steps(train: TrainRecipe, *, num_examples: int) -> int:
    """Return the steps of a run: as told, or as its epochs take."""
    return train.steps or max(1, math.ceil(train.epochs * num_examples / train.batch_size))


def every(told: int, steps: int) -> int:
    return told or max(1, math.ceil(steps / _PARTS))


def factor(train: TrainRecipe, *, step: int, steps: int) -> float:
    """Return what the learning rate of a step (from 0) is multiplied by, above 0 to 1."""
    warmup = round(train.warmup * steps) if train.warmup < 1 else int(train.warmup)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    left = (steps - step) / max(1, steps - warmup)  # 1 at the end of warm-up, above 0 to the end
    if train.schedule == "cosine":
        return 0.5 * (1 - math.cos(math.pi * left))
    return left if train.schedule == "linear" else 1.0
