"""Capacity as rows of text and as JSON."""

from collections.abc import Mapping
from typing import Any

from steelyard.advise.capacity import Capacity, capacity
from steelyard.advise.capacity_inputs import SPECS, Asked
from steelyard.advise.capacity_limits import Limit, limits
from steelyard.advise.cells import trace
from steelyard.advise.scenario import Scenario

FIGURES = ("figure", "value", "unit")
LIMITS = ("part", "one machine does", "asked", "unit", "bound by", "then")


def capacity_of(given: Mapping[str, Any], *, scenario: Scenario | None = None) -> Capacity:
    """Size what is given, over a scenario's inputs, over stated defaults.

    Raises:
        InputError: names every fault with its place, the allowed range and the repair.
    """
    return capacity(Asked.read(given, scenario=scenario))


def figures_table(found: Capacity) -> list[tuple[str, ...]]:
    """Return `FIGURES` and a row a figure, as text."""
    rows = [(name, amount(cell.point), str(cell.unit)) for name, cell in found.figures.items()]
    return [FIGURES, *rows]


def limits_table(found: Capacity) -> list[tuple[str, ...]]:
    """Return `LIMITS` and a row a part, as text; what is beyond its limit has a mark."""
    return [LIMITS, *(_row(one) for one in limits(found))]


def _row(one: Limit) -> tuple[str, ...]:
    asked = amount(one.asked.point) + (" !" if one.beyond else "")
    return (
        one.part, amount(one.most.point), asked, str(one.most.unit), one.bound, one.moves_to,
    )  # fmt: skip


def amount(number: float) -> str:
    """Return a number to three digits, in thousands, millions or billions where it is large."""
    for over, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(number) >= over:
            return f"{number / (1e3 if unit == ' k' else over):.3g}{unit}"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def capacity_json(found: Capacity) -> dict[str, Any]:
    """Return inputs, figures, limits and notes, with every formula and source."""
    parts = limits(found)
    cells = [*found.figures.values(), *found.fits.values()]
    cells += [cell for one in parts for cell in (one.most, one.asked)]
    return {
        "inputs": [
            {
                "key": spec.key,
                "value": found.asked.values[spec.key],
                "source": found.asked.sources[spec.key],
                "low": spec.low,
                "high": spec.high,
                "unit": spec.unit,
                "what": spec.what,
                "log": spec.log,
            }
            for spec in SPECS
        ],
        "figures": [
            {"name": name, "value": cell.point, "unit": str(cell.unit), "formula": cell.name}
            for name, cell in found.figures.items()
        ],
        "limits": [
            {
                "part": one.part,
                "most": one.most.point,
                "asked": one.asked.point,
                "unit": str(one.most.unit),
                "beyond": one.beyond,
                "bound": one.bound,
                "moves_to": one.moves_to,
                "formula": one.most.name,
            }
            for one in parts
        ],
        "notes": list(found.notes),
        "formulas": trace(cells),
    }
