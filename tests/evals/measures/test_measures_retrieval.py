import math

import ir_measures
import numpy as np
import pytest
import pytrec_eval
from ir_measures import AP, RR, Judged, P, R, Success, nDCG

from steelyard.core.evaluation import Outcome, Question, Ranked
from steelyard.evals.measures import parse_measure

from .conftest import failed, ranking, value

THEIRS = {
    "nDCG@10": nDCG @ 10,
    "nDCG": nDCG,
    "R@5": R @ 5,
    "R@10": R @ 10,
    "RR@3": RR @ 3,
    "RR@10": RR @ 10,
    "RR": RR,
    "P@5": P @ 5,
    "AP": AP,
    "AP@7": AP @ 7,
    "Success@1": Success @ 1,
    "Judged@10": Judged @ 10,
}
TREC = {
    "nDCG@10": "ndcg_cut_10",
    "R@5": "recall_5",
    "RR": "recip_rank",
    "P@5": "P_5",
    "AP": "map",
    "AP@7": "map_cut_7",
    "Success@1": "success_1",
}


def falling(outcome):
    """Return scores as a caller who knows trec_eval's order would give them."""
    return {one.document_id: 1000.0 - rank for rank, one in enumerate(outcome.ranking)}


@pytest.mark.parametrize("name", THEIRS)
def test_values_equal_ir_measures(name, random_set):
    questions, outcomes = random_set
    pairs = [pair for pair in zip(questions, outcomes, strict=True) if pair[1].ranking]
    qrels = {question.id: dict(question.relevant) for question, _ in pairs if question.relevant}
    run = {question.id: falling(outcome) for question, outcome in pairs}
    expected = {
        one.query_id: one.value for one in ir_measures.iter_calc([THEIRS[name]], qrels, run)
    }
    values = parse_measure(name).values(questions, outcomes)
    checked = 0
    for question, outcome, got in zip(questions, outcomes, values, strict=True):
        if math.isnan(got):
            continue
        wanted = 0.0 if outcome.error else expected.get(question.id, 0.0)
        assert got == pytest.approx(wanted, abs=1e-6), question.id
        checked += 1
    assert checked > 100


@pytest.mark.parametrize("name", TREC)
def test_values_equal_trec_eval(name, random_set):
    questions, outcomes = random_set
    qrels = {question.id: dict(question.relevant) for question in questions if question.relevant}
    run = {
        question.id: falling(outcome)
        for question, outcome in zip(questions, outcomes, strict=True)
        if question.id in qrels and outcome.ranking and not outcome.error
    }
    kind = TREC[name].rpartition("_")
    asked = f"{kind[0]}.{kind[2]}" if kind[2].isdigit() else TREC[name]
    expected = pytrec_eval.RelevanceEvaluator(qrels, {asked}).evaluate(run)
    for question, got in zip(
        questions, parse_measure(name).values(questions, outcomes), strict=True
    ):
        if question.id in expected and any(grade > 0 for grade in question.relevant.values()):
            assert got == pytest.approx(expected[question.id][TREC[name]], abs=1e-6)


def test_our_order_counts_where_scores_tie():
    tied = tuple(Ranked(document, 0.5) for document in ("a", "b", "c"))
    for place, document in enumerate("abc", start=1):
        question = Question("q", "?", relevant={document: 1})
        assert value("RR@10", question, Outcome("q", ranking=tied)) == pytest.approx(1 / place)
        gain = 1 / math.log2(place + 1)
        assert value("nDCG@10", question, Outcome("q", ranking=tied)) == pytest.approx(gain)


def test_ndcg_of_grades_by_hand():
    question = Question("q", "?", relevant={"a": 2, "b": 1, "c": 0})
    got = value("nDCG@10", question, Outcome("q", ranking=ranking("c", "b", "x", "a")))
    gained = 1 / math.log2(3) + 2 / math.log2(5)
    assert got == pytest.approx(gained / (2 + 1 / math.log2(3)))


def test_a_short_ranking_is_divided_by_k_in_precision_alone():
    question = Question("q", "?", relevant={"a": 1, "b": 1})
    outcome = Outcome("q", ranking=ranking("a"))
    assert value("P@5", question, outcome) == pytest.approx(0.2)
    assert value("Judged@5", question, outcome) == 1.0
    assert value("R@5", question, outcome) == 0.5


def test_all_is_one_only_if_every_relevant_document_is_there():
    question = Question("q", "?", relevant={"a": 1, "b": 2, "z": 0})
    assert value("All@3", question, Outcome("q", ranking=ranking("x", "a", "b"))) == 1.0
    assert value("All@2", question, Outcome("q", ranking=ranking("x", "a", "b"))) == 0.0


def test_all_holds_for_shares_that_have_no_exact_float():
    documents = [f"d{n}" for n in range(49)]
    question = Question("q", "?", relevant=dict.fromkeys(documents, 1))
    assert value("All@49", question, Outcome("q", ranking=ranking(*documents))) == 1.0
    assert value("All@49", question, Outcome("q", ranking=ranking(*documents[1:]))) == 0.0


@pytest.mark.parametrize("name", [*THEIRS, "All@2"])
def test_a_failure_or_nothing_found_counts_as_zero(name):
    question = Question("q", "?", relevant={"a": 1})
    assert value(name, question, Outcome("q")) == 0.0
    assert value(name, question, failed()) == 0.0
    assert value(name, question, failed(ranking=ranking("a"))) == 0.0


@pytest.mark.parametrize("name", [*THEIRS, "All@2"])
def test_a_question_without_judgements_has_no_value(name):
    for outcome in (Outcome("q", ranking=ranking("a")), Outcome("q"), failed()):
        assert math.isnan(value(name, Question("q", "?"), outcome))


def test_a_question_without_a_relevant_document_has_only_a_judged_share():
    question = Question("q", "?", relevant={"a": 0, "b": -1})
    outcome = Outcome("q", ranking=ranking("a", "x"))
    assert math.isnan(value("nDCG@10", question, outcome))
    assert value("Judged@10", question, outcome) == 0.5


def test_a_document_named_twice_counts_where_it_came_first():
    question = Question("q", "?", relevant={"b": 1})
    outcome = Outcome("q", ranking=ranking("a", "a", "b"))
    assert value("RR@2", question, outcome) == 0.5


def test_two_questions_with_one_id_keep_their_own_values():
    questions = [Question("q", "?", relevant={"a": 1}), Question("q", "?", relevant={"b": 1})]
    outcomes = [Outcome("q", ranking=ranking("a", "b"))] * 2
    assert parse_measure("RR@5").values(questions, outcomes).tolist() == [1.0, 0.5]


def test_deep_rankings_keep_their_order():
    documents = [f"d{n}" for n in range(3000)]
    question = Question("q", "?", relevant={"d2999": 1})
    outcome = Outcome("q", ranking=tuple(Ranked(document, 0.0) for document in documents))
    assert value("RR", question, outcome) == pytest.approx(1 / 3000)
    assert np.isclose(value("AP", question, outcome), 1 / 3000)
