"""How many questions will be new, against traffic that was made."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.cost import expected_new


def asked(num_questions: int, *, power: float, num: int, seed: int) -> np.ndarray:
    shares = 1 / np.arange(1, num_questions + 1) ** power
    return np.random.default_rng(seed).choice(num_questions, num, p=shares / shares.sum())


@pytest.mark.parametrize("num_questions", [300, 2_000])
@pytest.mark.parametrize("power", [0.8, 1.1])
def test_the_share_that_is_new_in_as_many_again_is_told_within_three_points(
    num_questions: int, power: float
):
    told, came = [], []
    for seed in range(8):
        traffic = asked(num_questions, power=power, num=2_000, seed=seed)
        first = traffic[:1_000]
        told.append(
            expected_new(np.unique(first, return_counts=True)[1].tolist(), more=1_000).value
        )
        came.append(len(np.unique(traffic)) - len(np.unique(first)))
    assert np.mean(told) / 1_000 == pytest.approx(np.mean(came) / 1_000, abs=0.03)
    assert np.mean(came) > 30  # else it is no question


def test_where_everything_was_asked_often_nothing_is_new():
    assert expected_new([50] * 40, more=2_000).high < 1


def test_where_nothing_was_asked_twice_almost_all_is_new():
    found = expected_new([1] * 200, more=200)
    assert found.value > 150


def test_nothing_known_is_all_new():
    assert expected_new([], more=10) == (10, 0, 10)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=60), st.integers(0, 10**7))
def test_never_more_than_are_asked_nor_less_than_none(times: list[int], more: int):
    found = expected_new(times, more=more)
    assert 0 <= found.low <= found.value <= found.high <= more
