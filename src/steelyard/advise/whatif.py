"""Prices and measured figures at other values than they have: what if."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from steelyard.advise.draws import item_of, price_name
from steelyard.advise.measured import Arm, ArmMeasured, Figure
from steelyard.advise.solve import Question
from steelyard.core.errors import InputError
from steelyard.core.prices import Mark, Price, Prices

_PRICE = "price of "
_FIELDS = {  # how a figure is called in formulas → its field, and the most that it may be
    "quality": ("quality", 1.0),
    "first word": ("first_word_ms", 6e5),
    "prompt": ("prompt_tokens", 1e7),
    "answer": ("answer_tokens", 1e7),
}
_MOST_USD = 1e9


def what_if(question: Question, changed: Mapping[str, float]) -> Question:
    """Return the question with some prices and measured figures at other values, without a range.

    Keys are their names in formulas: `price of gpu/h100-sxm`, `rag quality`, `rag first word`.

    Raises:
        InputError: unknown names or values out of range; says all.
        NotFound: a price is of nothing that the book has.
    """
    faults: list[str] = []
    prices: dict[str, float] = {}
    arms = dict(question.measured.arms)
    values = dict(question.measured.values)
    for name, value in changed.items():
        if name.startswith(_PRICE):
            if not 0 <= value <= _MOST_USD:  # false for NaN as well
                faults.append(f"{name}: {value!r} is no number from 0 to {_MOST_USD:g} (USD)")
            question.prices.price(item_of(name))
            prices[name] = value
            continue
        arm, _, kind = name.partition(" ")
        if kind not in _FIELDS or arm not in arms:
            faults.append(
                f"{name}: unknown; a price is named like 'price of gpu/h100-sxm', a figure like "
                f"'rag quality', of {', '.join(arms)}: {', '.join(_FIELDS)}"
            )
            continue
        field, most = _FIELDS[kind]
        if not (math.isfinite(value) and 0 <= value <= most):
            faults.append(f"{name}: {value!r} is no number from 0 to {most:g}")
            continue
        arms[Arm(arm)] = _with(arms[Arm(arm)], field, value)
        if field == "quality":
            values.pop(Arm(arm), None)  # what was measured by question no longer counts
    if faults:
        raise InputError("what if: " + "; ".join(faults), code="bad_scenario")
    measured = replace(question.measured, arms=arms, values=values)
    return Question(
        question.scenario, measured, _Changed(question.prices, prices, today=question.prices.on)
    )


def _with(arm: ArmMeasured, field: str, value: float) -> ArmMeasured:
    before: Figure | None = getattr(arm, field)
    source = "what if" if before is None else f"what if, instead of {before.value:.4g}"
    changes: dict[str, Any] = {field: Figure(value, value, value, source)}
    return replace(arm, **changes)


@dataclass(frozen=True, slots=True)
class _Changed:
    """A price book with some prices at other values, by their names in formulas."""

    prices: Prices
    usd: Mapping[str, float]
    today: date

    @property
    def on(self) -> date:
        return self.prices.on

    def price(self, item: str, *, prompt_tokens: float = 0) -> Price:
        row = self.prices.price(item, prompt_tokens=prompt_tokens)
        usd = self.usd.get(price_name(row, today=self.today))
        if usd is None:
            return row
        return replace(
            row, usd=usd, low_usd=usd, high_usd=usd, seller="", mark=Mark.USER, seen=self.on,
            source=f"what if, instead of {row.usd:g} {row.unit}",
        )  # fmt: skip

    def later(self, day: date) -> Prices:
        return _Changed(self.prices.later(day), self.usd, self.today)

    def items(self, beginning: str = "") -> tuple[str, ...]:
        return self.prices.items(beginning)

    def warnings(self, price: Price) -> tuple[str, ...]:
        if price_name(price, today=self.today) in self.usd:
            return ()
        return self.prices.warnings(price)
