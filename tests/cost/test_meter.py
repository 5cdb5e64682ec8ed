from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.chat import Answer, Usage
from steelyard.cost import (
    Bill,
    Book,
    Used,
    answer_bill,
    machine_bill,
    training_bill,
    used_by,
)

BOOK = Book(on=date(2026, 11, 21))


def test_an_answer_by_api_costs_what_the_arithmetic_says():
    # 4,000 tokens in at 0.10, 300 out at 0.50 a million.
    bill = answer_bill(Used("gpt-6-luna", 4000, 300), BOOK)
    assert bill.usd == pytest.approx(0.00055)
    assert [(one.what, one.amount, one.usd) for one in bill.parts] == [
        ("in", 0.004, pytest.approx(0.0004)),
        ("out", 0.0003, pytest.approx(0.00015)),
    ]
    assert answer_bill(Used("gpt-6.1-terra", 4000, 300), BOOK).usd == pytest.approx(0.0055)
    assert answer_bill(Used("claude-sonnet-5.5", 4000, 300), BOOK).usd == pytest.approx(0.011)


def test_tokens_from_the_servers_cache_cost_their_own_price():
    # 1,000 at 0.10, 3,000 at 0.01, 300 at 0.50 a million.
    bill = answer_bill(Used("gpt-6-luna", 4000, 300, cached_tokens=3000), BOOK)
    assert bill.usd == pytest.approx((1000 * 0.10 + 3000 * 0.01 + 300 * 0.50) / 1e6)
    assert [one.what for one in bill.parts] == ["in", "cached", "out"]


def test_cached_tokens_without_a_price_of_their_own_cost_what_is_read():
    plain = answer_bill(Used("llama-3.1-8b@groq", 4000, 300), BOOK)
    cached = answer_bill(Used("llama-3.1-8b@groq", 4000, 300, cached_tokens=4000), BOOK)
    assert cached.usd == pytest.approx(plain.usd)


def test_a_long_prompt_is_paid_by_its_tier_all_of_it():
    short = answer_bill(Used("claude-haiku-5-5", 100_000, 1000), BOOK)
    long = answer_bill(Used("claude-haiku-5-5", 100_001, 1000), BOOK)
    assert short.usd == pytest.approx(0.0100 + 0.0005)
    assert long.usd == pytest.approx(0.0500005 + 0.0025)


@pytest.mark.parametrize(
    ("used", "why"),
    [
        (Used("acme-7", 10, 10), "no price of 'acme-7'"),
        (Used("", 10, 10), "no model is named"),
        (Used("gpt-6-luna", None, 10), "'gpt-6-luna' did not tell its tokens"),
        (Used("gpt-6-luna", 10, None), "'gpt-6-luna' did not tell its tokens"),
    ],
)
def test_what_nobody_told_makes_the_cost_unknown_and_says_why(used, why):
    assert answer_bill(used, BOOK) == Bill(unknown=why)
    assert answer_bill(used, BOOK).usd is None


def test_an_expired_price_makes_the_cost_unknown():
    bill = answer_bill(Used("gpt-6-luna", 10, 10), Book(on=date(2026, 9, 1)))
    assert bill.usd is None
    assert "has no price on 2026-09-01" in bill.unknown


def test_the_documents_own_words_cost_nothing():
    assert answer_bill(Used("extractive, default@1f", None, None), BOOK).usd == 0.0


def test_a_model_of_ones_own_is_paid_for_by_the_hour_of_its_machine():
    own = Used("our-8b", None, None, machine_s=1.8)
    assert answer_bill(own, BOOK, machine="gpu/h100-sxm").usd == pytest.approx(1.8 / 3600 * 3.99)
    known = Used("gpt-6-luna", 4000, 300, machine_s=1.8)
    assert answer_bill(known, BOOK, machine="gpu/h100-sxm").usd == pytest.approx(0.00055)


def test_a_machine_by_the_month_or_without_a_price_is_unknown():
    assert "not by the hour" in machine_bill(1, BOOK, "server/cpu-4").unknown
    assert "no price is known of 'gpu/toaster'" in machine_bill(1, BOOK, "gpu/toaster").unknown


def test_training_costs_its_tokens():
    # 5M tokens x 3 epochs at 0.48 a million.
    assert training_bill(15e6, BOOK, "tuning/together/up-to-16b").usd == pytest.approx(7.2)
    assert training_bill(15e6, BOOK, "tuning/nobody").usd is None


def test_an_answer_served_again_used_nothing_and_a_silent_one_nobody_knows():
    def answer(cache):
        usage = Usage({"generate": 500.0}, model="gpt-6-luna")
        return Answer("a", "", True, (), (), (), usage, cache, "b", 1, ())

    assert answer_bill(used_by(answer("exact")), BOOK).usd == 0.0
    silent = used_by(answer("miss"))
    assert (silent.prompt_tokens, silent.machine_s) == (None, 0.5)


tokens = st.integers(min_value=0, max_value=1_000_000)


@given(prompt=tokens, out=tokens, cached=tokens | st.none())
def test_parts_add_up_and_a_cache_never_makes_it_dearer(prompt, out, cached):
    bill = answer_bill(Used("gpt-6.1-terra", prompt, out, cached), BOOK)
    assert bill.usd == pytest.approx(sum(one.amount * one.price.usd for one in bill.parts))
    read = sum(one.amount for one in bill.parts if one.what != "out")
    assert read * 1e6 == pytest.approx(prompt)
    plain = answer_bill(Used("gpt-6.1-terra", prompt, out), BOOK)
    assert 0 <= bill.usd <= plain.usd + 1e-12
