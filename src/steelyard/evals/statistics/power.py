"""How small a difference a set of questions can show, and how many it would take.

The design effect of clusters is 1 + (m − 1)·icc (Kish, Survey Sampling, 1965).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf, isfinite, log2, nan, sqrt

import numpy as np

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Interval, Values
from steelyard.evals.statistics.clustered import Clustered, Labels, compact
from steelyard.evals.statistics.intervals import ALPHA
from steelyard.evals.statistics.student import student_quantile

POWER = 0.8
MOST_NEEDED = 10**12  # what would take more is not shown by asking more


@dataclass(frozen=True, slots=True)
class Plan:
    """What a set can show: `mde`, the smallest difference seen with the asked power, and
    `n_needed`, the questions that `min_effect` takes at as many a cluster (None: beyond reach)."""

    mde: float
    n_needed: int | None


@dataclass(frozen=True, slots=True)
class Spread:
    """`sd` of paired differences over questions, and `icc`, the correlation of two questions of
    one cluster (0 where every cluster has one)."""

    sd: float
    icc: float


# For a first run, which should say so: retrieval arms on squad2 differed by .26 to .41 with an icc
# of .01 within articles.
DEFAULT_SPREAD = Spread(sd=0.35, icc=0.05)


def plan(
    num_questions: int,
    num_clusters: int,
    *,
    min_effect: float,
    sd: float = DEFAULT_SPREAD.sd,
    icc: float = DEFAULT_SPREAD.icc,
    power: float = POWER,
    alpha: float = ALPHA,
    num_comparisons: int = 1,
) -> Plan:
    """Return what a run would show, before it runs; `sd` and `icc` are of paired differences.

    `num_comparisons` is the family's size: its smallest p is held against alpha divided by it.

    Raises:
        InputError: a number is outside its range.
    """
    for name, value, fits in (
        ("num_questions", num_questions, num_questions >= 1),
        ("num_clusters", num_clusters, 1 <= num_clusters <= num_questions),
        ("sd", sd, 0 < sd < inf),
        ("icc", icc, -1 <= icc <= 1),
        ("min_effect", min_effect, 0 < min_effect < inf),
        ("power", power, 0 < power < 1),
        ("alpha", alpha, 0 < alpha < 1),
        ("num_comparisons", num_comparisons, num_comparisons >= 1),
    ):
        if not fits:
            raise InputError(f"cannot plan with {name} = {value!r}: it is out of range")
    per_cluster = num_questions / num_clusters
    variance = sd**2 * max(1 + (per_cluster - 1) * icc, 0.0)

    def mde(n: float) -> float:
        df = n / per_cluster - 1
        return reach(df=df, power=power, alpha=alpha / num_comparisons) * sqrt(variance / n)

    return Plan(mde(num_questions), _least_n(mde, min_effect, start=2 * per_cluster))


def _least_n(mde: Callable[[float], float], effect: float, *, start: float) -> int | None:
    """Return the smallest n, from `start` on, at which `mde` is no larger than the effect."""
    low = high = start
    while not mde(high) <= effect:
        low, high = high, high * 2
        if high > MOST_NEEDED:
            return None
    while high - low > 0.5:
        middle = (low + high) / 2
        low, high = (low, middle) if mde(middle) <= effect else (middle, high)
    return ceil(high)


def reach(*, df: float, power: float = POWER, alpha: float = ALPHA) -> float:
    """Return how many standard errors a difference must measure to be seen with this power."""
    if df <= 0:
        return inf
    return student_quantile(1 - alpha / 2, df=df) + student_quantile(power, df=df)


def mean_mde(column: Clustered, delta: Interval, *, num_comparisons: int, bounded: bool) -> float:
    """Return the smallest mean difference that these pairs show; NaN where they show none."""
    if column.num_clusters < 2:
        return nan
    error = interval_error(delta, sqrt(column.variance), df=column.num_clusters - 1)
    by_error = reach(df=column.num_clusters - 1, alpha=ALPHA / num_comparisons) * error
    mde = max(by_error if column.variance else 0.0, _sparse(column, num_comparisons, bounded))
    return nan if bounded and mde > 1 else mde


def _sparse(column: Clustered, num_comparisons: int, bounded: bool) -> float:
    """Return the effect of the fewest clusters that a test of this level needs; 0 if more differ.

    Two-sided, k clusters that all agree have p = 2 / 2^k at best.
    """
    fewest = ceil(log2(2 * num_comparisons / ALPHA))
    differing_C = np.abs(column.sums_C[column.sums_C != 0])
    if len(differing_C) >= fewest:
        return 0.0
    scale = 1.0 if bounded else column.scale
    alone = scale * column.n / column.num_clusters
    typical = float(differing_C.mean()) if len(differing_C) else alone
    return fewest * typical / column.n


def interval_error(delta: Interval, error: float, *, df: float) -> float:
    """Return a difference's standard error, larger where its interval is wider than t's.

    With few or skewed clusters the interval decides what is seen, not the error alone.
    """
    longer = max(delta.high - delta.value, delta.value - delta.low)
    return max(error, longer / student_quantile(1 - ALPHA / 2, df=df))


def needed(n: int, *, mde: float, min_effect: float | None) -> int | None:
    """Return the questions that the smallest effect takes, the spread being as seen."""
    if min_effect is None or min_effect <= 0 or not isfinite(mde):
        return None
    return ceil(n * (mde / min_effect) ** 2)


def spread(differences_N: Values, clusters_N: Labels) -> Spread:
    """Return the spread of paired differences of an earlier run, to plan the next one.

    `icc` is the analysis of variance's (Donner & Koval, Biometrics 1980), cut to [0, 1].
    """
    differences_N = np.asarray(differences_N, dtype=np.float64)
    labels_N = compact(clusters_N, num_items=len(differences_N))
    applies_N = np.isfinite(differences_N)
    kept, labels = differences_N[applies_N], compact(labels_N[applies_N], num_items=applies_N.sum())
    n, num_clusters = len(kept), int(labels.max(initial=-1)) + 1
    if n < 2:
        return Spread(nan, nan)
    sd = float(kept.std(ddof=1))
    if num_clusters < 2 or num_clusters == n or sd == 0:
        return Spread(sd, 0.0)
    sizes_C = np.bincount(labels)
    means_C = np.bincount(labels, kept) / sizes_C
    between = float((sizes_C * (means_C - kept.mean()) ** 2).sum()) / (num_clusters - 1)
    within = float(((kept - means_C[labels]) ** 2).sum()) / (n - num_clusters)
    typical = (n - float((sizes_C**2).sum()) / n) / (num_clusters - 1)
    icc = (between - within) / (between + (typical - 1) * within)
    return Spread(sd, min(1.0, max(0.0, icc)))
