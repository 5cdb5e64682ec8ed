"""What a reader is told beside the figures."""

import numpy as np

from steelyard.core.chat import Answer, Usage
from steelyard.core.evaluation import Outcome
from steelyard.evals.measures import parse_measures
from steelyard.evals.measures.judge import Judgements
from steelyard.flows.caveats import caveats, judge_note

TIMES = parse_measures("p95_ms")
KNOWN = {"a": {"p95_ms": np.ones(2)}, "b": {"p95_ms": np.ones(2)}}


def answered(cache: str) -> Outcome:
    said = Answer("a1", "21 days", True, (), (), (), Usage(), cache, "bundle", 1, ())
    return Outcome("q", answer=said)


def told(outcomes, num_reused=None, measures=TIMES, values=KNOWN) -> list[str]:
    return caveats(outcomes, num_reused or dict.fromkeys(outcomes, 0), measures, values)


def test_nothing_is_said_where_nothing_is_odd():
    assert told({"a": [answered("off")], "b": [Outcome("q")]}) == []


def test_an_arm_that_lacked_a_part_says_how_often_and_why():
    outcomes = [Outcome("q", degraded=("llm: gone",)), Outcome("q")]
    [note] = told({"a": outcomes})
    assert note.startswith("a: 1 of 2 questions were answered without all of its parts")
    assert "'llm: gone'" in note


def test_an_arm_with_a_cache_says_how_often_it_answered_and_that_order_counts():
    [note] = told({"a": [answered("miss"), answered("exact"), answered("similar")]})
    assert note.startswith("a: 2 of 3 answers came from its cache")
    assert "order of the questions" in note


def test_times_of_another_minute_are_told_from_those_of_now():
    outcomes = {"a": [Outcome("q")] * 2, "b": [Outcome("q")] * 2}
    [note] = told(outcomes, {"a": 2, "b": 0})
    assert "those of 2 of 2 of a are of earlier runs" in note
    assert "--fresh" in note
    assert told(outcomes, {"a": 2, "b": 2}) == []
    found = {"a": {"F1": np.ones(2)}}
    assert told(outcomes, {"a": 2, "b": 0}, measures=parse_measures("F1"), values=found) == []


def test_a_measure_without_a_value_says_so():
    values = {"a": {"EM": np.full(2, np.nan), "nDCG@10": np.array([1.0, np.nan])}}
    [note] = told({"a": []}, measures=parse_measures("EM,nDCG@10"), values=values)
    assert note.startswith("EM: no value")


def test_a_judge_that_failed_at_everything_has_no_noise_to_tell():
    nothing = np.full(2, np.nan)
    found = Judgements(nothing, nothing, 2, {"q1": "gone", "q2": "gone"})
    note = judge_note("judge:support", "a", found)
    assert note == "judge:support of a: 0 judged; 2 not judged, as 'q1': gone"
    found = Judgements(np.ones(2), np.array([0.0, 0.5]), 2)
    assert judge_note("judge:support", "a", found).endswith("agree on 50%, spread 0.250")
