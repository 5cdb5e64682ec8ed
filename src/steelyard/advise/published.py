"""The published comparison beside what its own inputs give, line by line.

Source: "Fine-Tuning vs RAG: Which Is More Cost-Effective in 2026?", March 2026.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from steelyard.advise.cells import Cell, trace
from steelyard.advise.paper import Line, Paper
from steelyard.advise.paper_models import ANSWERING, TUNING
from steelyard.advise.paper_rag import MONTHLY, ONCE
from steelyard.advise.paper_year import RULES, YEAR
from steelyard.core.prices import Prices

LINES = (*TUNING, *ANSWERING, *ONCE, *MONTHLY, *YEAR, *RULES)
ABOUT = 0.05  # the article says "about" and rounds: ends that differ by less are called equal


class Verdict(StrEnum):
    """How what the inputs give stands to what is published."""

    EQUAL = "equal"  # both ends, to 5 %
    WITHIN = "within"  # it lies within the published range
    COVERS = "covers"  # the published figure lies within what the inputs allow
    OVERLAPS = "overlaps"  # some of both
    OUTSIDE = "outside"  # nothing in common

    @property
    def reproduced(self) -> bool:
        return self in (Verdict.EQUAL, Verdict.WITHIN, Verdict.COVERS)


@dataclass(frozen=True, slots=True)
class Band:
    """A figure from `low` to `high`, and the unit of both."""

    low: float
    high: float
    unit: str

    def __str__(self) -> str:
        if self.low == self.high:
            return shown(self.low)
        return f"{shown(self.low)} to {shown(self.high)}"


@dataclass(frozen=True, slots=True)
class Compared:
    """A line with its figures. `off_low` and `off_high` are what is given over what is published,
    less one, at either end; 0 where the end is inside the other's range (None: over nothing).

    `formulas` holds every number by name; a value that differs between the ends is a pair.
    """

    line: Line
    what: str
    said: Band
    gives: Band
    verdict: Verdict
    off_low: float | None
    off_high: float | None
    why: str
    implied: Mapping[str, Band]
    formulas: Mapping[str, Mapping[str, Any]]


def published(prices: Prices) -> tuple[Compared, ...]:
    """Return every figure of the article with what its own inputs give.

    Raises:
        NotFound: the book lacks a price; names it.
    """
    ends = Paper(prices, high=False), Paper(prices, high=True)
    return tuple(_compared(line, *ends) for line in LINES)


def _compared(line: Line, low: Paper, high: Paper) -> Compared:
    def both(formula: Callable[[Paper], Cell]) -> tuple[Cell, Cell]:
        return formula(low), formula(high)

    said = both(lambda paper: paper.figure(line.said))
    given = both(line.gives)
    implied = {name: both(formula) for name, formula in line.implied.items()}
    bands = {name: _band(*pair) for name, pair in implied.items()}
    bands |= {"said": _band(*said), "gives": _band(*given)}
    verdict = compare(bands["gives"], bands["said"])
    off_low, off_high = off_by(bands["gives"], bands["said"], verdict)
    origin = said[0].origin
    assert origin is not None
    return Compared(
        line, origin.what, bands["said"], bands["gives"], verdict, off_low, off_high,
        re.sub(r"\{(\w+)\}", lambda found: _quoted(bands[found[1]]), line.why),
        {name: bands[name] for name in implied},
        _traced([said, given, *implied.values()]),
    )  # fmt: skip


def _band(one: Cell, other: Cell) -> Band:
    low, high = sorted((one.point, other.point))
    return Band(low, high, str(one.unit))


def _quoted(band: Band) -> str:
    """Return a band in a sentence; bare numbers below 1 are shares."""
    if band.unit == "1" and band.high < 1:
        ends = dict.fromkeys(f"{one * 100:,.3g}" for one in (band.low, band.high))
        return f"{' to '.join(ends)} %"
    return str(band)


def compare(gives: Band, said: Band) -> Verdict:
    """Return how a figure stands to a published one."""
    if _about(gives.low, said.low) and _about(gives.high, said.high):
        return Verdict.EQUAL
    if said.low <= gives.low and gives.high <= said.high:
        return Verdict.WITHIN
    if gives.low <= said.low and said.high <= gives.high:
        return Verdict.COVERS
    if gives.low > said.high or gives.high < said.low:
        return Verdict.OUTSIDE
    return Verdict.OVERLAPS


def _about(one: float, other: float) -> bool:
    return abs(one - other) <= ABOUT * abs(other)


def off_by(gives: Band, said: Band, verdict: Verdict) -> tuple[float | None, float | None]:
    """Return by how much either end misses: 0 where a figure is reproduced; None: over nothing."""
    if verdict.reproduced:
        return 0.0, 0.0
    if verdict is Verdict.OUTSIDE:  # to the nearest end of what is published
        near = said.high if gives.low > said.high else said.low
        return _over(gives.low, near), _over(gives.high, near)
    return _over(gives.low, said.low), _over(gives.high, said.high)


def _over(one: float, other: float) -> float | None:
    return one / other - 1 if other else None


def _traced(pairs: list[tuple[Cell, Cell]]) -> dict[str, dict[str, Any]]:
    low = trace([pair[0] for pair in pairs])
    high = trace([pair[1] for pair in pairs])
    for name, row in low.items():
        if row["value"] != high[name]["value"]:
            row["value"] = [row["value"], high[name]["value"]]
    return low


def shown(number: float) -> str:
    """Return a number to three digits, whole from 100 on."""
    if number and abs(number) < 1e-3:
        return f"{number:.2e}"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
