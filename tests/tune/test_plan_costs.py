from datetime import date

import pytest

from steelyard.core.prices import Mark, Price
from steelyard.core.tuning import TuneKind
from steelyard.tune.plan import costs, managed_offers
from steelyard.tune.recipe import Recipe


class FewPrices:
    """A price book of what a test gives."""

    on = date(2026, 11, 21)

    def __init__(self, **usd):
        self._rows = {
            item: Price(item, one, one / 2, one * 2, "USD", item, "a test", Mark.USER, self.on)
            for item, one in usd.items()
        }

    def price(self, item, *, prompt_tokens=0):
        return self._rows[item]

    def items(self, beginning=""):
        return tuple(sorted(one for one in self._rows if one.startswith(beginning)))

    def warnings(self, price):
        return ("is a test's",)


def test_hours_of_a_gpu_are_priced_by_the_book_and_one_without_a_price_is_left_out():
    prices = FewPrices(**{"gpu/h100-sxm": 4.0, "gpu/toaster": 1.0})
    recipe = Recipe(kind=TuneKind.LLM, base="x", method="lora")
    (found,) = costs(recipe, 8_000_000_000, 10_000_000, prices=prices)
    # 4 operations x 8e9 parameters x 1e7 tokens at a quarter of 989e12 a second.
    hours = 3.2e17 / (989e12 / 4) / 3600
    assert found.offer == "H100 SXM"
    assert found.hours == pytest.approx(hours)
    assert (found.low_usd, found.high_usd) == pytest.approx((2 * hours, 8 * hours))
    assert found.note == "at 25% of its peak; a test, seen 2026-11-21; is a test's"


def test_a_model_is_offered_at_the_smallest_size_that_holds_it_by_each_seller():
    prices = FewPrices(
        **{
            "tuning/a/up-to-16b": 0.5,
            "tuning/a/up-to-80b": 3.0,
            "tuning/b/up-to-10.5b": 0.4,
            "tuning/c/some-8b": 0.1,
        }
    )
    assert [one.usd for one in managed_offers(10.5, prices)] == [0.4, 0.5]
    assert [one.usd for one in managed_offers(17, prices)] == [3.0]
    assert managed_offers(81, prices) == ()


def test_only_a_language_model_has_managed_offers():
    prices = FewPrices(**{"tuning/a/up-to-16b": 0.5})
    language = costs(Recipe(kind=TuneKind.LLM, base="x"), 8_000_000_000, 2_000_000, prices=prices)
    assert [(one.low_usd, one.high_usd) for one in language] == [(0.5, 2.0)]
    assert costs(Recipe(kind=TuneKind.RERANKER, base="x"), 22_000_000, 9, prices=prices) == ()
