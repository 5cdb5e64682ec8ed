"""The published comparison as inputs: what it states, what is assumed beside it, and prices."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from steelyard.advise.cells import Cell, Origin, leaf
from steelyard.advise.draws import Inputs
from steelyard.advise.marginal import rate
from steelyard.advise.measured import DEFAULTS
from steelyard.advise.model import DAYS_PER_MONTH
from steelyard.advise.scenario import THROUGHPUT, Scenario
from steelyard.core.prices import Prices


@dataclass(frozen=True, slots=True)
class Paper:
    """Gives cells at one end of all ranges: all that is stated or assumed low, or all high."""

    prices: Prices
    high: bool

    def said(self, key: str) -> Cell:
        """Return a figure of the article."""
        article, row = _read()["article"], _read()["stated"][key]
        origin = Origin(row["what"], f"stated in {article['title']!r}", str(article["seen"]))
        return leaf(_words(key), self._end(row), row["unit"], origin)

    def assumed(self, key: str) -> Cell:
        """Return what has to be assumed to get from the article's inputs to its figures."""
        row = _read()["assumed"][key]
        origin = Origin(row["what"], f"assumed here: {row['what']}")
        return leaf(_words(key), self._end(row), row["unit"], origin)

    def figure(self, key: str) -> Cell:
        """Return a figure of either kind."""
        return self.said(key) if key in _read()["stated"] else self.assumed(key)

    def price(self, item: str, unit: str) -> Cell:
        """Return a price of the book.

        Raises:
            NotFound: the book has none.
        """
        return self.inputs().price(item, unit)

    def price_range(self, item: str, unit: str) -> Cell:
        """Return a price's lowest or highest.

        Raises:
            NotFound: the book has none.
        """
        row, cell = self.prices.price(item), self.price(item, unit)
        usd = row.high_usd if self.high else row.low_usd
        origin = cell.origin or Origin(item, row.source)
        return leaf(f"{cell.name}, lowest to highest", usd, unit, origin)

    def a_month(self, volume: str) -> Cell:
        """Return the questions a month of a stated volume."""
        return (self.said(volume) * DAYS_PER_MONTH).named("questions a month", "question/month")

    def rate(self, tokens: Cell, *, name: str = "questions a second of a full H100") -> Cell:
        """Return a full GPU's questions a second, by the published throughput of an 8B model."""
        return rate(tokens, THROUGHPUT, name=name)

    def inputs(self, **given: Any) -> Inputs:
        return Inputs(Scenario.read(given), DEFAULTS, self.prices)

    def _end(self, row: dict[str, Any]) -> float:
        end = "high" if self.high else "low"
        return float(row["value"] if "value" in row else row[end])


Formula = Callable[[Paper], Cell]


@dataclass(frozen=True, slots=True)
class Line:
    """A figure of the article, one way to read it, and what its inputs give when read so.

    `said` is a key of `published.toml`. `gives` is computed with all ranges low and with all
    high. `why` quotes `gives`, `said` and the `implied` figures by name: no number is typed.
    """

    key: str
    section: str
    reading: str
    said: str
    gives: Formula
    why: str
    implied: Mapping[str, Formula] = field(default_factory=dict)


def stated_keys() -> tuple[str, ...]:
    """Return every figure of the article, by key."""
    return tuple(_read()["stated"])


def article_title() -> str:
    return str(_read()["article"]["title"])


def _words(key: str) -> str:
    return key.replace("_", " ")


@cache
def _read() -> dict[str, Any]:
    text = files("steelyard.advise").joinpath("published.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
