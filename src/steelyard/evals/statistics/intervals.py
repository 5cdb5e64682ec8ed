"""95 % intervals of means and quantiles of clustered values.

A mean has a symmetric bootstrap-t interval, on the logit scale where values lie in [0, 1]; a
quantile has the ranks that its clustered binomial count allows. The simulations that chose them
are in docs/why/statistics.md. A limit that the values cannot tell is NaN.

Shape suffixes: N items, C clusters, B resamples.
"""

from dataclasses import dataclass
from math import exp, floor, inf, isfinite, log, nan, sqrt

import numpy as np

from steelyard.core.evaluation import Interval, Reduce, Values
from steelyard.evals.statistics.clustered import Clustered, Floats, Labels, compact
from steelyard.evals.statistics.resampling import (
    MeanColumns,
    content_seed,
    count_blocks,
    quantile,
)
from steelyard.evals.statistics.student import student_quantile

ALPHA = 0.05
RESAMPLES = 10_000
# A resample with less than this share of the sample's variance drew hardly more than one value;
# without a floor its t would be infinite.
VARIANCE_FLOOR = 0.05
NORMAL_Z = 1.959964
QUANTILES = {Reduce.P50: 0.5, Reduce.P95: 0.95, Reduce.P99: 0.99}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a mean can be at all; infinite where nothing is known."""

    low: float = -inf
    high: float = inf


SHARE = Bounds(0.0, 1.0)
DIFFERENCE = Bounds(-1.0, 1.0)
POSITIVE = Bounds(0.0, inf)


def interval(
    values_N: Values,
    clusters_N: Labels,
    *,
    reduce: Reduce = Reduce.MEAN,
    bounds: Bounds | None = None,
    seed: int | None = None,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return one figure with its 95 % interval; NaN values do not apply and are left out.

    `bounds` None: [0, 1] if all values lie there, else above 0 if all do. `seed` None: made
    from the clusters, so that a rerun is identical.

    Raises:
        InputError: values and clusters differ in number.
    """
    values_N = np.asarray(values_N, dtype=np.float64)
    labels_N = compact(clusters_N, num_items=len(values_N))
    num_clusters = int(labels_N.max(initial=-1)) + 1
    if reduce is not Reduce.MEAN:
        return quantile_interval(values_N, labels_N, q=QUANTILES[reduce])
    column = Clustered.of(values_N, labels_N, num_clusters=num_clusters)
    bounds = natural_bounds(values_N) if bounds is None else bounds
    if column.variance == 0:
        return mean_interval(column, np.empty(0), np.empty(0), bounds=bounds)
    seed = content_seed(labels_N) if seed is None else seed
    columns = MeanColumns([column], num_clusters=num_clusters)
    blocks = [
        columns.resample(counts_bC)
        for counts_bC in count_blocks(num_clusters, resamples=resamples, seed=seed)
    ]
    shifts_B = np.concatenate([block.shifts_BK[:, 0] for block in blocks])
    variances_B = np.concatenate([block.variances_BK[:, 0] for block in blocks])
    return mean_interval(column, shifts_B, variances_B, bounds=bounds)


def natural_bounds(values_N: Values) -> Bounds:
    """Return the narrowest of [0, 1], [0, ∞) and (−∞, ∞) that holds all the values."""
    low, high = np.nanmin(values_N, initial=inf), np.nanmax(values_N, initial=-inf)
    if low < 0:
        return Bounds()
    return SHARE if high <= 1 else POSITIVE


def mean_interval(
    column: Clustered, shifts_B: Floats, variances_B: Floats, *, bounds: Bounds
) -> Interval:
    """Return the symmetric bootstrap-t interval of a mean, inside its bounds.

    Half of the resamples' |t| on both sides: with few clusters and skewed values the two-tailed
    form misses too often on one side. Source: Hall, The Bootstrap and Edgeworth Expansion, 3.5.
    """
    if column.n == 0:
        return Interval(nan, nan, nan, 0)
    if column.variance == 0:
        return _unvaried(column, bounds)
    floored_B = np.maximum(np.nan_to_num(variances_B), VARIANCE_FLOOR * column.variance)
    if bounds == SHARE:
        return _logit_interval(column, shifts_B, np.sqrt(floored_B))
    t_B = np.abs(shifts_B) / np.sqrt(floored_B)
    half = _critical(t_B) * sqrt(column.variance)
    low, high = max(column.mean - half, bounds.low), min(column.mean + half, bounds.high)
    return Interval(column.mean, low, high, column.n)


def _logit_interval(column: Clustered, shifts_B: Floats, errors_B: Floats) -> Interval:
    # A resample of zeros only counts as half a cluster's success, so copies within it add nothing.
    least = 0.5 * min(1 / column.num_clusters, column.mean, 1 - column.mean)
    means_B = np.clip(column.mean + shifts_B, least, 1 - least)
    centre = log(column.mean / (1 - column.mean))
    logits_B = np.log(means_B / (1 - means_B))
    t_B = np.abs(logits_B - centre) * means_B * (1 - means_B) / errors_B
    half = _critical(t_B) * sqrt(column.variance) / (column.mean * (1 - column.mean))
    low, high = (1 / (1 + exp(-x)) if x > -700 else 0.0 for x in (centre - half, centre + half))
    return Interval(column.mean, low, high, column.n)


def _critical(t_B: Floats) -> float:
    return float(np.quantile(t_B, 1 - ALPHA, method="higher"))


def unseen_share(num_clusters: int) -> float:
    """Return the largest share of clusters that may differ when none of so many did.

    Source: Clopper & Pearson, 1934, for 0 of C; near the rule of three, 3 / C.
    """
    return 1 - float((ALPHA / 2) ** (1 / num_clusters))


def _unvaried(column: Clustered, bounds: Bounds) -> Interval:
    """Return what is known when all clusters agree, or there is only one: not a width of 0.

    As many clusters as may be unseen could lie anywhere within the bounds; where there are none,
    within the largest magnitude seen.
    """
    unseen, mean = unseen_share(column.num_clusters), column.mean
    least = bounds.low if isfinite(bounds.low) else mean - column.scale
    most = bounds.high if isfinite(bounds.high) else mean + column.scale
    low, high = mean + unseen * (least - mean), mean + unseen * (most - mean)
    return Interval(mean, min(low, mean), max(high, mean), column.n)


def quantile_interval(values_N: Values, clusters_N: Labels, *, q: float) -> Interval:
    """Return a quantile with the ranks whose counts its share allows, errors shared in clusters.

    The number of items at or below the true quantile is near its expectation; its variance
    between clusters is measured, its skewness the binomial's. A rank beyond the last value is
    NaN: too few items to say how high the quantile may be. Source: Woodruff, JASA 1952.
    """
    applies_N = np.isfinite(values_N)
    kept, labels = values_N[applies_N], clusters_N[applies_N]
    n = len(kept)
    if n == 0:
        return Interval(nan, nan, nan, 0)
    ordered = np.sort(kept)
    value = quantile(ordered, q)
    num_clusters = len(np.unique(labels))
    if num_clusters < 2:
        return Interval(value, nan, nan, n)
    below_N = (kept <= value) - q
    between_C = np.bincount(labels, below_N)
    variance = num_clusters / (num_clusters - 1) * float(np.square(between_C).sum())
    spread = sqrt(max(variance, n * q * (1 - q)))
    z = student_quantile(1 - ALPHA / 2, df=num_clusters - 1)
    skew = (NORMAL_Z**2 - 1) / 6 * (1 - 2 * q) * spread**2 / (n * q * (1 - q))
    low_rank = floor(n * q + skew - z * spread + 0.5)
    high_rank = floor(n * q + skew + z * spread + 0.5) + 1
    # With a handful of items the correction may pass the value itself: then nothing is said.
    low = float(ordered[low_rank - 1]) if 1 <= low_rank <= n else nan
    high = float(ordered[high_rank - 1]) if 1 <= high_rank <= n else nan
    return Interval(value, low if low <= value else nan, high if high >= value else nan, n)
