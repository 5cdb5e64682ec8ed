"""Measured curves over the number of chunks: between their points, and beyond them with a note."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from steelyard.advise.cells import Array, Cell, Origin, leaf
from steelyard.advise.units import Unit

_FEWEST, _MOST = 1.0, 1e15  # where a curve's inverse is looked for
_TRIED, _ROUNDS = 200, 7  # each round looks between two neighbours of the last


@dataclass(frozen=True, slots=True)
class Curve:
    """`points` are (chunks, value), both rising. `straight`: by so much a chunk; else straight in
    logarithms, and below its first point as there."""

    name: str
    unit: str
    points: tuple[tuple[float, float], ...]
    straight: bool
    origin: Origin

    @property
    def measured_to(self) -> float:
        return self.points[-1][0]

    def values(self, chunks: Array) -> Array:
        counts, found = np.array(self.points, np.float64).T
        wanted = np.asarray(chunks, np.float64)
        if not self.straight:
            counts, found = np.log(counts), np.log(found)
            wanted = np.log(np.maximum(wanted, self.points[0][0]))
        place = np.clip(np.searchsorted(counts, wanted), 1, len(counts) - 1)
        slope = (found[place] - found[place - 1]) / (counts[place] - counts[place - 1])
        value = found[place - 1] + slope * (wanted - counts[place - 1])
        return np.asarray(value if self.straight else np.exp(value), np.float64)

    def at(self, chunks: Cell) -> Cell:
        """Return the value as a cell, with the measured points as its inputs."""
        formula = f"{self.name}({chunks.name}), through its measured points"
        inputs = (chunks, *self.leaves())
        return Cell(
            self.values(chunks.value), Unit.parse(self.unit), formula=formula, inputs=inputs
        )

    def leaves(self) -> tuple[Cell, ...]:
        return tuple(
            leaf(f"{self.name} at {chunks:,.0f} chunks", value, self.unit, self.origin)
            for chunks, value in self.points
        )


def most_chunks(limit: float, *curves: Curve, per_chunk: float = 0.0) -> float:
    """Return the largest number of chunks whose curves, and so much a chunk, add up to a limit.

    0 where even one chunk is over it.
    """

    low, high = _FEWEST, _MOST
    for _ in range(_ROUNDS):
        tried = np.geomspace(low, high, _TRIED)
        over = sum((one.values(tried) for one in curves), per_chunk * tried) > limit
        first = int(over.argmax()) if over.any() else _TRIED - 1
        if first == 0:
            return 0.0
        low, high = float(tried[first - 1]), float(tried[first])
    return low


def chunks_within(limit: Cell, *curves: Curve, per_chunk: Cell | None = None) -> Cell:
    """Return the most chunks whose curves stay within a limit, as a cell; `per_chunk` on top, in
    the limit's unit."""
    assert all(Unit.parse(one.unit) == limit.unit for one in curves)
    more = per_chunk.point if per_chunk is not None else 0.0
    names = [one.name for one in curves] + ([per_chunk.name] if per_chunk is not None else [])
    leaves = [leaf for one in curves for leaf in one.leaves()]
    value = np.full((1, 1), most_chunks(limit.point, *curves, per_chunk=more))
    inputs = (limit, *([per_chunk] if per_chunk is not None else []), *leaves)
    formula = f"the most chunks with {' + '.join(names)} ≤ {limit.name}"
    return Cell(value, Unit.parse("chunk"), formula=formula, inputs=inputs)


def curve(name: str) -> Curve:
    row = _read()["curve"][name]
    points = tuple((float(chunks), float(value)) for chunks, value in row["points"])
    return Curve(name, row["unit"], points, row["kind"] == "line", _origin(row))


def curve_names() -> tuple[str, ...]:
    return tuple(_read()["curve"])


def figure(name: str) -> Cell:
    """Return what was measured and does not depend on the number of chunks."""
    row = _read()["figure"][name]
    return leaf(name, row["value"], row["unit"], _origin(row))


def measured_machine() -> str:
    return str(_read()["machine"])


def _origin(row: dict[str, Any]) -> Origin:
    return Origin(row["what"], row["source"], str(_read()["seen"]))


@cache
def _read() -> dict[str, Any]:
    text = files("steelyard.advise").joinpath("curves.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
