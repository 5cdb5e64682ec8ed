"""Draws that are made once and shared: bootstrap counts of clusters, and signs for flips.

Shape suffixes: N items, C clusters, b resamples of one block, B of all, K columns, U masks.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, sqrt

import numpy as np

from steelyard.core.evaluation import Values
from steelyard.evals.statistics.clustered import Clustered, Floats, Labels

BLOCK_BYTES = 16 << 20
WINDOW_SDS = 5.0


def content_seed(clusters_N: Labels) -> int:
    """Return a seed that depends on nothing but how many items there are in which clusters.

    So a rerun is identical, and one more arm or measure leaves the figures of the others alone.
    """
    digest = hashlib.sha256(np.ascontiguousarray(clusters_N, dtype="<i8").tobytes()).digest()
    return int.from_bytes(digest[:8], "little")


def count_blocks(num_clusters: int, *, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield (b, C) blocks: how often a bootstrap resample of C clusters holds each of them."""
    rng = np.random.default_rng([seed, 1])
    for size in _block_sizes(num_clusters, resamples):
        drawn = rng.integers(0, num_clusters, size=(size, num_clusters), dtype=np.int64)
        counts = np.empty((size, num_clusters))
        for row, target in zip(drawn, counts, strict=True):
            target[:] = np.bincount(row, minlength=num_clusters)
        yield counts


def sign_blocks(num_clusters: int, *, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield (b, C) blocks of −1 and 1, each as likely."""
    rng = np.random.default_rng([seed, 2])
    for size in _block_sizes(num_clusters, resamples):
        num_bits = size * num_clusters
        drawn = np.frombuffer(rng.bytes((num_bits + 7) // 8), dtype=np.uint8)
        bits = np.unpackbits(drawn, count=num_bits).reshape(size, num_clusters)
        yield bits.astype(np.float64) * 2 - 1


def _block_sizes(num_clusters: int, resamples: int) -> Iterator[int]:
    size = max(1, BLOCK_BYTES // (8 * max(num_clusters, 1000)))
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


@dataclass(frozen=True, slots=True)
class Resampled:
    """(B, K): how far each resample's mean is from the mean, and its own variance.

    A resample that drew no item of a column has shift 0 and variance NaN there.
    """

    shifts_BK: Floats
    variances_BK: Floats


class MeanColumns:
    """Resamples the means of K columns by matrix products, five for all of them."""

    def __init__(self, columns: Sequence[Clustered], *, num_clusters: int) -> None:
        masks: dict[bytes, int] = {}
        self._mask_K: list[int] = [
            masks.setdefault(column.sizes_C.tobytes(), len(masks)) for column in columns
        ]
        self._sizes_CU = _columns([np.frombuffer(mask) for mask in masks], num_clusters)
        residuals_CK = _columns([column.residuals_C for column in columns], num_clusters)
        sizes_CK = self._sizes_CU[:, self._mask_K]
        self._linear_CK = residuals_CK
        self._square_CK = residuals_CK**2
        self._cross_CK = residuals_CK * sizes_CK
        counts_K = np.array([column.num_clusters for column in columns], dtype=np.float64)
        self._correction_K = counts_K / np.maximum(counts_K - 1, 1)

    def resample(self, counts_bC: Floats) -> Resampled:
        """Return the shifts and variances of one block."""
        sizes_bU = counts_bC @ self._sizes_CU
        squares_bU = counts_bC @ self._sizes_CU**2
        size_bK = np.where(sizes_bU > 0, sizes_bU, np.nan)[:, self._mask_K]
        shift_bK = np.nan_to_num(counts_bC @ self._linear_CK / size_bK)
        spread_bK = (
            counts_bC @ self._square_CK
            - 2 * shift_bK * (counts_bC @ self._cross_CK)
            + shift_bK**2 * squares_bU[:, self._mask_K]
        )
        variance_bK = self._correction_K * np.maximum(spread_bK, 0) / size_bK**2
        return Resampled(shift_bK, variance_bK)


def _columns(vectors: Sequence[Floats], num_clusters: int) -> Floats:
    """Return (C, K), also of no vectors."""
    return np.array(vectors, dtype=np.float64).reshape(len(vectors), num_clusters).T


class QuantileColumn:
    """Resamples one quantile of clustered values.

    A resample's quantile lies near the rank of the full one, so only a window of ranks is
    summed; a resample that leaves the window is done again in full. Exact either way.
    """

    def __init__(self, values_N: Values, clusters_N: Labels, *, q: float, num_clusters: int):
        applies_N = np.isfinite(values_N)
        kept = values_N[applies_N]
        order = np.argsort(kept, kind="stable")
        self.q = q
        self.key = repr(q).encode() + np.ascontiguousarray(values_N, dtype=np.float64).tobytes()
        self.sorted_values = kept[order]
        self.sorted_clusters = clusters_N[applies_N][order]
        self._sizes_C = np.bincount(self.sorted_clusters, minlength=num_clusters).astype(np.float64)
        n = len(kept)
        # How far the count at or below the quantile strays under the bootstrap.
        below_N = (self.sorted_values <= self.value) - q
        between_C = np.bincount(self.sorted_clusters, below_N, num_clusters)
        half = WINDOW_SDS * sqrt(float(np.square(between_C).sum())) + 1
        self._start, self._stop = max(0, floor(n * q - half)), min(n, ceil(n * q + half) + 1)
        below = self.sorted_clusters[: self._start]
        self._below_C = np.bincount(below, minlength=num_clusters).astype(np.float64)

    @property
    def value(self) -> float:
        return quantile(self.sorted_values, self.q)

    def resample(self, counts_bC: Floats) -> Floats:
        """Return the (b,) quantiles of a block; NaN for a resample without items."""
        if not len(self.sorted_values):
            return np.full(len(counts_bC), np.nan)
        targets_b = self.q * (counts_bC @ self._sizes_C)
        below_b = counts_bC @ self._below_C
        found_b = self._crossing(counts_bC, targets_b, below_b, self._start, self._stop)
        # Also a crossing at the window's first rank could lie before it.
        astray_b = np.isnan(found_b) | ((self._start > 0) & (below_b >= targets_b - 1e-9))
        if astray_b.any():
            none_b = np.zeros(int(astray_b.sum()))
            found_b[astray_b] = self._crossing(
                counts_bC[astray_b], targets_b[astray_b], none_b, 0, len(self.sorted_values)
            )
        return found_b

    def _crossing(
        self, counts_bC: Floats, targets_b: Floats, below_b: Floats, start: int, stop: int
    ) -> Floats:
        reached_bW = np.cumsum(counts_bC[:, self.sorted_clusters[start:stop]], axis=1)
        reached_bW += below_b[:, None]
        crossed_bW = (reached_bW >= targets_b[:, None] - 1e-9) & (reached_bW > 0)
        found_b: Floats = self.sorted_values[start:stop][np.argmax(crossed_bW, axis=1)]
        found_b[~crossed_bW.any(axis=1)] = np.nan
        return found_b


def quantile(sorted_values: Floats, q: float) -> float:
    """Return the smallest value that at least a share `q` does not exceed; NaN of nothing."""
    if not len(sorted_values):
        return float("nan")
    return float(sorted_values[max(0, ceil(q * len(sorted_values) - 1e-9) - 1)])
