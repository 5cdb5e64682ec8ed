"""Intervals of means and quantiles of clustered values."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Reduce
from steelyard.evals.statistics import Bounds, holm, interval
from steelyard.evals.statistics.clustered import Clustered, compact
from steelyard.evals.statistics.resampling import QuantileColumn, count_blocks
from steelyard.evals.statistics.student import log_binomial, student_quantile

values = st.lists(st.floats(-10, 10, width=32), min_size=2, max_size=60)


def test_the_error_of_clusters_is_the_ratio_estimators():
    # Sums 3, 1, 2 of sizes 3, 1, 4: mean 6/8; residuals .75, .25, −1; 3/2 · 1.625 / 64.
    column = Clustered.of(
        np.array([1, 1, 1, 1, 1, 1, 0, 0.0]),
        np.array([0, 0, 0, 1, 2, 2, 2, 2]),
        num_clusters=3,
    )
    assert column.mean == 0.75
    assert column.residuals_C.tolist() == [0.75, 0.25, -1.0]
    assert column.variance == pytest.approx(1.5 * 1.625 / 64)


def test_single_questions_have_about_the_t_interval():
    rng = np.random.default_rng(1)
    drawn = rng.normal(5, 2, 400)
    found = interval(drawn, np.arange(400))
    half = 1.966 * drawn.std(ddof=1) / 20
    assert found.value == pytest.approx(drawn.mean())
    assert found.low == pytest.approx(drawn.mean() - half, abs=0.01)
    assert found.high == pytest.approx(drawn.mean() + half, abs=0.01)


def test_all_right_is_no_certainty():
    # 30 of 30 right: at least .025^(1/30) = .8843 (Clopper-Pearson); 30 clusters of 4 say no more.
    alone = interval(np.ones(30), np.arange(30))
    assert (alone.low, alone.high) == pytest.approx((0.88430, 1.0), abs=1e-5)
    shared = interval(np.ones(120), np.arange(120) // 4)
    assert shared.low == pytest.approx(alone.low)


def test_constant_values_without_bounds_vary_as_much_as_they_measure():
    found = interval(np.full(30, 500.0), np.arange(30))
    assert (found.low, found.high) == pytest.approx((500 - 57.85, 500 + 57.85), abs=0.01)
    nothing = interval(np.zeros(30), np.arange(30), bounds=Bounds(low=0.0))
    assert (nothing.low, nothing.high) == (0, 0)


def test_one_cluster_says_next_to_nothing():
    found = interval(np.array([0.0, 1.0, 1.0]), np.zeros(3, dtype=int))
    assert found.low < 0.02
    assert found.high > 0.98


def test_nothing_applies_gives_nan():
    for reduce in Reduce:
        found = interval(np.full(3, np.nan), np.arange(3), reduce=reduce)
        assert found.n == 0
        assert isnan(found.value)
        assert isnan(found.low)
    assert interval(np.empty(0), np.empty(0, dtype=int)).n == 0


def test_values_that_do_not_apply_change_nothing():
    rng = np.random.default_rng(2)
    drawn = rng.random(60)
    labels = np.arange(60) // 3
    holes = np.concatenate([drawn, np.full(7, np.nan)])
    with_holes = interval(holes, np.concatenate([labels, labels[:7]]), seed=3)
    without = interval(drawn, labels, seed=3)
    assert (with_holes.low, with_holes.high) == pytest.approx((without.low, without.high))


def test_a_quantile_has_the_ranks_that_the_binomial_allows():
    # Of 1,000 values, Bin(1000, .5) lies within 469 .. 531 with 95 %: ranks 469 and 532.
    ranks = np.arange(1, 1001, dtype=float)
    median = interval(ranks, np.arange(1000), reduce=Reduce.P50)
    assert (median.value, median.low, median.high) == (500, 469, 532)


@settings(deadline=None)
@given(values, st.integers(1, 30), st.sampled_from([Reduce.P50, Reduce.P95, Reduce.P99]))
def test_a_quantile_lies_between_its_limits_or_they_are_unknown(drawn, per_cluster, reduce):
    found = interval(np.array(drawn), np.arange(len(drawn)) // per_cluster, reduce=reduce)
    assert isnan(found.low) or found.low <= found.value
    assert isnan(found.high) or found.value <= found.high


def test_too_few_values_cannot_say_how_high_a_quantile_may_be():
    found = interval(np.arange(100.0), np.arange(100), reduce=Reduce.P99)
    assert found.value == 98
    assert isnan(found.high)
    assert found.low < 98


def test_labels_must_fit():
    with pytest.raises(InputError, match="3 values but clusters of shape"):
        interval(np.zeros(3), np.zeros(2, dtype=int))
    assert compact(np.array([7, 3, 7, -1]), num_items=4).tolist() == [0, 1, 0, 2]


def test_the_windowed_quantile_is_the_weighted_one():
    rng = np.random.default_rng(4)
    drawn = np.round(rng.lognormal(size=700), 1)
    labels = rng.integers(0, 90, 700)
    for q in (0.5, 0.95, 0.99):
        column = QuantileColumn(drawn, labels, q=q, num_clusters=90)
        for counts_bC in count_blocks(90, resamples=60, seed=1):
            found = column.resample(counts_bC)
            for row, value in zip(counts_bC, found, strict=True):
                copies = np.sort(np.repeat(drawn, row[labels].astype(int)))
                assert value == copies[int(np.ceil(q * len(copies) - 1e-9)) - 1]


def test_students_quantiles_are_those_of_the_tables():
    for df, p, expected in (
        (1, 0.975, 12.706),
        (2, 0.975, 4.303),
        (4, 0.975, 2.776),
        (29, 0.975, 2.045),
        (5, 0.999, 5.893),
        (29, 0.8, 0.854),
        (float("inf"), 0.975, 1.960),
    ):
        assert student_quantile(p, df=df) == pytest.approx(expected, rel=0.01 if df == 5 else 1e-3)
        assert student_quantile(1 - p, df=df) == -student_quantile(p, df=df)


def test_binomial_chances_add_up():
    assert np.exp(log_binomial(40, p=0.3)).sum() == pytest.approx(1)
    assert np.exp(log_binomial(4, p=0.5)).tolist() == pytest.approx(
        [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]
    )


@settings(deadline=None, max_examples=60)
@given(values, st.integers(1, 9), st.floats(-5, 5, width=32))
def test_adding_a_constant_shifts_the_interval(drawn, per_cluster, shift):
    labels = np.arange(len(drawn)) // per_cluster
    before = interval(np.array(drawn), labels, bounds=Bounds(), resamples=200)
    after = interval(np.array(drawn) + shift, labels, bounds=Bounds(), resamples=200)
    if Clustered.of(np.array(drawn), labels, num_clusters=len(set(labels))).variance > 1e-9:
        assert after.low - shift == pytest.approx(before.low, abs=1e-6)
        assert after.high - shift == pytest.approx(before.high, abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(values, st.integers(2, 5), st.booleans())
def test_duplicates_within_a_cluster_do_not_narrow_the_interval(drawn, copies, as_shares):
    alone = np.round(np.clip(np.abs(drawn), 0, 1)) if as_shares else np.array(drawn)
    labels = np.arange(len(alone))
    one = interval(alone, labels, seed=5, resamples=200)
    many = interval(np.repeat(alone, copies), np.repeat(labels, copies), seed=5, resamples=200)
    assert many.n == copies * one.n
    assert many.high - many.low == pytest.approx(one.high - one.low, rel=1e-6, abs=1e-9)


@settings(deadline=None, max_examples=15)
@given(st.randoms(use_true_random=False), st.integers(1, 4))
def test_the_order_of_questions_matters_no_more_than_the_draws(random, per_cluster):
    rng = np.random.default_rng(random.randrange(1000))
    drawn, labels = rng.random(80), np.arange(80) // per_cluster
    order = rng.permutation(80)
    one, two = interval(drawn, labels), interval(drawn[order], labels[order])
    assert two.value == pytest.approx(one.value)
    width = one.high - one.low
    assert two.high - two.low == pytest.approx(width, rel=0.08)


@given(values)
def test_an_interval_of_shares_stays_within_0_and_1_and_has_a_width(drawn):
    shares = np.clip(np.abs(drawn), 0, 1)
    found = interval(shares, np.arange(len(shares)), resamples=100)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_is_monotone_and_never_below_p(p_values):
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert all(np.diff(np.array(adjusted)[order]) >= 0)


def test_holm_by_hand():
    # .01 · 4, .02 · 3, .03 · 2, .04 · 1 → .04, .06, .06, .06
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    with_nan = holm([0.01, float("nan"), 0.02])
    assert with_nan[0] == 0.02
    assert isnan(with_nan[1])


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("reduce", [Reduce.P50, Reduce.P95, Reduce.P99])
def test_a_handful_of_values_has_a_quantile_and_perhaps_no_interval(n, reduce):
    found = interval(np.arange(n) + 1.0, np.arange(n), reduce=reduce)
    assert 1 <= found.value <= n
    assert not found.low > found.value
    assert not found.high < found.value
