"""Where most draws choose another way than the stated values do."""

from steelyard.advise import DEFAULTS, Question, advise, named_scenario


def test_reasons_do_not_call_the_cheapest_what_is_not(prices):
    scenario = named_scenario("internal-kb", {"tolerance": 0.061})
    told = advise(Question(scenario, DEFAULTS, prices), draws=2_000)
    assert told.recommended is not None
    assert told.at_point is not None
    assert told.recommended != told.at_point
    first = told.reasons[0]
    assert first.startswith(f"{told.recommended}: chosen in more draws than any other, though not")
    assert not any("the cheapest" in reason for reason in told.reasons)


def test_where_both_agree_the_reason_is_the_rule(prices):
    told = advise(Question(named_scenario("internal-kb"), DEFAULTS, prices), draws=2_000)
    assert told.recommended == told.at_point
    assert "the cheapest" in told.reasons[0]
