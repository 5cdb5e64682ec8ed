"""Inputs as cells: at one point, at chosen cases, or drawn from their ranges.

Each input draws from a generator seeded by its own name, so the same draw of an input meets every
option, and moving one slider leaves the draws of all others as they were.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from steelyard.advise.cells import Array, Cell, Origin, leaf
from steelyard.advise.inputs import BY_KEY
from steelyard.advise.measured import Arm, Figure, Measured
from steelyard.advise.scenario import Scenario
from steelyard.core.errors import InputError, NotFound
from steelyard.core.prices import Price, Prices

_PRICE = "price of "
# How the book names what a formula's unit says.
_SOLD = {
    "USD/gpu/hour": "USD/hour",
    "USD/server/month": "USD/month",
    "USD/GB/month": "USD/GB-month",
    "USD/Mreadunit": "USD/M read units",
}
_SEED = 20_26
_FEW_CLUSTERS = 300
_Z = 1.959963984540054  # of a 95 % interval of a normal distribution


@dataclass(slots=True)
class Inputs:
    """Gives cells for scenario inputs, prices and measured figures.

    `draws` 0: every input at its point; else so many draws, as often as `copies` one after the
    other. `cases` are values of some inputs instead, by leaf name: (D,) each, D the same for all,
    and with draws D = copies × draws.
    """

    scenario: Scenario
    measured: Measured
    prices: Prices
    draws: int = 0
    cases: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    copies: int = 1
    ranges: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    _by_month: list[Prices] = field(default_factory=list)
    _known: dict[str, Cell] = field(default_factory=dict)
    _resamples: dict[Arm, NDArray[np.float64]] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Cell:
        """Return a scenario's input."""
        value, spec = self.scenario[key], BY_KEY[key]
        origin = Origin(spec.what, value.source)
        return self._leaf(key, value.value, value.low, value.high, spec.unit, origin)

    def price(self, item: str, unit: str) -> Cell:
        """Return a price, its `unit` as in the formulas: what the book sells, by name.

        Raises:
            NotFound: the book has none.
            InputError: it is sold by something else.
        """
        return self._price(self.prices.price(item), unit)

    def price_by_length(self, item: str, unit: str, prompt: Cell) -> Cell:
        """Return a price that may depend on a prompt's tokens, for each case's prompt and, where
        the book knows that it will change, for each month.

        Raises:
            NotFound: the book has none.
            InputError: it is sold by something else.
        """
        lengths = prompt.value
        least, most = float(lengths.min()), float(lengths.max())
        tiers = _tiers(self.prices, item, least, most)
        cell, changes = self._by_length(tiers, unit, prompt), 0
        for month, book in enumerate(self._books()):
            try:
                then = _tiers(book, item, least, most)
            except NotFound:
                break  # what comes is not known; the row itself warns of its end
            if then != tiers:
                tiers, changes = then, changes + 1
                cell = _from_month(month, self._by_length(then, unit, prompt), cell, self._months())
        return cell.named(f"price of {item} over the months", unit) if changes else cell

    def _by_length(self, tiers: Sequence[Price], unit: str, prompt: Cell) -> Cell:
        cell = self._price(tiers[0], unit)
        for row in tiers[1:]:
            higher = self._price(row, unit)
            value = np.where(prompt.value > row.above_tokens, higher.value, cell.value)
            lower = cell.formula or cell.name
            text = f"{higher.name} if {prompt.name} > {row.above_tokens:,} else {lower}"
            cell = Cell(value, higher.unit, formula=text, inputs=(higher, prompt, cell))
        if len(tiers) == 1:
            return cell
        item, _, since = self._named(tiers[0]).partition(" from ")
        return cell.named(f"{item} by length{f' from {since}' if since else ''}", unit)

    def _books(self) -> Sequence[Prices]:
        """Return the price book at the start of each month of the horizon."""
        if not self._by_month:
            days = [round(month * 365 / 12) for month in range(self.scenario.choices.months)]
            self._by_month += [
                self.prices.later(self.prices.on + timedelta(days=one)) for one in days
            ]
        return self._by_month

    def _months(self) -> Array:
        return np.arange(self.scenario.choices.months, dtype=np.float64)[None, :]

    def _named(self, row: Price) -> str:
        return price_name(row, today=self.prices.on)

    def _price(self, row: Price, unit: str) -> Cell:
        sold = _SOLD.get(unit, unit)
        if row.unit != sold:
            raise InputError(
                f"{row.item} is sold by {row.unit}, and {sold} is needed here: choose another "
                "item (`steelyard prices list`) or add your own row",
                code="other_unit",
            )
        name = self._named(row)
        return self._leaf(name, row.usd, row.low_usd, row.high_usd, unit, self._origin(row))

    def figure(self, name: str, figure: Figure, unit: str, what: str) -> Cell:
        """Return a measured mean; drawn normally, its interval being 95 %."""
        origin = Origin(what, figure.source, figure.seen)
        value: float | Array = figure.value
        spread = (figure.high - figure.low) / (2 * _Z)
        self.ranges.setdefault(name, (figure.value, figure.low, figure.high))
        if name not in self._known:
            if name in self.cases:
                value = self.cases[name][:, None]
            elif self.draws and spread > 0:
                value = figure.value + spread * self._rng(name).standard_normal((self.draws, 1))
                value = np.tile(np.maximum(value, 0.0), (self.copies, 1))
            self._known[name] = leaf(name, value, unit, origin)
        return self._known[name]

    def quality(self, arm: Arm) -> Cell:
        """Return an arm's quality, 0 to 1; drawn by resampling the questions of all arms alike."""
        name, found = f"{arm} quality", self.measured.arms[arm]
        what = f"{self.measured.measure} of {arm}"
        if name in self.cases or not self.draws or arm not in self.measured.values:
            cell = self.figure(name, found.quality, "1", what)
            if cell.value.size > 1:
                cell = self._known[name] = leaf(
                    name, np.clip(cell.value, 0.0, 1.0), "1", cell.origin or Origin(what, "")
                )
            return cell
        figure = found.quality
        self.ranges.setdefault(name, (figure.value, figure.low, figure.high))
        if not self._resamples:
            self._resamples = resampled(self.measured, self.draws, self._rng("questions"))
        origin = Origin(what, figure.source, figure.seen)
        if name not in self._known:
            drawn = np.tile(self._resamples[arm][:, None], (self.copies, 1))
            self._known[name] = leaf(name, drawn, "1", origin)
        return self._known[name]

    def leaves(self) -> dict[str, Cell]:
        """Return what was asked for so far, by name."""
        return dict(self._known)

    def _leaf(
        self, name: str, value: float, low: float, high: float, unit: str, origin: Origin
    ) -> Cell:
        self.ranges.setdefault(name, (value, low, high))
        if name not in self._known:
            drawn: float | Array = value
            if name in self.cases:
                drawn = self.cases[name][:, None]
            elif self.draws and high > low:
                drawn = self._rng(name).triangular(low, value, high, (self.draws, 1))
                drawn = np.tile(drawn, (self.copies, 1))
            self._known[name] = leaf(name, drawn, unit, origin)
        return self._known[name]

    def _origin(self, row: Price) -> Origin:
        return Origin(
            f"{row.item}, {row.unit}" + (f" ({row.note})" if row.note else ""),
            f"{row.seller}: {row.source}" if row.seller else row.source,
            row.seen.isoformat(),
            row.mark.value,
            self.prices.warnings(row),
        )

    @staticmethod
    def _rng(name: str) -> np.random.Generator:
        return np.random.default_rng([_SEED, zlib.crc32(name.encode())])


def price_name(row: Price, *, today: date) -> str:
    """Return how a price is called in formulas."""
    name = f"{_PRICE}{row.item}"
    if row.above_tokens:
        name += f" above {row.above_tokens:,} tokens"
    return f"{name} from {row.since}" if row.since and row.since > today else name


def item_of(name: str) -> str:
    """Return the item that a price's name in formulas is about."""
    return name.removeprefix(_PRICE).partition(" above ")[0].partition(" from ")[0]


def _tiers(book: Prices, item: str, least: float, most: float) -> list[Price]:
    """Return the rows that hold for prompts of `least` to `most` tokens, shortest first."""
    rows = [book.price(item, prompt_tokens=most)]
    while rows[0].above_tokens >= least > 0 and rows[0].above_tokens:
        rows.insert(0, book.price(item, prompt_tokens=rows[0].above_tokens))
    return rows


def _from_month(month: int, later: Cell, before: Cell, months: Array) -> Cell:
    """Return what holds before a month (0 is the first), and what from it on."""
    value = np.where(months >= month, later.value, before.value)
    text = f"{later.name} after {month} months, {before.formula or before.name} before"
    return Cell(value, later.unit, formula=text, inputs=(later, *_parts(before)))


def _parts(cell: Cell) -> tuple[Cell, ...]:
    return (cell,) if cell.name else cell.inputs


def resampled(
    measured: Measured, num: int, rng: np.random.Generator
) -> dict[Arm, NDArray[np.float64]]:
    """Return (num,) means of each arm over resampled clusters of questions, the same for all.

    Few clusters are drawn with multinomial weights (Efron's bootstrap); the mean over many is
    normal, with the clusters' own covariance over arms.
    """
    arms = sorted(measured.values)
    num_clusters = int(measured.clusters.max()) + 1
    sizes_C = np.bincount(measured.clusters, minlength=num_clusters).astype(np.float64)
    sums_AC = np.stack(
        [
            np.bincount(measured.clusters, measured.values[arm], minlength=num_clusters)
            for arm in arms
        ]
    )
    if num_clusters <= _FEW_CLUSTERS:
        weights_BC = rng.multinomial(num_clusters, np.full(num_clusters, 1 / num_clusters), num)
        means_AB = (sums_AC @ weights_BC.T) / np.maximum(weights_BC @ sizes_C, 1.0)
    else:
        means_A = sums_AC.sum(axis=1) / sizes_C.sum()
        residuals_AC = sums_AC - means_A[:, None] * sizes_C
        scale = num_clusters / (num_clusters - 1) / sizes_C.sum() ** 2
        covariance_AA = residuals_AC @ residuals_AC.T * scale
        means_AB = rng.multivariate_normal(means_A, covariance_AA, num).T
    return {arm: np.clip(means, 0.0, 1.0) for arm, means in zip(arms, means_AB, strict=True)}
