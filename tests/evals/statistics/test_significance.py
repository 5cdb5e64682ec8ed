"""Paired tests against numbers worked out by hand or by enumeration."""

from itertools import product
from statistics import NormalDist

import numpy as np
import pytest

from steelyard.evals.statistics.clustered import Clustered
from steelyard.evals.statistics.significance import bootstrap_p, mcnemar, paired_tests


def column(differences, labels):
    return Clustered.of(
        np.asarray(differences, dtype=float), np.asarray(labels), num_clusters=max(labels) + 1
    )


def test_mcnemar_is_the_sign_test_of_discordant_pairs():
    # 10 wins, 2 losses: 2 · (1 + 12 + 66) / 4096
    differences = np.array([1.0] * 10 + [-1.0] * 2 + [0.0] * 30)
    assert mcnemar(differences) == pytest.approx(2 * 79 / 4096)
    assert mcnemar(np.zeros(5)) == 1


def test_few_clusters_are_flipped_in_every_way():
    sums = [3.0, 1.0, -0.5, 2.0, 4.0]
    (found,) = paired_tests([column(sums, range(5))], [False], resamples=100, seed=1)
    by_hand = np.mean(
        [
            abs(np.dot(signs, sums)) >= abs(sum(sums)) - 1e-9
            for signs in product((-1, 1), repeat=len(sums))
        ]
    )
    assert found.p == by_hand == 4 / 32
    assert found.test == "exact sign flips of clusters"


def test_many_clusters_are_flipped_at_random_near_the_exact_p():
    rng = np.random.default_rng(3)
    differences = rng.normal(0.35, 1, 40)
    (drawn,) = paired_tests([column(differences, range(40))], [False], resamples=20_000, seed=1)
    z = differences.sum() / np.sqrt((differences**2).sum())
    # Sign flips are normal with this variance to within a thousandth here.
    assert drawn.test == "sign flips of clusters"
    assert drawn.p == pytest.approx(2 * NormalDist().cdf(-abs(z)), abs=0.012)


def test_yes_and_no_in_clusters_is_no_case_for_mcnemar():
    wins = np.array([1.0] * 12)
    alone = paired_tests([column(wins, range(12))], [True], resamples=99, seed=1)
    shared = paired_tests([column(wins, np.arange(12) // 4)], [True], resamples=99, seed=1)
    assert (alone[0].test, alone[0].p) == ("exact McNemar", pytest.approx(2 / 2**12))
    assert (shared[0].test, shared[0].p) == ("exact sign flips of clusters", 2 / 2**3)


def test_no_difference_at_all_has_p_1():
    (found,) = paired_tests([column(np.zeros(30), range(30))], [False], resamples=99, seed=1)
    assert found.p == 1


def test_rounding_is_no_difference():
    noise = np.full(30, 1e-17)
    noise[0] = 0.3
    noise[1] = -0.3
    (found,) = paired_tests([column(noise, range(30))], [False], resamples=99, seed=1)
    assert found.p == 1


def test_a_bootstrap_p_is_twice_the_smaller_side():
    shifted = np.concatenate([np.full(990, 2.0), np.full(9, -1.0)])
    assert bootstrap_p(shifted) == pytest.approx(2 * 10 / 1000)
    assert bootstrap_p(np.zeros(99)) == 1
