import math

from steelyard.core.chat import Usage
from steelyard.core.evaluation import Outcome, Question
from steelyard.evals.measures.effort import STAGES

from .conftest import answer, failed, value

QUESTION = Question("q", "?")
USAGE = Usage(prompt_tokens=120, completion_tokens=9, context_tokens=80)
OUTCOME = Outcome(
    "q",
    answer=answer("x", usage=USAGE),
    timings_ms={"rerank": 30.5, "first_token": 41.0},
    wall_ms=55.0,
    cost_usd=0.002,
)


def test_what_an_answer_took():
    names = ("prompt_tokens", "completion_tokens", "context_tokens", "cost_usd", "per_1000_usd")
    assert [value(name, QUESTION, OUTCOME) for name in names] == [120, 9, 80, 0.002, 2.0]
    times = ("p50_ms", "p99_ms", "p95_rerank_ms", "p50_ttft_ms", "mean_ms")
    assert [value(name, QUESTION, OUTCOME) for name in times] == [55, 55, 30.5, 41, 55]


def test_what_is_not_known_is_left_out():
    for name in ("p95_search_ms", "p95_generate_ms"):
        assert math.isnan(value(name, QUESTION, OUTCOME))
    for name in ("cost_usd", "per_1000_usd", "prompt_tokens", "completion_tokens"):
        assert math.isnan(value(name, QUESTION, Outcome("q")))


def test_a_time_out_took_as_long_as_its_asker_waited():
    late = failed(wall_ms=30_000.0, timings_ms={"search": 12.0})
    assert value("p95_ms", QUESTION, late) == 30_000
    assert value("p95_search_ms", QUESTION, late) == 12
    assert value("failed", QUESTION, late) == 1.0
    assert value("failed", QUESTION, OUTCOME) == 0.0


def test_degraded_by_the_flow_or_in_the_answer():
    assert value("degraded", QUESTION, Outcome("q", degraded=("dense",))) == 1.0
    told = Outcome("q", answer=answer("x", degraded=("rerank",)))
    assert value("degraded", QUESTION, told) == 1.0
    assert value("degraded", QUESTION, OUTCOME) == 0.0


def test_stages_are_those_that_usage_tells():
    told = Usage.__doc__ or ""
    assert all(stage in told for stage in STAGES if stage not in ("ttft", "found"))
