"""List prices of language models by `genai-prices`, for those that our own rows do not know.

The package carries its data and asks nobody for newer ones unless it is told to, which nothing
here does. It takes 0.3 s to import, so it is loaded by the first question for a model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING

from steelyard.core.prices import Mark, Price
from steelyard.cost.rows import DIRECTIONS, fold

if TYPE_CHECKING:
    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, Provider

# Its data have no date of their own: the day of the release, and that of the oldest we take.
_RELEASED = {"0.2.3": date(2026, 11, 10)}
_OLDEST = date(2026, 11, 10)
_KEYS = dict(zip(DIRECTIONS, ("input_mtok", "cache_read_mtok", "output_mtok"), strict=True))
# Of models that their makers give away and do not sell: a row of somebody else's.
_NOT_SOLD = "Imported from OpenRouter"


@dataclass(frozen=True, slots=True)
class _Offer:
    """A model as one seller sells it; `item` is its path without the direction."""

    item: str
    seller: str
    source: str
    seen: date


@dataclass(frozen=True, slots=True)
class _Era:
    """What holds in [since, until]; `hourly` are prices of certain hours, in place of `usual`."""

    usual: "ModelPrice"
    hourly: "Sequence[ModelPrice]"
    since: date | None
    until: date | None


@dataclass(frozen=True, slots=True)
class _Tier:
    above_tokens: int
    usd: float


def listed_rows() -> tuple[Price, ...]:
    """Return the dated rows of every model with a price for what is read and what is written.

    A model is `llm/NAME` at its maker's and `llm/NAME@HOST` at another's. Prices that depend on
    the hour are those of the cheap hours, up to the dearest of the day.
    """
    from genai_prices.data import providers

    release = listed_release()
    seen = _RELEASED.get(release, _OLDEST)
    source = f"genai-prices {release}"
    source += f", released on {seen}" if release in _RELEASED else ", whose day is not known"
    rows: dict[str, tuple[Price, ...]] = {}
    for provider in providers:
        for model in provider.models:
            item = f"llm/{model.id.lstrip('@~')}"
            if not _is_made_by(provider, model):
                item += f"@{provider.id}"
            # The first of two spellings of one name stands, as in the package's own look-up.
            offer = _Offer(item, provider.name, source, seen)
            rows.setdefault(fold(item), tuple(_of_model(model, offer)))
    return tuple(one for rows_of_item in rows.values() for one in rows_of_item)


def listed_release() -> str:
    """Return which release of the list is installed; imports nothing."""
    return version("genai-prices")


@cache
def listed_model(name: str) -> str | None:
    """Return the model that an answer's `name` stands for, as in `llm/NAME`; None: unknown.

    The package's own rules decide, so that a name with a date leads to its model.
    """
    from genai_prices.data_snapshot import get_snapshot

    try:
        provider, model = get_snapshot().find_provider_model(name, None, None, None)
    except LookupError:
        return None
    return model.id if _is_made_by(provider, model) else None


def _is_made_by(provider: "Provider", model: "ModelInfo") -> bool:
    match = provider.model_match
    is_own = match is not None and match.is_match(model.id.lower())
    return is_own and _NOT_SOLD not in (model.price_comments or "")


def _of_model(model: "ModelInfo", offer: _Offer) -> Iterator[Price]:
    eras = _eras(model.prices if isinstance(model.prices, list) else [], model.prices)
    for era in eras:
        if not _tiers(era.usual, "in") or not _tiers(era.usual, "out"):
            continue  # sound, pictures: not paid for by tokens of text
        for direction in DIRECTIONS:
            dearest = [_tiers(one, direction) for one in era.hourly]
            for number, tier in enumerate(_tiers(era.usual, direction)):
                others = [tiers[number].usd for tiers in dearest if len(tiers) > number]
                yield Price(
                    item=f"{offer.item}/{direction}",
                    usd=tier.usd,
                    low_usd=min([tier.usd, *others]),
                    high_usd=max([tier.usd, *others]),
                    unit="USD/Mtoken",
                    seller=offer.seller,
                    source=offer.source,
                    mark=Mark.REPOSITORY,
                    seen=offer.seen,
                    since=era.since,
                    until=era.until,
                    above_tokens=tier.above_tokens,
                    note="by the hour; the range is that of a day" if others else "",
                )


def _eras(conditional: "Sequence[ConditionalPrice]", always: object) -> list[_Era]:
    """Return what holds when, in order; of conditions that hold, the last in the list counts."""
    from genai_prices.types import ModelPrice, StartDateConstraint, TimeOfDateConstraint

    if isinstance(always, ModelPrice):
        return [_Era(always, (), None, None)]
    hourly = [one.prices for one in conditional if isinstance(one.constraint, TimeOfDateConstraint)]
    dated = {
        one.constraint.start_date
        if isinstance(one.constraint, StartDateConstraint)
        else date.min: one
        for one in conditional
        if not isinstance(one.constraint, TimeOfDateConstraint)
    }
    starts = sorted(dated)
    eras = []
    for start, following in pairwise([*starts, None]):
        assert start is not None
        since = start if start > date.min else None
        until = following - timedelta(days=1) if following else None
        # The hours of a price list are today's: nobody says since when.
        eras.append(_Era(dated[start].prices, () if following else hourly, since, until))
    return eras


def _tiers(price: "ModelPrice", direction: str) -> list[_Tier]:
    """Return a direction's price by the prompt's length, shortest first; [] without one."""
    from genai_prices.types import TieredPrices

    value = getattr(price, _KEYS[direction])
    if value is None:
        return []
    if isinstance(value, TieredPrices):
        longer = [_Tier(tier.start, float(tier.price)) for tier in value.tiers]
        return [_Tier(0, float(value.base)), *longer]
    return [_Tier(0, float(value))]
