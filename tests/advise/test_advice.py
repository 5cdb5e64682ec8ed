"""The advice as a whole: the choice, how sure it is, and that what flips it does flip it."""

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.advise import (
    Arm,
    ArmMeasured,
    Figure,
    Measured,
    Question,
    Scenario,
    advice_json,
    advise,
    named_scenario,
    scenario_names,
)
from steelyard.advise.inputs import BY_KEY
from steelyard.advise.measured import DEFAULTS
from steelyard.advise.solve import solve

FEW = 400


def measured(*, spread: float = 0.0, **quality: float) -> Measured:
    arms = {"base": Arm.BASE, "rag": Arm.RAG, "tuned": Arm.TUNED, "both": Arm.BOTH}
    return Measured(
        {
            arms[name]: ArmMeasured(
                Figure(value, value - spread, value + spread, "a run", "2026-11-20"),
                Figure(500, 500, 500, "a run", "2026-11-20"),
            )
            for name, value in quality.items()
        },
        measure="EM",
        source="a run",
    )


def ask(prices, figures: Measured = DEFAULTS, **given_values):
    return advise(Question(Scenario.read(given_values), figures, prices), draws=FEW)


def test_the_cheapest_of_the_good_is_taken(prices):
    found = ask(prices, measured(base=0.3, rag=0.8, both=0.81), questions_per_day=500)
    assert str(found.recommended) == "rag@api"
    assert found.probability == 1
    assert not found.tie
    assert "cheapest" in found.reasons[0]


def test_what_is_worth_more_than_it_costs_is_taken_however_dear(prices):
    figures = measured(base=0.3, rag=0.8, both=0.9)
    cheap = ask(prices, figures, questions_per_day=2_000, tolerance=0.2)
    worthy = ask(prices, figures, questions_per_day=2_000, tolerance=0.2, worth_usd=1.0)
    assert (str(cheap.recommended), str(worthy.recommended)) == ("rag@api", "tuned+rag@gpu")


def test_equals_are_called_a_tie(prices):
    found = ask(prices, measured(spread=0.1, rag=0.8, both=0.83), questions_per_day=500)
    assert found.tie
    assert found.rivals
    assert sum(row.share for row in found.rows) + found.none_share == pytest.approx(1)


def test_conditions_exclude_with_their_reason(prices):
    found = ask(prices, citations=True, private=True)
    excluded = {str(row.option): row.excluded for row in found.rows if row.excluded}
    assert set(excluded) == {"base@api", "base@gpu", "rag@api", "tuned@gpu"}
    assert "cannot show sources" in excluded["tuned@gpu"]
    assert "private" in excluded["rag@api"]
    assert str(found.recommended) in ("rag@gpu", "tuned+rag@gpu")


def test_nothing_that_meets_the_conditions_is_said_so(prices):
    found = ask(prices, measured(rag=0.8), min_quality=0.95)
    assert found.recommended is None
    assert found.reasons[0] == "no way meets the conditions"
    assert any(flip.input == "min_quality" and str(flip.to) == "rag@api" for flip in found.flips)


def test_every_flip_flips_and_a_smaller_change_does_not(prices):
    figures = measured(base=0.3, rag=0.8, tuned=0.7, both=0.86)
    scenario = Scenario.read({"questions_per_day": 20_000, "tolerance": 0.04})
    question = Question(scenario, figures, prices)
    found = advise(question, draws=FEW)
    assert len(found.flips) > 5
    for flip in found.flips:
        near = flip.now + (flip.value - flip.now) * np.array([0.97, 1.0])
        picked = solve(question, cases={flip.input: near}).picked
        to = None if picked[1] == -1 else solve(question).options[picked[1]]
        assert to == flip.to, flip
        assert picked[0] == solve(question).picked[0], flip


def test_a_swing_is_what_its_input_does_alone(prices_with):
    question = Question(Scenario.read({}), measured(rag=0.8), prices_with(spread=0.2))
    found = advise(question, draws=FEW)
    assert [one.width for one in found.swings] == sorted(
        (one.width for one in found.swings), reverse=True
    )
    for swing in found.swings:
        totals = solve(question, cases={swing.input: np.array([swing.low, swing.high])}).table
        place = [str(one) for one in totals.options].index(str(found.recommended))
        assert totals.total_usd[:, place] == pytest.approx(
            [swing.total_at_low, swing.total_at_high]
        )


def test_from_the_break_even_on_the_other_is_cheaper(prices):
    figures = measured(base=0.3, rag=0.8)
    question = Question(Scenario.read({"questions_per_day": 100_000}), figures, prices)
    found = advise(question, draws=FEW).volumes
    one = next(
        one for one in found.breaks
        if {str(one.cheaper), str(one.dearer)} == {"rag@api", "rag@gpu"}
    )  # fmt: skip
    after = np.geomspace(one.questions_per_day * 1.01, found.questions_per_day[-1], 200)
    around = np.concatenate([[one.questions_per_day * 0.99], after])
    table = solve(question, cases={"questions_per_day": around}).table
    names = [str(option) for option in table.options]
    cheaper, dearer = names.index(str(one.cheaper)), names.index(str(one.dearer))
    gap = table.total_usd[:, cheaper] - table.total_usd[:, dearer]
    assert gap[0] > 0
    assert np.all(gap[1:] < 0)
    assert one.low <= one.questions_per_day <= one.high


def test_what_is_assumed_and_matters_is_to_be_measured_first(prices):
    found = ask(prices)
    assert found.to_measure[0].input.endswith(" quality")
    assert "steelyard eval run" in found.to_measure[0].measure
    assert any("nothing was measured" in one for one in found.warnings)
    measured_one = ask(prices, measured(base=0.3, rag=0.8, tuned=0.6, both=0.81))
    assert not any(one.input.endswith(" quality") for one in measured_one.to_measure)


def test_rules_of_thumb_are_marked_where_the_figures_disagree(prices):
    found = ask(prices, measured(rag=0.9, tuned=0.5), questions_per_day=200_000, churn=0.3)
    marks = {check.rule.split(":")[0]: check.agrees for check in found.checks if check.applies}
    assert marks["Over 100,000 questions a day"] is False
    assert marks["Frequently changing knowledge"] is True


def test_every_number_leads_to_inputs_with_a_source(prices):
    formulas = ask(prices).formulas
    for name, row in formulas.items():
        if "origin" in row:
            assert row["origin"]["source"], name
        else:
            assert row["formula"], name
            assert set(row["inputs"]) <= set(formulas), name
    assert formulas["price of person/hour"]["origin"]["seen"] == "2026-11-21"


def test_the_same_question_has_the_same_answer(prices):
    assert json.dumps(advice_json(ask(prices))) == json.dumps(advice_json(ask(prices)))


@pytest.mark.parametrize("name", scenario_names())
def test_named_scenarios_are_whole(name: str):
    assert named_scenario(name).title


def inputs_within() -> st.SearchStrategy[dict[str, float]]:
    keys = st.sampled_from(list(BY_KEY))
    return st.dictionaries(keys, st.floats(0, 1), max_size=8).map(
        lambda shares: {
            key: BY_KEY[key].low + share * (BY_KEY[key].high - BY_KEY[key].low)
            for key, share in shares.items()
        }
    )


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(inputs_within(), st.integers(1, 60))
def test_any_allowed_scenario_gives_finite_numbers(prices_with, values, months: int):
    spread = prices_with(spread=0.2)
    question = Question(Scenario.read(values | {"months": months}), DEFAULTS, spread)
    told = advice_json(advise(question, draws=100))
    json.dumps(told, allow_nan=False)
    assert all(math.isfinite(row["total_usd"]["value"]) for row in told["options"])
    assert all(row["total_usd"]["value"] > 0 for row in told["options"])
