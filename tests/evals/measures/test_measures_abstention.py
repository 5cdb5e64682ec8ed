import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.evaluation import Outcome, Question
from steelyard.evals.measures import parse_measure
from steelyard.evals.measures.abstention import auroc_values

from .conftest import failed, refused, said, value

TOLD = Question("q", "?", answerable=True)
UNTOLD = Question("q", "?", answerable=False)
UNKNOWN = Question("q", "?")


@dataclass(frozen=True)
class SureAnswer:
    """As much of an answer as confidence needs."""

    confidence: float | None
    answerable: bool = True
    degraded: tuple[str, ...] = field(default=())


def sure(confidence):
    return Outcome("q", answer=SureAnswer(confidence))


def test_answering_and_declining_by_hand():
    assert value("answered", TOLD, said("x")) == 1.0
    assert value("answered", TOLD, refused()) == 0.0
    assert value("abstained", UNTOLD, refused()) == 1.0
    assert value("abstained", UNTOLD, said("x")) == 0.0
    questions = [TOLD, TOLD, UNTOLD, UNTOLD]
    outcomes = [said("x"), refused(), refused(), said("x")]
    assert parse_measure("abstention").values(questions, outcomes).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("name", ["answered", "abstained", "abstention", "AUROC"])
def test_what_is_not_known_does_not_count(name):
    assert math.isnan(value(name, UNKNOWN, said("x")))
    assert math.isnan(value(name, UNKNOWN, failed()))


def test_gold_answers_say_that_it_can_be_answered():
    assert value("answered", Question("q", "?", answers=("x",)), said("y")) == 1.0


def test_a_failure_neither_answers_nor_declines():
    assert value("answered", TOLD, failed()) == 0.0
    assert value("abstained", UNTOLD, failed()) == 0.0
    assert parse_measure("abstention").values([TOLD, UNTOLD], [failed()] * 2).tolist() == [0, 0]


def test_auroc_by_hand():
    # 0.9 beats both, 0.4 beats 0.1 and ties 0.4: (1 + 1 + 1 + .5) / 4
    questions = [TOLD, TOLD, UNTOLD, UNTOLD, UNKNOWN]
    outcomes = [sure(0.9), sure(0.4), sure(0.1), sure(0.4), sure(0.99)]
    values = auroc_values(questions, outcomes)
    assert np.nanmean(values) == pytest.approx(0.875)
    assert math.isnan(values[4])


def test_answering_or_not_is_the_confidence_where_none_is_told():
    values = auroc_values([TOLD, TOLD, UNTOLD], [said("x"), refused(), refused()])
    assert values.mean() == pytest.approx((1 + 0.5) / 2)


def test_a_failure_loses_to_everything():
    questions = [TOLD, TOLD, UNTOLD, UNTOLD]
    perfect = [sure(0.9), sure(0.8), sure(0.1), sure(0.2)]
    assert auroc_values(questions, perfect).mean() == 1.0
    assert auroc_values(questions, [failed(), *perfect[1:]]).mean() == pytest.approx(0.5)
    assert auroc_values(questions, [*perfect[:3], failed()]).mean() == pytest.approx(0.5)
    assert auroc_values(questions, [failed()] * 4).mean() == 0.0


def test_one_class_alone_has_no_auroc():
    assert np.isnan(auroc_values([TOLD, TOLD], [sure(0.1), sure(0.2)])).all()


labelled = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda rows: len({told for told, _ in rows}) == 2
)


@given(labelled)
def test_the_mean_is_the_auroc_and_the_spread_delongs(rows):
    positive = np.array([score for told, score in rows if told])
    negative = np.array([score for told, score in rows if not told])
    beats = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    values = auroc_values(
        [TOLD if told else UNTOLD for told, _ in rows], [sure(float(score)) for _, score in rows]
    )
    assert values.mean() == pytest.approx(beats.mean())
    # DeLong's variance, with population variances of the placements, by its definition
    expected = beats.mean(1).var() / len(positive) + beats.mean(0).var() / len(negative)
    assert (values.var() / len(rows)) == pytest.approx(expected, abs=1e-12)


def test_a_bootstrap_of_the_values_covers_the_true_auroc():
    """Normal scores one standard deviation apart: AUROC = Phi(1 / sqrt 2) = .7602."""
    rng = np.random.default_rng(7)
    questions = [TOLD] * 60 + [UNTOLD] * 60
    covered = 0
    for _ in range(400):
        scores = np.r_[rng.normal(1, 1, 60), rng.normal(0, 1, 60)]
        values = auroc_values(questions, [sure(float(score)) for score in scores])
        half = 1.96 * values.std(ddof=1) / math.sqrt(len(values))
        covered += abs(values.mean() - 0.7602) <= half
    assert 0.92 <= covered / 400 <= 0.98
