"""The price book: the user's rows over our dated ones; for any day, exactly one row or an error."""

import math
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from steelyard.core.errors import InputError, NotFound
from steelyard.core.prices import Mark, Price
from steelyard.cost.own import own_rows
from steelyard.cost.rows import period, read_built_in

OLD_DAYS = 120  # after which prices of models have moved by more than their usual range
SOON_DAYS = 30
_DOUBTS = {
    Mark.SECONDARY: "by a page about it, not by its seller",
    Mark.UNVERIFIED: "not verified",
    Mark.ASSUMED: "a stated default, nobody's price",
}
_Layer = Mapping[str, tuple[Price, ...]]  # item → its dated rows, in order


class Book:
    """A `Prices` on one day. `home` None: without a user's own rows; `on` None: today.

    A user's row that holds on the day comes before any of ours, for the prompts it covers.

    Raises:
        SetupError: the home's `prices.toml` is wrong; says all that is.
    """

    def __init__(self, home: Path | None = None, *, on: date | None = None) -> None:
        self._on = on or date.today()
        own: tuple[Price, ...] = own_rows(home, units=_units()) if home else ()
        self._layers: tuple[_Layer, ...] = (_by_item(own), _built_in())

    @property
    def on(self) -> date:
        return self._on

    def price(self, item: str, *, prompt_tokens: float = 0) -> Price:
        """Return the row that holds on the day, for a prompt of so many tokens.

        Raises:
            NotFound: there is none; names the item, what comes near, and how to add it.
        """
        if math.isnan(prompt_tokens) or prompt_tokens < 0:
            raise InputError(f"a prompt of {prompt_tokens} tokens: give a number from 0 on")
        for layer in self._layers:
            held = [
                one
                for one in layer.get(item, ())
                if holds(one, self._on)
                and (not one.above_tokens or one.above_tokens < prompt_tokens)
            ]
            if held:
                return max(held, key=lambda one: one.above_tokens)
        raise NotFound(self._missing(item, prompt_tokens))

    def items(self, beginning: str = "") -> tuple[str, ...]:
        """Return the items that begin so and have a price on the day, sorted."""
        return tuple(
            sorted(
                {
                    item
                    for layer in self._layers
                    for item, rows in layer.items()
                    if item.startswith(beginning) and any(holds(one, self._on) for one in rows)
                }
            )
        )

    def known(self, beginning: str = "") -> tuple[str, ...]:
        """Return the items that begin so, whether they have a price on the day or not, sorted."""
        return tuple(
            sorted({one for layer in self._layers for one in layer if one.startswith(beginning)})
        )

    def rows(self, item: str) -> tuple[Price, ...]:
        """Return all rows of an item, whenever they hold; those that win come first."""
        return tuple(one for layer in self._layers for one in layer.get(item, ()))

    def warnings(self, price: Price) -> tuple[str, ...]:
        """Return what to know of a row: it is old, soon over, assumed or not verified."""
        found = []
        if doubt := _DOUBTS.get(price.mark):
            found.append(doubt)
        age = (self._on - price.seen).days
        if age > OLD_DAYS:
            found.append(f"seen {age} days ago ({price.seen}): look it up again")
        if price.until and price.until - self._on <= timedelta(days=SOON_DAYS):
            found.append(self._ending(price, price.until))
        return tuple(found)

    def _ending(self, price: Price, until: date) -> str:
        """Return what comes after a row that ends soon."""
        if until < self._on:
            return f"held to {until} alone"
        after = self._on_day(until + timedelta(days=1))
        try:
            # Just above the row's own length, so that its tier is the one that is compared.
            next_row = after.price(price.item, prompt_tokens=price.above_tokens + 1)
        except NotFound:
            return f"ends on {until}, and nothing is known of what comes then"
        return f"ends on {until}; then {next_row.usd:g} {next_row.unit}"

    def _on_day(self, on: date) -> "Book":
        """Return the same book on another day."""
        other = Book(on=on)
        other._layers = self._layers
        return other

    def _missing(self, item: str, prompt_tokens: float) -> str:
        rows = self.rows(item)
        unit = rows[0].unit if rows else "USD/..."
        repair = f"add one: steelyard prices add {item} --usd ... --unit '{unit}'"
        if rows:
            days = "; ".join(f"{one.usd:g} {period(one)}" for one in rows)
            reason = f"{item!r} has no price on {self._on}"
            if any(holds(one, self._on) for one in rows):
                reason += f" for a prompt of {prompt_tokens:g} tokens"
            return f"{reason}, only {days}; {repair}"
        known = self.known()
        near = get_close_matches(item, known, n=3, cutoff=0.5)
        near = near or [one for one in known if one.startswith(item.split("/")[0] + "/")][:3]
        hint = f"near it: {', '.join(near)}; " if near else ""
        return f"no price is known of {item!r}; {hint}{repair}"


def holds(price: Price, on: date) -> bool:
    """Return whether a row holds on a day."""
    return (price.since or date.min) <= on <= (price.until or date.max)


def _by_item(prices: Iterable[Price]) -> _Layer:
    layer: dict[str, list[Price]] = {}
    for one in prices:
        layer.setdefault(one.item, []).append(one)
    return {
        item: tuple(sorted(rows, key=lambda one: (one.above_tokens, one.since or date.min)))
        for item, rows in layer.items()
    }


@cache
def _built_in() -> _Layer:
    text = files("steelyard.cost").joinpath("prices.toml").read_text(encoding="utf-8")
    rows = read_built_in(text)
    assert not rows.faults, rows.faults
    return _by_item(rows.prices)


@cache
def _units() -> Mapping[str, str]:
    """Return the unit of each of our items."""
    return {item: rows[0].unit for item, rows in _built_in().items()}
