"""The price book: the user's rows over our dated ones over list prices; for any day, exactly one
row or an error."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

from steelyard.core.errors import InputError, NotFound
from steelyard.core.prices import Mark, Price
from steelyard.cost.listed import listed_model, listed_release, listed_rows
from steelyard.cost.own import own_rows
from steelyard.cost.rows import DIRECTIONS, UNITS, Rows, fold, period, read_built_in

OLD_DAYS = 120  # after which prices of models have moved by more than their usual range
SOON_DAYS = 30
_DOUBTS = {
    Mark.SECONDARY: "by a page about it, not by its seller",
    Mark.UNVERIFIED: "not verified",
    Mark.ASSUMED: "a stated default, nobody's price",
}
_ENDS = tuple(f"/{direction}" for direction in DIRECTIONS)
_LISTED = "llm/"  # what list prices are known of
_Layer = Mapping[str, tuple[Price, ...]]  # folded item → its dated rows, in order


class Book:
    """A `Prices` on one day. `home` None: without a user's own rows; `on` None: today.

    A user's row that holds on the day comes before any of ours, for the prompts that it covers.
    An item is found however its dots and capitals are written: `claude-haiku-5-5` is
    `claude-haiku-5.5`.

    Raises:
        SetupError: the home's `prices.toml` is wrong; says all that is.
    """

    def __init__(self, home: Path | None = None, *, on: date | None = None) -> None:
        self._on = on or date.today()
        self._own: _Layer = _by_item(own_rows(home, units=built_in_units()) if home else ())

    @property
    def on(self) -> date:
        return self._on

    @cached_property
    def identity(self) -> str:
        """A hash of the user's rows and of ours; list prices are in it by their release."""
        rows = [repr(layer) for layer in (self._own, _built_in(), listed_release())]
        return hashlib.sha256("".join(rows).encode()).hexdigest()[:16]

    def price(self, item: str, *, prompt_tokens: float = 0) -> Price:
        """Return the row that holds on the day, for a prompt of so many tokens.

        Raises:
            NotFound: there is none; names the item, what comes near, and how to add it.
        """
        if math.isnan(prompt_tokens) or prompt_tokens < 0:
            raise InputError(f"a prompt of {prompt_tokens} tokens: give a number from 0 on")
        for layer in self._layers(item):
            held = [
                one
                for one in layer.get(fold(item), ())
                if holds(one, self._on)
                and (not one.above_tokens or one.above_tokens < prompt_tokens)
            ]
            if held:
                return max(held, key=lambda one: one.above_tokens)
        raise NotFound(self._missing(item, prompt_tokens))

    def later(self, day: date) -> "Book":
        """Return the same book on another day."""
        book = Book(on=day)
        book._own = self._own
        return book

    def items(self, beginning: str = "") -> tuple[str, ...]:
        """Return the items that begin so and have a price on the day, sorted.

        What they begin with is written as it was asked for.
        """
        return tuple(
            beginning + item[len(beginning) :]
            for item, rows in self._known(beginning).items()
            if any(holds(one, self._on) for one in rows)
        )

    def known(self, beginning: str = "") -> tuple[str, ...]:
        """Return the items that begin so, whether they have a price on the day or not, sorted."""
        return tuple(self._known(beginning))

    def rows(self, item: str) -> tuple[Price, ...]:
        """Return all rows of an item, whenever they hold; those that win come first."""
        return tuple(one for layer in self._layers(item) for one in layer.get(fold(item), ()))

    def model(self, name: str) -> str | None:
        """Return the model that an answer's `name` stands for, as in `llm/MODEL/in`; None: one
        without a price."""
        for given in (name, name.rpartition("/")[2]):
            if not given:
                continue
            if self.rows(f"llm/{given}/in"):
                return given
            if listed := listed_model(given):
                return listed
        return None

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

    def _layers(self, item: str) -> Iterator[_Layer]:
        """Yield where an item may be found, what wins first.

        List prices are asked for what we have no row of at all: one of ours that has ended must
        not be replaced by a list that may not have noticed.
        """
        yield self._own
        yield _built_in()
        if item.lower().startswith(_LISTED) and fold(item) not in _built_in():
            yield _listed()

    def _known(self, beginning: str) -> dict[str, tuple[Price, ...]]:
        """Return all rows of the items that begin so, by the spelling that wins, sorted."""
        begun, ours = fold(beginning), _built_in()
        found: dict[str, tuple[Price, ...]] = {}
        for layer in (self._own, ours):
            for key, rows in layer.items():
                if key.startswith(begun):
                    found[key] = found.get(key, ()) + rows
        if begun.startswith(_LISTED) or _LISTED.startswith(begun):
            for key, rows in _listed().items():
                if key.startswith(begun) and key not in ours:
                    found[key] = found.get(key, ()) + rows
        return dict(sorted((rows[0].item, rows) for rows in found.values()))

    def _ending(self, price: Price, until: date) -> str:
        """Return what comes after a row that ends soon."""
        if until < self._on:
            return f"held to {until} alone"
        after = self.later(until + timedelta(days=1))
        try:
            # Just above the row's own length, so that its tier is the one that is compared.
            following = after.price(price.item, prompt_tokens=price.above_tokens + 1)
        except NotFound:
            return f"ends on {until}, and nothing is known of what comes then"
        return f"ends on {until}; then {following.usd:g} {following.unit}"

    def _missing(self, item: str, prompt_tokens: float) -> str:
        rows, first = self.rows(item), item.split("/")[0]
        unit = rows[0].unit if rows else UNITS.get(first, "USD/...")
        whole = item if rows or first != "llm" or item.endswith(_ENDS) else f"{item}/in"
        repair = f"add one: steelyard prices add {whole} --usd ... --unit '{unit}'"
        if rows:
            days = "; ".join(f"{one.usd:g} {period(one)}" for one in rows)
            reason = f"{item!r} has no price on {self._on}"
            if any(holds(one, self._on) for one in rows):
                reason += f" for a prompt of {prompt_tokens:g} tokens"
            return f"{reason}, only {days}; {repair}"
        known = self._known(f"{first}/") or self._known("")
        near = get_close_matches(item, known, n=3, cutoff=0.5) or list(known)[:3]
        return f"no price is known of {item!r}; near it: {', '.join(near)}; {repair}"


def holds(price: Price, on: date) -> bool:
    """Return whether a row holds on a day."""
    return (price.since or date.min) <= on <= (price.until or date.max)


@cache
def built_in_units() -> Mapping[str, str]:
    """Return the unit of each of our items, by the folded item."""
    return {item: rows[0].unit for item, rows in _built_in().items()}


def _by_item(prices: Iterable[Price]) -> _Layer:
    layer: dict[str, list[Price]] = {}
    for one in prices:
        layer.setdefault(fold(one.item), []).append(one)
    return {
        item: tuple(sorted(rows, key=lambda one: (one.above_tokens, one.since or date.min)))
        for item, rows in layer.items()
    }


def built_in() -> Rows:
    """Return our own rows as their file has them."""
    text = files("steelyard.cost").joinpath("prices.toml").read_text(encoding="utf-8")
    return read_built_in(text)


@cache
def _built_in() -> _Layer:
    rows = built_in()
    assert not rows.faults, rows.faults
    return _by_item(rows.prices)


@cache
def _listed() -> _Layer:
    return _by_item(listed_rows())
