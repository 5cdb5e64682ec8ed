"""What was used, in dollars: the one place where usage is multiplied by prices.

    usd = Σ amount × usd of one unit, over the tokens read, read from a cache and written (in
    millions) and the hours of a machine

What nobody told (tokens that a server did not count, a model without a price) makes the sum
unknown, never smaller.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from steelyard.core.chat import EXTRACTIVE, SERVED_AGAIN, Answer
from steelyard.core.errors import NotFound
from steelyard.core.prices import Price, Prices

MTOKEN = 1e6
HOUR_S = 3600.0


class ModelPrices(Prices, Protocol):
    """A price book that knows models by the names that answers give."""

    def model(self, name: str) -> str | None:
        """Return the model of `llm/MODEL/in` that a name stands for; None: without a price."""
        ...

    @property
    def identity(self) -> str:
        """A hash of all rows that can set a price."""
        ...


@dataclass(frozen=True, slots=True)
class Used:
    """What one answer used. Tokens None: not known.

    `cached_tokens` are those of the prompt that the model server had in its cache. `machine_s`
    are seconds of a machine that is paid for by the hour.
    """

    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None = None
    machine_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """`usd = amount × price.usd`; `amount` is in the price's unit: Mtoken or hour."""

    what: str
    amount: float
    price: Price
    usd: float


@dataclass(frozen=True, slots=True)
class Bill:
    """What something cost, with its parts; `unknown` says why nobody can tell, "" if one can."""

    parts: tuple[Part, ...] = ()
    unknown: str = ""

    @property
    def usd(self) -> float | None:
        """The sum of the parts; None: not known."""
        return None if self.unknown else sum(part.usd for part in self.parts)


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars given by hand for a million tokens read and written by a model, and for an hour
    of the machine that answers; None: not given."""

    usd_per_mtok_in: float | None = None
    usd_per_mtok_out: float | None = None
    usd_per_hour: float | None = None

    @property
    def given(self) -> bool:
        return any(
            rate is not None
            for rate in (self.usd_per_mtok_in, self.usd_per_mtok_out, self.usd_per_hour)
        )

    def cost_usd(self, *, tokens_in: int, tokens_out: int, wall_ms: float) -> float | None:
        """Return what an answer cost by the given rates alone; None without any."""
        parts = (
            (self.usd_per_mtok_in, tokens_in / MTOKEN),
            (self.usd_per_mtok_out, tokens_out / MTOKEN),
            (self.usd_per_hour, wall_ms / 1000 / HOUR_S),
        )
        known = [rate * amount for rate, amount in parts if rate is not None]
        return sum(known) if known else None


def used_by(answer: Answer) -> Used:
    """Return what an answer used: nothing, where it was served again."""
    usage = answer.usage
    if answer.cache in SERVED_AGAIN:
        return Used(usage.model, 0, 0, 0)
    seconds = usage.timings_ms.get("generate", 0.0) / 1000
    return Used(
        usage.model,
        usage.prompt_tokens or None,
        usage.completion_tokens or None,
        usage.cached_tokens,
        seconds,
    )


def answer_bill(used: Used, prices: ModelPrices, *, machine: str = "") -> Bill:
    """Return what an answer cost.

    The documents' own words cost no tokens. A model that the book does not know is paid for by
    the seconds of `machine`, an item in dollars an hour, where one is named. Cached tokens cost
    what is read where their model has no price of its own for them.
    """
    if used.model.startswith(EXTRACTIVE):
        return Bill()
    model = prices.model(used.model) if used.model else None
    if model is None and machine:
        return machine_bill(used.machine_s, prices, machine)
    if model is None:
        return Bill(unknown=f"no price of {used.model!r}" if used.model else "no model is named")
    if used.prompt_tokens is None or used.completion_tokens is None:
        return Bill(unknown=f"{used.model!r} did not tell its tokens")
    cached = min(used.cached_tokens or 0, used.prompt_tokens)
    amounts = {"in": used.prompt_tokens - cached, "cached": cached, "out": used.completion_tokens}
    try:
        return Bill(_token_parts(model, amounts, prices, prompt_tokens=used.prompt_tokens))
    except NotFound as error:
        return Bill(unknown=error.message)


def machine_bill(seconds: float, prices: Prices, item: str) -> Bill:
    """Return what seconds of a machine cost, by an item in dollars an hour."""
    try:
        price = prices.price(item)
    except NotFound as error:
        return Bill(unknown=error.message)
    if price.unit != "USD/hour":
        return Bill(unknown=f"{item} is priced in {price.unit}, not by the hour")
    return Bill((_part("machine", seconds / HOUR_S, price),))


def training_bill(tokens: float, prices: Prices, item: str) -> Bill:
    """Return what a seller takes for learning from so many tokens, those of every epoch."""
    try:
        return Bill((_part("trained", tokens / MTOKEN, prices.price(item)),))
    except NotFound as error:
        return Bill(unknown=error.message)


def _token_parts(
    model: str, amounts: Mapping[str, int], prices: Prices, *, prompt_tokens: int
) -> tuple[Part, ...]:
    parts = []
    for what, tokens in amounts.items():
        if not tokens:
            continue
        try:
            price = prices.price(f"llm/{model}/{what}", prompt_tokens=prompt_tokens)
        except NotFound:
            if what != "cached":
                raise
            price = prices.price(f"llm/{model}/in", prompt_tokens=prompt_tokens)
        parts.append(_part(what, tokens / MTOKEN, price))
    return tuple(parts)


def _part(what: str, amount: float, price: Price) -> Part:
    return Part(what, amount, price, amount * price.usd)
