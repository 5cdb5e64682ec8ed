"""What the query log says of the traffic, and where it takes the place of stated inputs."""

from dataclasses import replace

import pytest

from steelyard.advise import DEFAULTS, Arm, Scenario
from steelyard.core.errors import InputError
from steelyard.flows.traffic import traffic_of, with_traffic
from steelyard.store import UsedAnswer

START = 1_790_000_000.0


def answer(text: str, at: float, *, cache: str = "miss", **fields) -> UsedAnswer:
    tokens = {"prompt_tokens": 1_000, "cached_tokens": 250, "completion_tokens": 80}
    if cache in ("exact", "semantic"):
        tokens = dict.fromkeys(tokens, 0)
    row = UsedAnswer(
        text=text.encode(), at=START + at, principal_id="p", collection="default", bundle="b",
        model="an-llm", cache=cache, error="", generate_s=1.0, **tokens,
    )  # fmt: skip
    return replace(row, **fields)


def day(*, hours: int = 24) -> list[UsedAnswer]:
    """Two questions an hour, the second served again; in the last hour ten more of the first."""
    rows = []
    for hour in range(hours):
        text = f"answer {hour % 12}"
        rows.append(answer(text, hour * 3600, cache="miss" if hour < 12 else "exact"))
        rows.append(answer(text, hour * 3600 + 60, cache="exact"))
    rows += [answer("answer 0", (hours - 1) * 3600 + 100 + n, cache="semantic") for n in range(10)]
    return [*rows, answer("", hours * 3600, error="timeout")]


def test_volume_hits_and_tokens_are_those_of_the_log():
    found = traffic_of(day())
    assert found.num == 58  # the failure is left out
    assert found.hit_ratio == pytest.approx(1 - 12 / 58)
    assert found.questions_per_day == pytest.approx(58 / found.days)
    assert found.cached_share == 0.25
    assert found.prompt_tokens is not None
    assert found.prompt_tokens.value == 1_000
    assert found.peak_factor is None  # of one day no peak can be told
    assert sorted(found.times)[-1] == 14
    assert sum(found.times) == found.num


def test_a_peak_is_the_busiest_hour_over_the_mean():
    found = traffic_of(day(hours=60))
    assert found.peak_factor == pytest.approx(12 / (130 / 60))


def test_what_was_asked_before_is_served_again_as_often_as_up_to_now():
    found = traffic_of(day())
    value, low, high = found.hits_to_come(1_000)
    assert low <= value <= high
    assert value == pytest.approx(1.0, abs=0.02)  # all twelve are known, and nothing was new lately


def test_the_log_takes_the_place_of_defaults_and_not_of_what_was_said():
    scenario = Scenario.read({"hit_ratio": 0.1})
    chosen, measured = with_traffic(scenario, DEFAULTS, traffic_of(day()), given=["hit_ratio"])
    assert chosen["hit_ratio"].value == 0.1
    assert chosen["questions_per_day"].source == "query log, 58 answers to 2026-09-22"
    assert chosen["peak_factor"] == scenario["peak_factor"]
    assert measured.arms[Arm.RAG].prompt_tokens is not None
    assert measured.arms[Arm.BASE].prompt_tokens is None


def test_answers_with_the_same_words_are_not_taken_for_one():
    rows = [answer("I do not know", n * 60) for n in range(30)]
    rows += [answer("I do not know", 3_000 + n, cache="exact") for n in range(45)]
    assert sorted(traffic_of(rows).times) == [2] * 15 + [3] * 15


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([answer("a", n) for n in range(5)], "has 5 answers, and 30 are needed"),
        ([answer("a", 0) for _ in range(40)], "of one second"),
    ],
)
def test_too_little_is_named(rows: list[UsedAnswer], said: str):
    with pytest.raises(InputError, match=said):
        traffic_of(rows)


def test_a_model_that_tells_no_tokens_leaves_them_as_they_were():
    rows = [answer(f"{n}", n * 60, prompt_tokens=None, cached_tokens=None) for n in range(40)]
    found = traffic_of(rows)
    assert (found.prompt_tokens, found.cached_share) == (None, None)
    _, measured = with_traffic(Scenario.read({}), DEFAULTS, found)
    assert measured.arms == DEFAULTS.arms
