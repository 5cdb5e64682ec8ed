import collections
import math
import re
import string
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.evaluation import Outcome, Question
from steelyard.evals.measures import parse_measure, words

from .conftest import failed, ranking, refused, said, value

OPENS = Question("q", "When does it open?", answers=("at nine o'clock", "nine"))
UNTOLD = Question("q", "Who paints it?", answerable=False)
sentences = st.text(alphabet="abc the an-.'\n", max_size=40)


def squad_f1(gold, given):
    """SQuAD 2.0's own way, word for word as in its script."""

    def normalize_answer(s):
        s = "".join(ch for ch in s.lower() if ch not in set(string.punctuation))
        s = re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", s)
        return " ".join(s.split())

    gold_toks, pred_toks = normalize_answer(gold).split(), normalize_answer(given).split()
    common = collections.Counter(gold_toks) & collections.Counter(pred_toks)
    num_same = sum(common.values())
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        return int(gold_toks == pred_toks)
    if num_same == 0:
        return 0
    precision, recall = num_same / len(pred_toks), num_same / len(gold_toks)
    return (2 * precision * recall) / (precision + recall)


@given(sentences, sentences)
def test_f1_equals_squads_script(gold, given_text):
    assert words.f1(given_text, gold) == pytest.approx(squad_f1(gold, given_text), abs=1e-12)


def test_f1_by_hand():
    # "opens", "nine", "sharp" against "nine", "oclock": one word in common
    answer = said("It's: the nine sharp!")
    question = Question("q", "?", answers=("nine o'clock",))
    assert value("F1", question, answer) == pytest.approx(2 * 1 / (3 + 2))
    assert value("EM", question, answer) == 0.0


def test_the_best_gold_answer_counts():
    assert value("EM", OPENS, said("Nine.")) == 1.0
    assert value("F1", OPENS, said("at nine o'clock")) == 1.0


def test_marks_are_no_words():
    assert value("EM", OPENS, said("Nine [1].")) == 1.0
    assert value("F1", OPENS, said("nine 【2†page】[3]")) == 1.0
    assert value("contains", OPENS, said("It opens at [2] nine.")) == 1.0
    assert value("ROUGE-L", OPENS, said("nine [1, 2]")) == 1.0


def test_words_of_an_answer_that_hold_the_gold_answer_only_as_a_part_of_one_do_not_contain_it():
    question = Question("q", "?", answers=("218",))
    assert value("contains", question, said("There were 218 people.")) == 1.0
    assert value("contains", question, said("There were 1,218 people.")) == 0.0


def test_rouge_l_by_hand():
    # the police killed gunman | police kill the gunman: LCS "the gunman" = "police gunman" = 2
    question = Question("q", "?", answers=("police killed the gunman",))
    assert value("ROUGE-L", question, said("police kill the gunman")) == pytest.approx(0.75)
    assert value("ROUGE-L", question, said("the gunman kill police")) == pytest.approx(0.5)
    longer = said("Yesterday the police have, at last, killed a gunman.")  # 9 words, LCS 3
    assert value("ROUGE-L", question, longer) == pytest.approx(2 * 3 / (9 + 4))


def plain_lcs(left, right):
    rows = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, one in enumerate(left, 1):
        for j, other in enumerate(right, 1):
            rows[i][j] = (
                rows[i - 1][j - 1] + 1 if one == other else max(rows[i - 1][j], rows[i][j - 1])
            )
    return rows[-1][-1]


@given(
    st.lists(st.sampled_from("abcd"), max_size=90), st.lists(st.sampled_from("abcde"), max_size=90)
)
def test_rouge_l_finds_the_longest_common_subsequence(left, right):
    longest = plain_lcs(left, right)
    expected = 2 * longest / (len(left) + len(right)) if left and right else 0.0
    assert words.rouge_l(" ".join(left), " ".join(right)) == pytest.approx(expected)


def test_scripts_without_spaces_are_compared_by_character_in_rouge():
    assert words.rouge_l("東京都", "京都") == pytest.approx(2 * 2 / 5)


@pytest.mark.parametrize("name", ["EM", "F1"])
def test_declining_is_right_where_nothing_is_told(name):
    assert value(name, UNTOLD, refused()) == 1.0
    assert value(name, UNTOLD, said("Nobody.")) == 0.0
    assert value(name, UNTOLD, failed()) == 0.0


@pytest.mark.parametrize("name", ["EM", "F1", "contains", "ROUGE-L"])
def test_declining_what_is_told_and_failing_count_as_zero(name):
    assert value(name, OPENS, failed()) == 0.0
    assert value(name, Question("q", "?", answers=("The documents don't tell.",)), refused()) == 0.0


@pytest.mark.parametrize("name", ["contains", "ROUGE-L"])
def test_unanswerable_questions_have_nothing_to_contain(name):
    assert math.isnan(value(name, UNTOLD, refused()))
    assert math.isnan(value(name, UNTOLD, failed()))


@pytest.mark.parametrize("name", ["EM", "F1", "contains", "ROUGE-L"])
def test_a_question_without_gold_answers_has_no_value(name):
    for question in (Question("q", "?"), Question("q", "?", answerable=True, answers=("the", "."))):
        assert math.isnan(value(name, question, said("nine")))
        assert math.isnan(value(name, question, failed()))


@pytest.mark.parametrize("name", ["EM", "answered", "cite_recall", "support", "AUROC"])
def test_an_arm_that_only_retrieves_has_no_values_though_one_question_failed(name):
    questions = [OPENS, UNTOLD, Question("q", "?", answers=("x",), relevant={"a": 1})]
    outcomes = [Outcome("q", ranking=ranking("a")), Outcome("q"), failed()]
    values = parse_measure(name).values(questions, outcomes)
    assert all(math.isnan(value) for value in values)


def test_an_arm_that_failed_at_everything_has_zeros():
    assert parse_measure("EM").values([OPENS, UNTOLD], [failed(), failed()]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("name", "expected"), [("EM_short", 0.0), ("F1_short", 2 / 3)])
def test_short_answer_is_compared_apart_from_the_text_around_it(name, expected):
    outcome = said("The library opens at nine in the morning. [1]")
    short = replace(outcome, answer=replace(outcome.answer, short="nine sharp"))
    question = Question("q", "When?", answers=("nine",), answerable=True)
    assert value(name, question, short) == pytest.approx(expected)
    assert np.isnan(value(name, question, outcome))  # it points nothing out


def test_declining_what_can_be_answered_is_no_short_answer():
    questions = [Question(n, "When?", answers=("nine",), answerable=True) for n in ("a", "b")]
    told = said("At nine. [1]")
    told = replace(told, answer=replace(told.answer, short="nine"))
    declined = replace(told, answer=replace(told.answer, answerable=False, short=""))
    values = parse_measure("F1_short").values(questions, [told, declined])
    assert values.tolist() == [1.0, 0.0]
