"""What a set can show, before and after a run."""

from math import inf, isnan, nan

import numpy as np
import pytest

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Interval
from steelyard.evals.statistics import plan, spread
from steelyard.evals.statistics.clustered import Clustered
from steelyard.evals.statistics.power import mean_mde, needed


def test_a_plan_by_hand():
    # Many single questions: (1.960 + .8416) · .35 / √1000 = .03101
    found = plan(1000, 1000, sd=0.35, min_effect=0.02)
    assert found.mde == pytest.approx(0.03101, rel=2e-3)
    # (2.8016 · .35 / .02)² = 2,404
    assert found.n_needed == pytest.approx(2404, abs=4)


def test_what_is_needed_is_just_enough():
    for questions, clusters in ((40, 10), (325, 325), (1000, 100)):
        asked = {"sd": 0.3, "icc": 0.2, "min_effect": 0.03, "num_comparisons": 4}
        n = plan(questions, clusters, **asked).n_needed
        per_cluster = questions / clusters
        assert plan(n, max(1, round(n / per_cluster)), **asked).mde <= 0.0302
        fewer = int(n * 0.95)
        assert plan(fewer, max(1, round(fewer / per_cluster)), **asked).mde > 0.03


def test_clusters_that_share_errors_take_more_questions():
    alone = plan(1000, 1000, sd=0.3, icc=0.3, min_effect=0.02)
    shared = plan(1000, 100, sd=0.3, icc=0.3, min_effect=0.02)
    # The design effect 1 + 9 · .3 = 3.7
    assert shared.n_needed / alone.n_needed == pytest.approx(3.7, rel=0.01)


def test_more_comparisons_and_more_power_take_more_questions():
    base = plan(500, 500, min_effect=0.03)
    assert plan(500, 500, min_effect=0.03, num_comparisons=12).n_needed > base.n_needed
    assert plan(500, 500, min_effect=0.03, power=0.95).n_needed > base.n_needed


def test_one_cluster_shows_nothing_and_an_absurd_effect_is_out_of_reach():
    assert plan(50, 1, min_effect=0.05).mde == inf
    assert plan(50, 50, min_effect=1e-9).n_needed is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_questions": 0},
        {"num_clusters": 101},
        {"sd": 0.0},
        {"sd": nan},
        {"icc": 1.5},
        {"min_effect": 0.0},
        {"power": 1.0},
        {"num_comparisons": 0},
    ],
)
def test_a_number_out_of_range_is_named(wrong):
    asked = {"num_questions": 100, "num_clusters": 50, "min_effect": 0.02, **wrong}
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name} = "):
        plan(asked.pop("num_questions"), asked.pop("num_clusters"), **asked)


def test_the_spread_of_an_earlier_run_plans_the_next_one():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(2000), 5)
    drawn = 0.3 * rng.normal(size=2000)[labels] + 0.4 * rng.normal(size=10_000)
    found = spread(drawn, labels)
    assert found.sd == pytest.approx(0.5, rel=0.03)
    assert found.icc == pytest.approx(0.36, abs=0.03)
    assert spread(drawn, np.arange(10_000)).icc == 0
    assert isnan(spread(np.array([nan, 1.0]), np.arange(2)).sd)
    assert spread(np.array([nan, 1.0, 1.0]), np.arange(3)).sd == 0


def test_a_difference_cannot_be_shown_by_fewer_clusters_than_a_test_needs():
    one_differs = np.zeros(50)
    one_differs[3] = 1
    column = Clustered.of(one_differs, np.arange(50), num_clusters=50)
    delta = Interval(0.02, 0.019, 0.021, 50)
    # 2 / 2^6 is the first below .05: six of 50; for twelve comparisons 2 / 2^9 · 12.
    assert mean_mde(column, delta, num_comparisons=1, bounded=True) >= 6 / 50
    assert mean_mde(column, delta, num_comparisons=12, bounded=True) >= 9 / 50


def test_what_is_needed_grows_with_the_square():
    assert needed(100, mde=0.04, min_effect=0.02) == 400
    assert needed(100, mde=0.04, min_effect=None) is None
    assert needed(100, mde=nan, min_effect=0.02) is None


def test_a_large_difference_everywhere_leaves_small_ones_visible():
    rng = np.random.default_rng(5)
    worse = Clustered.of(rng.normal(-0.3, 0.05, 40), np.arange(40), num_clusters=40)
    delta = Interval(worse.mean, worse.mean - 0.016, worse.mean + 0.016, 40)
    assert mean_mde(worse, delta, num_comparisons=3, bounded=True) < 0.04
