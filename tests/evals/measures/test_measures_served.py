"""Agreement with what was served, by hand."""

import math

import pytest

from steelyard.core.chat import Answer, Citation, Usage
from steelyard.core.evaluation import Better, Outcome, Question
from steelyard.evals.measures import parse_measure

SERVED = Question(
    "a1",
    "How long is leave?",
    answers=("Leave is 31 days [1].",),
    answerable=True,
    relevant={"leave": 1, "travel": 1},
    origin="served",
)
DECLINED = Question("a2", "Who?", answerable=False, origin="served")


def outcome(
    text: str = "", *, identity: str = "new", cited: tuple[str, ...] = (), error: str = ""
) -> Outcome:
    if error:
        return Outcome("a1", error=error)
    citations = tuple(Citation(1, name, name, 1, 0, 1, "x") for name in cited)
    answer = Answer(identity, text, bool(text), citations, (), (), Usage(), "off", "b", 1, ())
    return Outcome("a1", answer=answer)


def value(name: str, question: Question, given: Outcome) -> float:
    return float(parse_measure(name).values([question], [given])[0])


def test_the_words_of_both_answers_are_compared_without_marks():
    assert value("agree_F1", SERVED, outcome("Leave is 31 days.")) == 1.0
    # 3 words in common of 4 then and 5 now.
    assert value("agree_F1", SERVED, outcome("leave is 24 days now")) == pytest.approx(6 / 9)


def test_declining_agrees_with_declining_only():
    assert value("agree_F1", DECLINED, outcome("")) == 1.0
    assert value("agree_F1", DECLINED, outcome("Ann.")) == 0.0
    assert value("agree_F1", SERVED, outcome("")) == 0.0


def test_cited_documents_are_compared_as_sets():
    now = outcome("x", cited=("leave", "leave", "notice"))
    assert value("agree_sources", SERVED, now) == pytest.approx(1 / 3)
    assert value("agree_sources", SERVED, outcome("x", cited=("travel", "leave"))) == 1.0
    assert value("agree_sources", SERVED, outcome("")) == 0.0
    assert math.isnan(value("agree_sources", DECLINED, now))


def test_a_failure_agrees_with_nothing_and_is_no_way_to_disagree_with_a_bad_answer():
    failed = outcome(error="upstream: gone")
    assert value("agree_F1", SERVED, failed) == 0.0
    assert value("agree_sources", SERVED, failed) == 0.0
    for rating, name, expected in (("up", "agree_up", 0.0), ("down", "agree_down", 1.0)):
        rated = Question("a1", "?", ("x",), True, type=f"rated {rating}", origin="served")
        assert value(name, rated, failed) == expected
    assert parse_measure("agree_down").better is Better.LOWER


def test_ratings_choose_the_questions():
    up = Question("a1", "?", ("It is so",), True, type="rated up", origin="served")
    assert value("agree_up", up, outcome("It is so")) == 1.0
    assert math.isnan(value("agree_down", up, outcome("It is so")))
    assert math.isnan(value("agree_up", SERVED, outcome("It is so")))


def test_what_was_served_and_questions_of_other_origins_have_no_value():
    gold = Question("a1", "?", ("x",), True)
    unanswered = Question("a1", "?", origin="served")
    for name in ("agree_F1", "agree_sources", "agree_up", "agree_down"):
        assert math.isnan(value(name, SERVED, outcome("x", identity="a1")))
        assert math.isnan(value(name, gold, outcome("x")))
        assert math.isnan(value(name, unanswered, outcome("x")))
        assert math.isnan(value(name, SERVED, Outcome("a1")))  # an arm that only searches
