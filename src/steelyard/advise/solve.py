"""One evaluation of the model: all ways, in all cases at once, and what the rule picks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.advise.choice import Barrier, Table, barriers, picks, table
from steelyard.advise.draws import Inputs
from steelyard.advise.measured import Measured
from steelyard.advise.model import Option, Weighed, options, weigh
from steelyard.advise.scenario import Scenario
from steelyard.core.errors import InputError
from steelyard.core.prices import Prices


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be decided: a scenario, what was measured, and the prices of a day."""

    scenario: Scenario
    measured: Measured
    prices: Prices


@dataclass(frozen=True, slots=True)
class Solved:
    """`picked` is the chosen option in each case, (D,), `choice.NONE` where none is allowed."""

    inputs: Inputs
    weighed: tuple[Weighed, ...]
    table: Table
    barriers: tuple[Barrier, ...]
    picked: NDArray[np.int64]

    @property
    def options(self) -> tuple[Option, ...]:
        return self.table.options


def solve(
    question: Question,
    *,
    draws: int = 0,
    cases: Mapping[str, NDArray[np.float64]] | None = None,
    copies: int = 1,
) -> Solved:
    """Evaluate every way at the point, over draws, or in the given cases; see `draws.Inputs`.

    Raises:
        InputError: the scenario's choices allow no way at all.
        NotFound: a price is missing; names it.
    """
    scenario = question.scenario
    inputs = Inputs(
        scenario, question.measured, question.prices, draws=draws, cases=cases or {}, copies=copies
    )
    offered = list(options(scenario, inputs))
    if not offered:
        raise InputError(
            f"scenario {scenario.name!r} offers nothing to run its models on: set api_model, "
            "tuned_model or gpu",
            code="bad_scenario",
        )
    weighed = tuple(weigh(inputs, option) for option in offered)
    found = table(weighed)
    shut = barriers(scenario, offered)
    picked = picks(found, inputs, [one.option for one in shut])
    return Solved(inputs, weighed, found, tuple(shut), picked)
