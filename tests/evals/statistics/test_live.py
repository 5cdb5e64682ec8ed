"""Always-valid intervals of a live A/B, and the check of its split."""

import numpy as np
import pytest

from steelyard.core.errors import InputError
from steelyard.evals.statistics import by_user, confidence_sequence, ratio_mismatch, shown_after


def split(num_users, *, share=0.5, gain=0.0, seed=0):
    rng = np.random.default_rng(seed)
    treated = rng.random(num_users) < share
    return (rng.random(num_users) < 0.6 + gain * treated) * 1.0, treated


def test_looking_after_every_user_raises_few_false_alarms():
    experiments = 400
    alarms = sum(
        shown_after(*split(1000, share=share, seed=seed), share=share) is not None
        for seed, share in enumerate(np.resize([0.5, 0.1], experiments))
    )
    # At 5 % at most, 33 or more of 400 alarms have a chance of .004.
    assert alarms < 33


def test_a_true_gain_is_shown_and_lies_in_the_interval():
    found = confidence_sequence(*split(6000, gain=0.1))
    assert found.shown_after is not None
    assert 0 < found.low < 0.1 < found.high
    assert found.low < found.value < found.high


def test_the_interval_excludes_zero_just_when_the_last_look_does():
    values, treated = split(6000, gain=0.1)
    at = confidence_sequence(values, treated).shown_after
    assert at == shown_after(values, treated)
    before = confidence_sequence(values[: at - 1], treated[: at - 1])
    after = confidence_sequence(values[:at], treated[:at])
    assert before.low <= 0
    assert before.shown_after is None
    assert after.low > 0


def test_swapping_the_arms_turns_the_interval_round():
    values, treated = split(800, gain=0.1)
    one, two = confidence_sequence(values, treated), confidence_sequence(values, ~treated)
    assert (two.value, two.low, two.high) == pytest.approx((-one.value, -one.high, -one.low))


def test_units_scale_the_interval():
    values, treated = split(500)
    one = confidence_sequence(values, treated)
    ten = confidence_sequence(values * 10 - 5, treated, low=-5, high=5)
    assert (ten.low, ten.high) == pytest.approx((10 * one.low, 10 * one.high))


def test_before_any_user_everything_is_possible():
    found = confidence_sequence(np.empty(0), np.empty(0, dtype=bool))
    assert (found.low, found.high, found.shown_after) == (-1, 1, None)
    one = confidence_sequence(np.ones(1), np.ones(1, dtype=bool))
    assert one.low <= -0.9
    assert one.high >= 0.9


def test_a_users_answers_count_as_one():
    users = by_user(["a", "b", "a"], [True, False, True], [1.0, 0.0, 0.0])
    assert users.values_U.tolist() == [0.5, 0.0]
    assert users.treated_U.tolist() == [True, False]
    with pytest.raises(InputError, match="user 'a' saw both arms"):
        by_user(["a", "a"], [True, False], [1.0, 0.0])


def test_values_and_splits_out_of_range_are_told():
    with pytest.raises(InputError, match=r"value 2\.0 of user 1 lies outside"):
        confidence_sequence(np.array([0.0, 2.0]), np.array([True, False]))
    with pytest.raises(InputError, match="nan"):
        confidence_sequence(np.array([0.0, np.nan]), np.array([True, False]))
    with pytest.raises(InputError, match="a share of 1"):
        confidence_sequence(np.zeros(1), np.ones(1, dtype=bool), share=1.0)


def test_a_broken_split_is_found():
    # 60 of 100 at one half: the exact two-sided p is .0569 (a published textbook value).
    assert ratio_mismatch(60, 40) == pytest.approx(0.0569, abs=5e-5)
    assert ratio_mismatch(50, 50) == pytest.approx(1)
    assert ratio_mismatch(0, 0) == 1
    assert ratio_mismatch(5200, 4800) < 0.001
    # 501,000 of 1,000,000 is 1,000 too many, two standard deviations of 500: p = .0455.
    assert ratio_mismatch(501_000, 499_000) == pytest.approx(0.0455, abs=5e-5)
    with pytest.raises(InputError):
        ratio_mismatch(-1, 1)
