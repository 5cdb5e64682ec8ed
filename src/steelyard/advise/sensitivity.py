"""What matters: how far each input moves the cost, and which change of it flips the choice."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.advise.cells import walk
from steelyard.advise.choice import NONE
from steelyard.advise.inputs import ASSUMED, BY_KEY, MEASURE
from steelyard.advise.model import Option
from steelyard.advise.solve import Question, Solved, solve

GRID = 120  # values of an input that are tried for a flip, from its lowest to its highest
_REACH = 10.0  # how far a price or a measured time is moved, as a factor
_CHANCE = 3.0  # standard errors of a difference that is none
_FLOOR = 1e-3  # of the reach of an input that may be 0, on a scale of factors

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Swing:
    """What an input's own range does to an option's total, all else at its point."""

    input: str
    low: float
    high: float
    total_at_low: float
    total_at_high: float

    @property
    def width(self) -> float:
        return abs(self.total_at_high - self.total_at_low)


@dataclass(frozen=True, slots=True)
class Flip:
    """The nearest value of an input, below or above, with which another option is chosen.

    `to` None: none would be allowed. `factor` is the value over the one now; None if that is 0.
    """

    input: str
    now: float
    value: float
    to: Option | None
    factor: float | None


@dataclass(frozen=True, slots=True)
class Deciding:
    """An assumed input, and how much the choice hangs on it.

    `gap` is the difference of the recommended option's share of draws between the input's lowest
    and highest third, 0 to 1.
    """

    input: str
    gap: float
    measure: str


def tornado(question: Question, at_point: Solved, place: int) -> list[Swing]:
    """Return each input's swing of one option's total, widest first."""
    ranges = _moving(at_point, place)
    names = list(ranges)
    values = {name: np.full(2 * len(names), float(ranges[name][0])) for name in names}
    for row, name in enumerate(names):
        _, low, high = ranges[name]
        values[name][2 * row : 2 * row + 2] = low, high
    if not names:
        return []
    totals = solve(question, cases=values).table.total_usd[:, place]
    swings = [
        Swing(name, *ranges[name][1:], float(totals[2 * row]), float(totals[2 * row + 1]))
        for row, name in enumerate(names)
    ]
    return sorted((one for one in swings if one.width > 0), key=lambda one: -one.width)


def _moving(at_point: Solved, place: int) -> dict[str, tuple[float, float, float]]:
    """Return the inputs with a range that an option's total comes from."""
    used = {cell.name for cell in walk([at_point.weighed[place].total]) if cell.origin}
    return {
        name: found
        for name, found in at_point.inputs.ranges.items()
        if name in used and found[1] < found[2]
    }


def flips(question: Question, at_point: Solved) -> list[Flip]:
    """Return what would change the choice at the point, the smallest change first."""
    if not len(at_point.picked):
        return []
    now = int(at_point.picked[0])
    points = {name: found[0] for name, found in at_point.inputs.ranges.items()}
    grids = {name: _grid(name, point) for name, point in points.items()}
    coarse = _picked(question, at_point, grids)
    finer: dict[str, Floats] = {}
    found: list[tuple[str, Floats]] = []
    for name, grid in grids.items():
        for edge in _edges(grid, coarse[name], points[name], now):
            key = f"{name}\n{len(finer)}"
            finer[key] = np.linspace(*edge, GRID)
            found.append((name, finer[key]))
    exact = _picked(question, at_point, finer)
    return _nearest(at_point, points, finer, exact, now)


def _grid(name: str, point: float) -> Floats:
    """Return the values of an input that are tried, ascending."""
    if name in BY_KEY:
        spec = BY_KEY[name]
        if not spec.log:
            return np.linspace(spec.low, spec.high, GRID)
        low = max(spec.low, min(point, spec.high) * _FLOOR, 1e-9)
        return np.geomspace(low, max(spec.high, low * 2), GRID)
    if name.endswith(" quality"):
        return np.linspace(0.0, 1.0, GRID)
    return np.geomspace(max(point, 1e-9) / _REACH, max(point, 1e-9) * _REACH, GRID)


def _picked(
    question: Question, at_point: Solved, grids: Mapping[str, Floats]
) -> dict[str, NDArray[np.int64]]:
    """Return the choice for each value of each grid, all else at its point, in one evaluation."""
    if not grids:
        return {}
    keys, length = list(grids), GRID
    cases: dict[str, Floats] = {}
    for row, key in enumerate(keys):
        name = key.split("\n")[0]
        if name not in cases:
            point = float(at_point.inputs.ranges[name][0])
            cases[name] = np.full(len(keys) * length, point)
        cases[name][row * length : (row + 1) * length] = grids[key]
    picked = solve(question, cases=cases).picked
    picked = np.broadcast_to(picked, (len(keys) * length,))
    return {key: picked[row * length : (row + 1) * length] for row, key in enumerate(keys)}


def _edges(
    grid: Floats, picked: NDArray[np.int64], point: float, now: int
) -> list[tuple[float, float]]:
    """Return, below and above the point, between which two values the choice changes first."""
    found: list[tuple[float, float]] = []
    below = np.flatnonzero((grid < point) & (picked != now))
    if len(below):
        place = int(below[-1])
        inner = float(grid[place + 1]) if place + 1 < len(grid) else point
        found.append((float(grid[place]), min(point, inner)))
    above = np.flatnonzero((grid > point) & (picked != now))
    if len(above):
        place = int(above[0])
        inner = float(grid[place - 1]) if place else point
        found.append((max(point, inner), float(grid[place])))
    return found


def _nearest(
    at_point: Solved,
    points: Mapping[str, float],
    finer: Mapping[str, Floats],
    exact: Mapping[str, NDArray[np.int64]],
    now: int,
) -> list[Flip]:
    found: list[Flip] = []
    for key, grid in finer.items():
        name = key.split("\n")[0]
        point, other = points[name], np.flatnonzero(exact[key] != now)
        if not len(other):
            continue
        place = int(other[np.abs(grid[other] - point).argmin()])
        to = int(exact[key][place])
        value = float(grid[place])
        found.append(
            Flip(
                name, point, value,
                None if to == NONE else at_point.options[to],
                value / point if point else None,
            )
        )  # fmt: skip
    return sorted(found, key=lambda flip: _size(flip, at_point))


def _size(flip: Flip, at_point: Solved) -> float:
    """Return how large a change is: as a factor, and for what is 0 to 1 as a share of that."""
    spec = BY_KEY.get(flip.input)
    if flip.input.endswith(" quality") or (spec and spec.unit == "1" and spec.high <= 1):
        return abs(flip.value - flip.now)
    if not flip.factor or flip.factor <= 0:
        return float("inf")
    return float(abs(np.log(flip.factor)))


def deciding(drawn: Solved, recommended: int) -> list[Deciding]:
    """Return the assumed inputs on which the choice hangs, most first."""
    chosen = drawn.picked == recommended
    chance = _CHANCE * (0.5 / max(1, len(chosen) // 3)) ** 0.5
    found: list[Deciding] = []
    for name, cell in drawn.inputs.leaves().items():
        values = cell.value[:, 0]
        if len(values) < 3 or cell.origin is None or not _is_assumed(cell.origin.source):
            continue
        order = values.argsort()
        third = len(order) // 3
        gap = abs(float(chosen[order[:third]].mean() - chosen[order[-third:]].mean()))
        if gap > chance:
            found.append(Deciding(name, gap, _command(name)))
    return sorted(found, key=lambda one: -one.gap)


def _is_assumed(source: str) -> bool:
    return source.startswith(ASSUMED)


def _command(name: str) -> str:
    if name in BY_KEY:
        return BY_KEY[name].measure
    return MEASURE
