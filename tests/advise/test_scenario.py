"""A scenario is checked as a whole."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.advise.inputs import BY_KEY, SPECS
from steelyard.advise.scenario import Scenario
from steelyard.core.errors import InputError


def test_what_is_not_said_has_a_stated_default_within_its_own_range():
    scenario = Scenario.read({})
    assert set(scenario.values) == set(BY_KEY)
    for spec in SPECS:
        value = scenario[spec.key]
        assert spec.low <= value.low <= value.value <= value.high <= spec.high, spec.key
        assert value.is_default


def test_a_number_is_certain_and_a_range_is_not():
    scenario = Scenario.read({"churn": 0.2, "growth": {"value": 0.1, "low": 0, "high": 0.3}})
    assert (scenario["churn"].low, scenario["churn"].high) == (0.2, 0.2)
    assert (scenario["growth"].low, scenario["growth"].high) == (0, 0.3)
    assert not scenario["churn"].is_default


def test_all_faults_are_named_at_once_with_the_allowed_range():
    with pytest.raises(InputError) as told:
        Scenario.read(
            {
                "questions_per_day": -5,
                "churn": math.nan,
                "growth": {"value": 0.5, "low": 0.6},
                "hit_ratio": "often",
                "months": 0,
                "citations": "yes",
                "gpu": 3,
                "question_per_day": 7,
                "throughput": [{"tokens_in": 1}],
            }
        )
    said = told.value.message
    for words in (
        "questions_per_day: -5 is no number from 0.1 to 1e+10 (question/day)",
        "churn: nan is no number",
        "low 0.6 ≤ value 0.5",
        "hit_ratio: 'often' is no number",
        "months: 0 is no whole number from 1 to 60",
        "citations: 'yes' is neither",
        "gpu: 3 is no name",
        "did you mean 'questions_per_day'?",
        "throughput: {'tokens_in': 1} needs",
    ):
        assert words in said


def test_nothing_to_run_a_model_on_is_named():
    with pytest.raises(InputError, match="nothing could answer"):
        Scenario.read({"api_model": "", "gpu": ""})


@given(
    st.dictionaries(
        st.sampled_from([*BY_KEY, "months", "gpu", "private", "throughput", "nonsense"]),
        st.one_of(
            st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5),
            st.dictionaries(st.sampled_from(["value", "low", "high", "x"]), st.floats()),
            st.lists(st.integers(), max_size=2),
        ),
        max_size=5,
    )
)  # fmt: skip
def test_any_input_is_a_scenario_or_an_input_error(given_values: dict[str, object]):
    try:
        scenario = Scenario.read(given_values)
    except InputError:
        return
    assert all(math.isfinite(value.value) for value in scenario.values.values())
