"""Values that share their errors within clusters, as sums and sizes by cluster.

Shape suffixes: N items, C clusters, B resamples, K columns (one value of one arm, or of one pair).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Values

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

# Differences below this share of the largest magnitude are rounding, not variation.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Clustered:
    """The mean of clustered values as a ratio: Σ sums / Σ sizes over C clusters.

    Clusters in which nothing applies have size 0 and take no part; `num_clusters` counts the
    others. With unequal sizes the ratio is the mean over items, each weighing the same.
    """

    sums_C: Floats
    sizes_C: Floats
    scale: float  # the largest magnitude among the values

    @classmethod
    def of(cls, values_N: Values, clusters_N: Labels, *, num_clusters: int) -> "Clustered":
        """Return the sums of the values that are not NaN; `clusters_N` are 0 .. C − 1."""
        applies_N = np.isfinite(values_N)
        kept_N = np.where(applies_N, values_N, 0.0)
        return cls(
            sums_C=np.bincount(clusters_N, kept_N, num_clusters).astype(np.float64),
            sizes_C=np.bincount(clusters_N, applies_N, num_clusters).astype(np.float64),
            scale=float(np.abs(kept_N).max(initial=0.0)),
        )

    @cached_property
    def n(self) -> int:
        return int(self.sizes_C.sum())

    @cached_property
    def num_clusters(self) -> int:
        return int(np.count_nonzero(self.sizes_C))

    @cached_property
    def mean(self) -> float:
        return float(self.sums_C.sum() / self.n) if self.n else float("nan")

    @cached_property
    def residuals_C(self) -> Floats:
        """(C,) what each cluster's sum is above what the mean would make of its size."""
        residuals_C = self.sums_C - self.mean * self.sizes_C
        residuals_C[np.abs(residuals_C) < ROUNDING * self.scale * self.sizes_C.max()] = 0.0
        return residuals_C

    @cached_property
    def variance(self) -> float:
        """The variance of the mean between clusters, linearised (Cochran 1977, eq. 6.13);
        0 where nothing varies or there is only one cluster."""
        if self.num_clusters < 2:
            return 0.0
        correction = self.num_clusters / (self.num_clusters - 1)
        return float(correction * np.square(self.residuals_C).sum() / self.n**2)


def compact(clusters_N: Labels, *, num_items: int) -> Labels:
    """Return labels 0 .. C − 1 in order of their first appearance.

    Raises:
        InputError: there is not one label for each item.
    """
    clusters_N = np.asarray(clusters_N)
    if clusters_N.shape != (num_items,):
        raise InputError(
            f"{num_items} values but clusters of shape {clusters_N.shape}: give one for each value"
        )
    _, first, inverse = np.unique(clusters_N, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.reshape(-1)]
