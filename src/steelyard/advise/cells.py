"""Numbers that remember where they came from.

A formula is written once, in Python; the same expression computes the value, derives the unit and
prints itself. So what a page shows as the formula of a number is the formula.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.advise.units import ONE, Unit

# Shape suffixes: D draws (or cases), M months. Both are 1 where a number does not vary.
Array = NDArray[np.float64]  # (D or 1, M or 1)

_ATOM, _PRODUCT, _SUM = 3, 2, 1  # how tightly a formula's text binds


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an input's value comes from: `what` it is, who says so, when (ISO date) or ""."""

    what: str
    source: str
    seen: str = ""
    mark: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A value with its unit, formula and inputs; a leaf has an `origin` instead.

    `name` is "" while it is only a part of a longer formula.
    """

    value: Array
    unit: Unit
    name: str = ""
    formula: str = ""
    inputs: tuple["Cell", ...] = ()
    origin: Origin | None = None
    binds: int = field(default=_ATOM)

    def named(self, name: str, unit: str) -> "Cell":
        """Return the cell under a name; `unit` must be what its formula gives."""
        wanted = Unit.parse(unit)
        assert wanted == self.unit, f"{name}: {self.formula} is in {self.unit}, not in {wanted}"
        if self.name:  # a second name for the same number
            return Cell(self.value, self.unit, name, self.name, (self,))
        return replace(self, name=name, binds=_ATOM)

    def __add__(self, other: "Number") -> "Cell":
        return _sum(self, "+", _cell(other, self.unit), np.add)

    def __sub__(self, other: "Number") -> "Cell":
        return _sum(self, "-", _cell(other, self.unit), np.subtract)

    def __rsub__(self, other: float) -> "Cell":
        return _sum(_cell(other, self.unit), "-", self, np.subtract)

    def __mul__(self, other: "Number") -> "Cell":
        return _product(self, "×", _cell(other), np.multiply, power=1)

    def __truediv__(self, other: "Number") -> "Cell":
        return _product(self, "/", _cell(other), _divide, power=-1)

    def __pow__(self, power: "Cell") -> "Cell":
        """Return a bare number to the power of another."""
        assert self.unit == power.unit == ONE, "only bare numbers have powers"
        text = f"{_text(self, _ATOM)} ^ {_text(power, _ATOM)}"
        value = np.power(self.value, power.value)
        return Cell(value, ONE, formula=text, inputs=_inputs(self, power), binds=_PRODUCT)

    @property
    def point(self) -> float:
        """The value of a cell that does not vary."""
        assert self.value.size == 1, f"{self.name or self.formula} varies"
        return float(self.value.reshape(-1)[0])


Number = Cell | float


def leaf(name: str, value: float | Array, unit: str, origin: Origin) -> Cell:
    """Return an input; a plain number, (D, 1) over draws, or (1, M) over months."""
    array = np.asarray(value, np.float64)
    array = array.reshape(1, 1) if array.ndim == 0 else array
    assert array.ndim == 2, f"{name} has shape {array.shape}"
    return Cell(array, Unit.parse(unit), name, origin=origin)


def constant(name: str, value: float, unit: str, what: str) -> Cell:
    """Return what holds by definition, as 1,000,000 tokens a million."""
    return leaf(name, value, unit, Origin(what, "by definition"))


def total(cell: Cell) -> Cell:
    """Return the sum over months of an amount a month."""
    month = Unit.parse("month")
    value = cell.value.sum(axis=1, keepdims=True)
    return _function("sum over months", (cell,), value, cell.unit.times(month))


def ceil(cell: Cell) -> Cell:
    """Return the next whole number; 1e-9 more than a whole number counts as whole."""
    return _function("ceil", (cell,), np.ceil(cell.value - 1e-9), cell.unit)


def largest(*cells: Cell) -> Cell:
    return _extreme("max", cells, np.maximum)


def least(*cells: Cell) -> Cell:
    return _extreme("min", cells, np.minimum)


def mapped(name: str, cell: Cell, unit: str, function: Callable[[Array], Array]) -> Cell:
    """Return `name(cell)`: what no formula of few symbols says, such as a measured curve."""
    return _function(name, (cell,), function(cell.value), Unit.parse(unit))


def walk(cells: Sequence[Cell]) -> Iterator[Cell]:
    """Yield each named cell that these come from once, inputs first."""
    seen: set[int] = set()

    def visit(cell: Cell) -> Iterator[Cell]:
        if id(cell) in seen:
            return
        seen.add(id(cell))
        for one in cell.inputs:
            yield from visit(one)
        if cell.name:
            yield cell

    for cell in cells:
        yield from visit(cell)


def trace(cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
    """Return all that these numbers come from by name: value, unit, formula, inputs or origin."""
    found: dict[str, dict[str, Any]] = {}
    for cell in walk(cells):
        row: dict[str, Any] = {"value": _shown(cell.value), "unit": str(cell.unit)}
        if cell.origin is None:
            row["formula"] = cell.formula
            row["inputs"] = [one.name for one in _named_inputs(cell)]
        else:
            row["origin"] = {
                "what": cell.origin.what,
                "source": cell.origin.source,
                "seen": cell.origin.seen,
                "mark": cell.origin.mark,
                "warnings": list(cell.origin.warnings),
            }
        known = found.get(cell.name)
        assert known is None or known["value"] == row["value"], f"two numbers named {cell.name}"
        found[cell.name] = row
    return found


def _shown(value: Array) -> float | list[float]:
    """Return a number, or one a month; only what does not vary by draw is shown so."""
    assert value.shape[0] == 1, "a trace is of one case"
    row = [float(one) for one in value[0]]
    return row[0] if len(row) == 1 else row


def _named_inputs(cell: Cell) -> list[Cell]:
    return list({one.name: one for one in cell.inputs}.values())


def _cell(number: Number, unit: Unit = ONE) -> Cell:
    if isinstance(number, Cell):
        return number
    return Cell(np.full((1, 1), float(number)), unit, formula=f"{number:,g}")


def _text(cell: Cell, binds: int) -> str:
    text = cell.name or cell.formula
    return text if cell.name or cell.binds >= binds else f"({text})"


def _inputs(*cells: Cell) -> tuple[Cell, ...]:
    """Return the named cells of a formula; parts without a name give theirs."""
    found: list[Cell] = []
    for cell in cells:
        found += [cell] if cell.name else cell.inputs
    return tuple(found)


def _sum(one: Cell, sign: str, other: Cell, compute: Callable[..., Array]) -> Cell:
    assert one.unit == other.unit, (
        f"{one.name or one.formula} in {one.unit} {sign} {other.name or other.formula} in "
        f"{other.unit}"
    )
    text = f"{_text(one, _SUM)} {sign} {_text(other, _SUM if sign == '+' else _PRODUCT)}"
    value = compute(one.value, other.value)
    return Cell(value, one.unit, formula=text, inputs=_inputs(one, other), binds=_SUM)


def _product(
    one: Cell, sign: str, other: Cell, compute: Callable[..., Array], *, power: int
) -> Cell:
    text = f"{_text(one, _PRODUCT)} {sign} {_text(other, _PRODUCT if power > 0 else _ATOM)}"
    return Cell(
        compute(one.value, other.value),
        one.unit.times(other.unit, power=power),
        formula=text,
        inputs=_inputs(one, other),
        binds=_PRODUCT,
    )


def _divide(above: Array, below: Array) -> Array:
    assert bool(np.all(below != 0)), "a formula divides by zero"
    return above / below


def _function(name: str, cells: Sequence[Cell], value: Array, unit: Unit) -> Cell:
    text = f"{name}({', '.join(cell.name or cell.formula for cell in cells)})"
    return Cell(value, unit, formula=text, inputs=_inputs(*cells))


def _extreme(name: str, cells: Sequence[Cell], compute: Callable[..., Array]) -> Cell:
    units = {cell.unit for cell in cells}
    assert len(units) == 1, f"{name} of {', '.join(map(str, units))}"
    value = cells[0].value
    for cell in cells[1:]:
        value = compute(value, cell.value)
    return _function(name, cells, value, cells[0].unit)
