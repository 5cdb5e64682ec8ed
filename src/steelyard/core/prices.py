"""Prices: dated rows with a source and a range, never constants."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol


class Mark(StrEnum):
    """How well a price is attested, best first."""

    VENDOR = "vendor"  # its documentation, or a dated copy of its page
    REPOSITORY = "repository"  # a public collection of prices
    SECONDARY = "secondary"  # a page about it
    UNVERIFIED = "unverified"
    ASSUMED = "assumed"  # nobody's price: a stated default
    USER = "user"  # the user's own row


@dataclass(frozen=True, slots=True)
class Price:
    """What one `unit` of `item` costs in US dollars; `usd` lies in `[low_usd, high_usd]`.

    `item` is a path: `llm/gpt-6-luna/in`, `gpu/h100-sxm`, `storage/disk`. `unit` is what is paid
    for, as in `USD/Mtoken`. The row holds for days in `[since, until]` (None: open) and, where
    prices depend on a prompt's length, for prompts of more than `above_tokens` tokens.
    `seen` is the day on which the source said so.
    """

    item: str
    usd: float
    low_usd: float
    high_usd: float
    unit: str
    seller: str
    source: str
    mark: Mark
    seen: date
    since: date | None = None
    until: date | None = None
    above_tokens: int = 0
    note: str = ""


class Prices(Protocol):
    """A price book on one day."""

    @property
    def on(self) -> date: ...

    def price(self, item: str, *, prompt_tokens: float = 0) -> Price:
        """Return the row that holds on the day, for a prompt of so many tokens.

        Raises:
            NotFound: there is none; names the item, what comes near, and how to add it.
        """
        ...

    def later(self, day: date) -> "Prices":
        """Return the same book on another day."""
        ...

    def items(self, beginning: str = "") -> tuple[str, ...]:
        """Return the items that begin so and have a price on the day, sorted."""
        ...

    def warnings(self, price: Price) -> tuple[str, ...]:
        """Return what to know of a row: it is old, soon over, assumed or not verified."""
        ...
