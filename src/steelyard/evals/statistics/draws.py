"""One pass over the bootstrap's counts for all means and quantiles of a weighing.

Shape suffixes: N items, C clusters, b resamples of one block, B of all, K columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from steelyard.core.evaluation import Interval, Values
from steelyard.evals.statistics.clustered import Clustered, Floats, Labels
from steelyard.evals.statistics.intervals import ALPHA, unseen_share
from steelyard.evals.statistics.power import interval_error, reach
from steelyard.evals.statistics.resampling import (
    MeanColumns,
    QuantileColumn,
    Resampled,
    count_blocks,
    quantile,
)
from steelyard.evals.statistics.significance import BOOTSTRAP, Significance, bootstrap_p


@dataclass(frozen=True)
class PairedQuantiles:
    """One quantile of two arms over the questions that apply to both."""

    before: QuantileColumn
    after: QuantileColumn
    num_clusters: int
    alike: bool  # every pair is equal

    @classmethod
    def of(
        cls, before_N: Values, after_N: Values, clusters_N: Labels, *, q: float, num_clusters: int
    ) -> "PairedQuantiles":
        apply_N = np.isfinite(before_N) & np.isfinite(after_N)
        before, after = (
            QuantileColumn(
                np.where(apply_N, arm_N, np.nan), clusters_N, q=q, num_clusters=num_clusters
            )
            for arm_N in (before_N, after_N)
        )
        return cls(
            before=before,
            after=after,
            num_clusters=len(np.unique(clusters_N[apply_N])),
            alike=bool(np.array_equal(before_N[apply_N], after_N[apply_N])),
        )

    @property
    def n(self) -> int:
        return len(self.after.sorted_values)

    def significance(self, shifted_B: Floats) -> Significance:
        """Return the test of no difference; a single cluster shows none, whatever its size."""
        return Significance(1.0 if self.num_clusters < 2 else bootstrap_p(shifted_B), BOOTSTRAP)

    def delta(self, shifted_B: Floats) -> Interval:
        """Return the difference with the middle 95 % of its resamples (NaN: not to be told)."""
        value = self.after.value - self.before.value
        if self.n == 0 or self.num_clusters < 2:
            return Interval(value, nan, nan, self.n)
        if self.alike:
            return self._unseen()
        known_B = shifted_B[np.isfinite(shifted_B)]
        low, high = np.quantile(known_B, [ALPHA / 2, 1 - ALPHA / 2])
        return Interval(value, min(float(low), value), max(float(high), value), self.n)

    def _unseen(self) -> Interval:
        """Return how far the quantile could move if as many pairs differ as may be unseen."""
        ordered, q, unseen = self.after.sorted_values, self.after.q, unseen_share(self.num_clusters)
        low = quantile(ordered, q - unseen) - self.after.value if q > unseen else nan
        high = quantile(ordered, q + unseen) - self.after.value if q + unseen <= 1 else nan
        return Interval(0.0, low, high, self.n)

    def mde(self, delta: Interval, shifted_B: Floats, *, num_comparisons: int) -> float:
        """Return the smallest difference that these pairs show; NaN where they cannot tell."""
        if self.n == 0 or self.num_clusters < 2:
            return nan
        if self.alike:
            return max(-delta.low, delta.high)
        df = self.num_clusters - 1
        error = interval_error(delta, float(np.nanstd(shifted_B, ddof=1)), df=df)
        return reach(df=df, alpha=ALPHA / num_comparisons) * error


@dataclass(frozen=True, slots=True)
class Draws:
    """What all resamples gave: means by column, and differences of quantiles by pair."""

    means: Resampled
    shifted_BQ: Floats


def draw(
    columns: Sequence[Clustered],
    pairs: Sequence[PairedQuantiles],
    *,
    num_clusters: int,
    resamples: int,
    seed: int,
) -> Draws:
    """Resample all columns and pairs under the same counts of clusters."""
    means = MeanColumns(columns, num_clusters=num_clusters)
    blocks: list[Resampled] = []
    shifted: list[Floats] = []
    for counts_bC in count_blocks(num_clusters, resamples=resamples, seed=seed):
        blocks.append(means.resample(counts_bC))
        shifted.append(_shifted(pairs, counts_bC))
    return Draws(
        Resampled(
            np.concatenate([block.shifts_BK for block in blocks]),
            np.concatenate([block.variances_BK for block in blocks]),
        ),
        np.concatenate(shifted),
    )


def _shifted(pairs: Sequence[PairedQuantiles], counts_bC: Floats) -> Floats:
    """Return (b, Q) differences; an arm that several pairs share is resampled once."""
    known: dict[bytes, Floats] = {}

    def resampled(column: QuantileColumn) -> Floats:
        if column.key not in known:
            known[column.key] = column.resample(counts_bC)
        return known[column.key]

    shifted_bQ = np.empty((len(counts_bC), len(pairs)))
    for at, pair in enumerate(pairs):
        shifted_bQ[:, at] = resampled(pair.after) - resampled(pair.before)
    return shifted_bQ
