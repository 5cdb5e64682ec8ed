"""Which way to choose: what is allowed, what is good enough, the cheapest of that; and how sure.

The rule is the same for one case, for every draw, and for every change of an input that is tried:

1. Allowed: the conditions hold (citations, privacy, waiting, the lowest quality).
2. With `worth_usd`: the largest worth of right answers less the cost. Without: the cheapest whose
   quality is within `tolerance` of the best that is allowed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.advise.draws import Inputs
from steelyard.advise.model import Option, Runs, Weighed
from steelyard.advise.scenario import Scenario

NONE = -1  # no way is allowed
RULE_INPUTS = ("latency_target_ms", "min_quality", "tolerance", "worth_usd")
SURE = 0.95  # a pick that fewer draws share is called a tie


@dataclass(frozen=True, slots=True)
class Barrier:
    """Why a way is not allowed, whatever the figures."""

    option: Option
    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """The ways side by side: cost over the horizon, quality and waiting, each (D, O)."""

    options: tuple[Option, ...]
    total_usd: NDArray[np.float64]
    quality: NDArray[np.float64]
    first_word_ms: NDArray[np.float64]
    right_answers: NDArray[np.float64]


def barriers(scenario: Scenario, options: Sequence[Option]) -> list[Barrier]:
    """Return which options the scenario's conditions exclude, and why."""
    found: list[Barrier] = []
    for option in options:
        if scenario.choices.citations and not option.arm.retrieves:
            found.append(Barrier(option, "it cannot show sources, and citations are needed"))
        elif scenario.choices.private and option.runs is Runs.API:
            found.append(Barrier(option, "questions and sources would leave, and are private"))
    return found


def table(weighed: Sequence[Weighed]) -> Table:
    """Return figures of the same D, however many of them vary."""
    columns = [
        (one.total.value[:, 0], one.quality.value[:, 0], one.first_word_ms.value[:, 0],
         one.questions.value.sum(axis=1)) for one in weighed
    ]  # fmt: skip
    num = max(len(array) for column in columns for array in column)
    stacked = [
        np.stack([np.broadcast_to(column[place], (num,)) for column in columns], axis=1)
        for place in range(4)
    ]
    total, quality, wait, questions = stacked
    return Table(tuple(one.option for one in weighed), total, quality, wait, quality * questions)


def picks(found: Table, inputs: Inputs, excluded: Sequence[Option]) -> NDArray[np.int64]:
    """Return the option chosen in each case, (D,); `NONE` where none is allowed."""

    def column(key: str) -> NDArray[np.float64]:
        return inputs[key].value[:, :1]

    shut = np.array([option in excluded for option in found.options])
    allowed = (
        (found.first_word_ms <= column("latency_target_ms"))
        & (found.quality >= column("min_quality"))
        & ~shut
    )
    best = np.where(allowed, found.quality, -np.inf).max(axis=1, keepdims=True)
    worth = column("worth_usd")
    good = allowed & (found.quality >= best - column("tolerance"))
    by_cost = np.where(good, -found.total_usd, -np.inf)
    by_worth = np.where(allowed, worth * found.right_answers - found.total_usd, -np.inf)
    score = np.where(worth > 0, by_worth, by_cost)
    return np.where(np.isfinite(score).any(axis=1), score.argmax(axis=1), NONE)


def shares(picked: NDArray[np.int64], num_options: int) -> NDArray[np.float64]:
    """Return how often each option was picked, (O,), and last how often none was."""
    counts = np.bincount(np.where(picked == NONE, num_options, picked), minlength=num_options + 1)
    return counts / len(picked)


def frontier(found: Table) -> list[int]:
    """Return the options that no other beats: as good and as quick for less, or better; by cost.

    Of a table of one case.
    """
    rows = np.stack([found.total_usd[0], -found.quality[0], found.first_word_ms[0]], axis=1)
    kept = [
        place
        for place, row in enumerate(rows)
        if not any(np.all(other <= row) and np.any(other < row) for other in rows)
    ]
    return sorted(kept, key=lambda place: float(rows[place, 0]))
