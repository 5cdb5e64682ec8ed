"""Prices and measured figures at other values."""

import pytest

from steelyard.advise import DEFAULTS, Arm, Question, Scenario, advice_json, advise, what_if
from steelyard.core.errors import InputError

DRAWS = 200


@pytest.fixture
def question(prices):
    return Question(Scenario.read({}), DEFAULTS, prices)


def figures(question):
    told = advice_json(advise(question, draws=DRAWS))
    return {row["option"]: row for row in told["options"]}, told["formulas"]


def test_a_price_at_another_value_moves_only_what_is_paid_by_it(question):
    before, _ = figures(question)
    after, formulas = figures(what_if(question, {"price of gpu/h100-sxm": 2.0}))
    assert after["rag@gpu"]["parts"]["GPUs"] == pytest.approx(
        before["rag@gpu"]["parts"]["GPUs"] / 2
    )
    assert after["rag@api"]["total_usd"] == before["rag@api"]["total_usd"]
    origin = formulas["price of gpu/h100-sxm"]["origin"]
    assert origin["source"] == "what if, instead of 4 USD/hour"
    assert origin["seen"] == "2026-11-21"


def test_a_figure_at_another_value_has_no_range(question):
    after, formulas = figures(what_if(question, {"rag quality": 0.95, "rag first word": 300}))
    assert after["rag@api"]["quality"] == {"value": 0.95, "low": 0.95, "high": 0.95}
    assert after["rag@api"]["first_word_ms"]["value"] == 300
    assert formulas["rag quality"]["origin"]["source"] == "what if, instead of 0.8"
    assert question.measured.arms[Arm.RAG].quality.value == 0.8


def test_applying_a_flip_changes_the_choice_at_the_stated_values(question):
    told = advise(question, draws=DRAWS)
    flips = [one for one in told.flips if one.input.endswith((" quality", " first word"))]
    assert len(flips) > 2
    for flip in flips:
        after = advise(what_if(question, {flip.input: flip.value}), draws=DRAWS)
        assert after.at_point == flip.to, flip


def test_every_fault_is_named_at_once(question):
    wrong = {
        "price of gpu/h100-sxm": -1.0,
        "rag quality": 1.5,
        "rag first word": float("nan"),
        "oracle quality": 0.5,
    }
    with pytest.raises(InputError) as caught:
        what_if(question, wrong)
    for name in wrong:
        assert name in caught.value.message
    assert "from 0 to 1" in caught.value.message
