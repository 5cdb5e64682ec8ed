"""Which volume makes which way the cheaper one."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from steelyard.advise.inputs import BY_KEY
from steelyard.advise.model import Option
from steelyard.advise.solve import Question, solve

_KEY = "questions_per_day"
NUM_VOLUMES = 49  # of the curves
FINER = 40  # times as many for the break-evens: whole machines make stairs
NUM_DRAWS = 200
_REACH = 1_000.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """An option's cost over the horizon by volume, with the band of 90 of 100 draws."""

    option: Option
    usd: Floats  # (V,)
    low_usd: Floats
    high_usd: Floats


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From `questions_per_day` on, `cheaper` costs less than `dearer`; the band is of draws.

    `share` of the draws have a break-even within the volumes that were tried.
    """

    questions_per_day: float
    low: float
    high: float
    cheaper: Option
    dearer: Option
    share: float


@dataclass(frozen=True, slots=True)
class Volumes:
    questions_per_day: Floats  # (V,)
    curves: tuple[Curve, ...]
    breaks: tuple[BreakEven, ...]


def volumes(question: Question) -> Volumes:
    """Return costs and break-evens from a thousandth to a thousand times the scenario's volume."""
    now, spec = question.scenario[_KEY].value, BY_KEY[_KEY]
    low, high = max(spec.low, now / _REACH), min(spec.high, now * _REACH)
    finer_F = np.geomspace(low, high, (NUM_VOLUMES - 1) * FINER + 1)
    at_point = solve(question, cases={_KEY: finer_F}).table
    asked_V = finer_F[::FINER]
    cases = {_KEY: np.repeat(asked_V, NUM_DRAWS)}
    drawn = solve(question, draws=NUM_DRAWS, cases=cases, copies=NUM_VOLUMES).table
    shape = (NUM_VOLUMES, NUM_DRAWS, len(drawn.options))
    drawn_VBO = np.broadcast_to(
        drawn.total_usd, (NUM_VOLUMES * NUM_DRAWS, len(drawn.options))
    ).reshape(shape)
    low_VO, high_VO = np.percentile(drawn_VBO, [5, 95], axis=1)
    curves = tuple(
        Curve(option, at_point.total_usd[::FINER, place], low_VO[:, place], high_VO[:, place])
        for place, option in enumerate(at_point.options)
    )
    breaks = [
        found
        for one, other in combinations(range(len(curves)), 2)
        for found in _breaks(
            finer_F, at_point.options, at_point.total_usd, asked_V, drawn_VBO, one, other
        )
    ]
    return Volumes(asked_V, curves, tuple(sorted(breaks, key=lambda one: one.questions_per_day)))


def _breaks(
    finer_F: Floats,
    options: tuple[Option, ...],
    total_FO: Floats,
    asked_V: Floats,
    drawn_VBO: Floats,
    one: int,
    other: int,
) -> list[BreakEven]:
    crossings = _crossings(finer_F, total_FO[:, one] - total_FO[:, other])
    if not crossings:
        return []
    volume, then_lower = crossings[-1]  # whole machines may cross back and forth: the last counts
    drawn: list[float] = []
    for gap in (drawn_VBO[:, :, one] - drawn_VBO[:, :, other]).T:
        drawn += [found for found, _ in _crossings(asked_V, gap)[-1:]]
    low, high = np.percentile(drawn, [5, 95]) if drawn else (volume, volume)
    cheaper, dearer = (one, other) if then_lower else (other, one)
    return [
        BreakEven(
            volume, min(float(low), volume), max(float(high), volume), options[cheaper],
            options[dearer], len(drawn) / drawn_VBO.shape[1],
        )
    ]  # fmt: skip


def _crossings(asked_V: Floats, gap_V: Floats) -> list[tuple[float, bool]]:
    """Return where a gap changes sign, straight in the logarithm of the volume; and whether it is
    below zero afterwards."""
    found: list[tuple[float, bool]] = []
    signs = np.sign(gap_V)
    for place in np.flatnonzero(signs[:-1] * signs[1:] < 0):
        before, after = gap_V[place], gap_V[place + 1]
        share = before / (before - after)
        log = np.log(asked_V[place]) + share * np.log(asked_V[place + 1] / asked_V[place])
        found.append((float(np.exp(log)), bool(after < 0)))
    return found
