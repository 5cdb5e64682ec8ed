"""The bench's promises in small: seeds are fixed, so these pass or fail for good.

Limits leave room for chance at 150 experiments: a true 5 % gives 15 or more with a chance of .01,
a true 93 % coverage gives fewer than 130 with a chance of .003.
"""

from dataclasses import dataclass

import numpy as np

from steelyard.core.evaluation import Better, Reduce, Verdict
from steelyard.evals.statistics import interval, weigh

EXPERIMENTS = 150


@dataclass(frozen=True)
class Graded:
    name: str = "graded"
    reduce: Reduce = Reduce.MEAN
    better: Better = Better.HIGHER
    quality: bool = True

    def values(self, questions, outcomes):
        raise AssertionError("values are given to these tests, not computed")


def made(rng, *, num_clusters, num_arms, gain=0.0):
    """Return labels and arms whose errors clusters share; the last arm is shifted by `gain`."""
    labels = np.repeat(np.arange(num_clusters), rng.integers(1, 8, num_clusters))
    shared = 0.15 * rng.normal(size=num_clusters)[labels]
    arms = {}
    for arm in range(num_arms):
        own = 0.15 * rng.normal(size=num_clusters)[labels] + 0.15 * rng.normal(size=len(labels))
        shift = gain * (arm == num_arms - 1)
        arms[f"arm {arm}"] = {"graded": np.clip(0.5 + shared + own, 0, 1) + shift}
    return labels, arms


def found(rng, **kwargs):
    labels, arms = made(rng, **kwargs)
    return weigh(arms, labels, [Graded()], baseline="arm 0", resamples=1000).comparisons


def naive_alarm(before, after):
    differences = after - before
    return abs(differences.mean()) > 1.96 * differences.std(ddof=1) / np.sqrt(len(differences))


def test_twins_are_seldom_called_better_where_a_t_test_over_questions_often_does():
    rng = np.random.default_rng(11)
    alarms = naive = 0
    for _ in range(EXPERIMENTS):
        labels, arms = made(rng, num_clusters=30, num_arms=4)
        comparisons = weigh(arms, labels, [Graded()], baseline="arm 0", resamples=1000).comparisons
        alarms += any(one.verdict is not Verdict.NO_EVIDENCE for one in comparisons)
        naive += naive_alarm(arms["arm 0"]["graded"], arms["arm 1"]["graded"])
    assert alarms < 15
    assert naive > 30


def test_intervals_hold_the_true_figure_and_the_true_difference():
    rng = np.random.default_rng(12)
    figures = differences = 0
    for _ in range(EXPERIMENTS):
        labels, arms = made(rng, num_clusters=30, num_arms=2, gain=0.1)
        alone = interval(arms["arm 0"]["graded"], labels, resamples=1000)
        (one,) = weigh(arms, labels, [Graded()], baseline="arm 0", resamples=1000).comparisons
        figures += alone.low <= 0.5 <= alone.high
        differences += one.delta.low <= 0.1 <= one.delta.high
    assert figures >= 130
    assert differences >= 130


def test_the_stated_difference_is_seen():
    rng = np.random.default_rng(13)
    mde = np.mean([found(rng, num_clusters=40, num_arms=2)[0].mde for _ in range(30)])
    seen = sum(
        found(rng, num_clusters=40, num_arms=2, gain=mde)[0].verdict is Verdict.BETTER
        for _ in range(EXPERIMENTS)
    )
    # 106 of 150 or fewer have a chance of .004 at a true 80 %; 140 would be far too cautious.
    assert 106 < seen < 142
