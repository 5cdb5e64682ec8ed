"""A price book of round numbers."""

from dataclasses import dataclass, field, replace
from datetime import date

import pytest

from steelyard.core.errors import NotFound
from steelyard.core.prices import Mark, Price

ROWS = {
    "llm/gpt-6-luna/in": (0.1, "USD/Mtoken"),
    "llm/gpt-6-luna/cached": (0.01, "USD/Mtoken"),
    "llm/gpt-6-luna/out": (0.5, "USD/Mtoken"),
    "gpu/h100-sxm": (4.0, "USD/hour"),
    "tuning/prime-intellect/qwen3.5-9b": (0.6, "USD/Mtoken"),
    "embedding/small": (0.02, "USD/Mtoken"),
    "vectordb/rented/minimum": (50.0, "USD/month"),
    "vectordb/rented/storage": (0.3, "USD/GB-month"),
    "vectordb/rented/read": (16.0, "USD/M read units"),
    "server/cpu-4": (80.0, "USD/month"),
    "storage/disk": (0.1, "USD/GB-month"),
    "person/hour": (100.0, "USD/hour"),
}


@dataclass
class FakePrices:
    """Holds one row an item; `spread` widens each on both sides; tiers of some by length."""

    spread: float = 0.0
    tiers: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    on: date = date(2026, 11, 21)

    def price(self, item: str, *, prompt_tokens: float = 0) -> Price:
        if item not in ROWS:
            raise NotFound(f"no price is known of {item!r}")
        usd, unit = ROWS[item]
        above = 0
        for length, dearer in self.tiers.get(item, []):
            if prompt_tokens > length:
                above, usd = length, dearer
        low, high = usd * (1 - self.spread), usd * (1 + self.spread)
        return Price(
            item, usd, low, high, unit, "seller", "its page", Mark.VENDOR, self.on,
            above_tokens=above,
        )  # fmt: skip

    def later(self, day: date) -> "FakePrices":
        return replace(self, on=day)

    def items(self, beginning: str = "") -> tuple[str, ...]:
        return tuple(sorted(item for item in ROWS if item.startswith(beginning)))

    def warnings(self, price: Price) -> tuple[str, ...]:
        return ()


@pytest.fixture
def prices() -> FakePrices:
    return FakePrices()


@pytest.fixture
def prices_with() -> type[FakePrices]:
    return FakePrices
