"""Why a run ends before its time: in words that say what to change."""

import torch

from steelyard.core.errors import InputError, SetupError, SteelyardError
from steelyard.tune.recipe import Recipe


class Stopped(Exception):  # no error: the run was asked to end, and can go on
    """The run was asked to end after a step; `reason` is `interrupted` or `cancelled`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def not_finite(what: str, value: float, *, step: int, lr: float) -> SteelyardError:
    return InputError(
        f"step {step}: the {what} is {value} (learning rate {lr:.3g}), so the weights would be "
        "lost; lower train.lr, raise train.warmup, or use train.precision: fp32",
        code="not_finite",
    )


def diverged(start: float, recent: float, step: int, lr: float) -> SteelyardError:
    return InputError(
        f"step {step}: the loss has risen from {start:.4g} (mean of the first 5 steps) to "
        f"{recent:.4g} (of the last 20): the run diverges at train.lr {lr:.3g}; lower it, or "
        "raise train.warmup",
        code="diverged",
    )


def out_of_memory(error: Exception, recipe: Recipe, *, longest: int) -> Exception:
    """Return what the step of the longest rows failed with: our words if memory was short."""
    text = str(error)
    short = isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in text
    if not short:
        return error
    train = recipe.train
    return SetupError(
        f"out of memory on the {train.batch_size // train.accumulate} longest rows (up to "
        f"{longest:,} tokens), tried before the first step; raise train.accumulate above "
        f"{train.accumulate}, or lower train.batch_size or max_tokens",
        code="out_of_memory",
    )
