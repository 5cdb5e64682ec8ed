"""Tests of paired differences, and what many of them at once may claim.

Shape suffixes: N items, C clusters, B resamples, K comparisons.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.core.evaluation import Values
from steelyard.evals.statistics.clustered import ROUNDING, Clustered, Floats
from steelyard.evals.statistics.resampling import sign_blocks
from steelyard.evals.statistics.student import two_sided_binomial

EXACT_FLIPS = 13  # up to so many clusters that differ, all 2^C sign patterns are tried
MCNEMAR, EXACT, FLIPS = "exact McNemar", "exact sign flips of clusters", "sign flips of clusters"
BOOTSTRAP = "bootstrap of clusters"


@dataclass(frozen=True, slots=True)
class Significance:
    """A two-sided p-value and the name of the test that gave it."""

    p: float
    test: str


def paired_tests(
    columns: Sequence[Clustered], yes_no: Sequence[bool], *, resamples: int, seed: int
) -> list[Significance]:
    """Test each column of paired differences against none; signs are drawn once for all.

    If neither arm is better, each cluster's summed difference could as well have had the other
    sign. `yes_no`: both arms' values are 0 or 1; then, if no cluster has two items, the test
    is McNemar's, else flips. p = (1 + as extreme) / (1 + B) when the signs are drawn.
    """
    found: dict[int, Significance] = {}
    for k, column in enumerate(columns):
        differing = int(np.count_nonzero(_sums(column)))
        if yes_no[k] and column.sizes_C.max(initial=0) <= 1:
            found[k] = Significance(mcnemar(column.sums_C), MCNEMAR)
        elif differing <= EXACT_FLIPS:
            found[k] = Significance(_exact_flips(_sums(column)), EXACT)
    drawn = [k for k in range(len(columns)) if k not in found]
    if drawn:
        sums_CK = np.array([_sums(columns[k]) for k in drawn]).T
        for k, p in zip(drawn, _drawn_flips(sums_CK, resamples, seed), strict=True):
            found[k] = Significance(p, FLIPS)
    return [found[k] for k in range(len(columns))]


def mcnemar(differences: Values) -> float:
    """Return the exact two-sided p-value that wins and losses are equally likely."""
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return two_sided_binomial(wins, n=wins + losses, p=0.5)


def _sums(column: Clustered) -> Floats:
    """Return the clusters' summed differences, what is only rounding set to 0."""
    return np.where(np.abs(column.sums_C) < ROUNDING * column.scale, 0.0, column.sums_C)


def _exact_flips(sums_C: Floats) -> float:
    differing = sums_C[sums_C != 0]
    if not len(differing):
        return 1.0
    patterns = np.arange(2 ** len(differing))[:, None] >> np.arange(len(differing)) & 1
    return float(_extreme((patterns * 2.0 - 1) @ differing[:, None], differing[:, None]).mean())


def _drawn_flips(sums_CK: Floats, resamples: int, seed: int) -> list[float]:
    counts_K = np.zeros(sums_CK.shape[1])
    for signs_bC in sign_blocks(len(sums_CK), resamples=resamples, seed=seed):
        counts_K += _extreme(signs_bC @ sums_CK, sums_CK).sum(axis=0)
    return [float(p) for p in (1 + counts_K) / (1 + resamples)]


def _extreme(flipped_BK: Floats, sums_CK: Floats) -> NDArray[np.bool_]:
    """Say which flips are as far from 0 as the sums are; equal up to rounding counts as equal."""
    slack_K = 1e-9 * np.abs(sums_CK).sum(axis=0)
    extreme_BK: NDArray[np.bool_] = np.abs(flipped_BK) >= np.abs(sums_CK.sum(axis=0)) - slack_K
    return extreme_BK


def bootstrap_p(shifted_B: Floats) -> float:
    """Return the two-sided p-value of resampled differences: twice the share beyond 0."""
    known_B = shifted_B[np.isfinite(shifted_B)]
    beyond = min(int((known_B <= 0).sum()), int((known_B >= 0).sum()))
    return min(1.0, 2 * (1 + beyond) / (1 + len(known_B)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return adjusted p-values in the given order; NaN stays NaN and is no member of the family.

    The smallest is multiplied by the family's size, the next by one less, and so on, never below
    the one before. Source: Holm, Scandinavian Journal of Statistics, 1979.
    """
    known = sorted((p, k) for k, p in enumerate(p_values) if not np.isnan(p))
    adjusted = [float("nan")] * len(p_values)
    least = 0.0
    for rank, (p, k) in enumerate(known):
        least = max(least, min(1.0, p * (len(known) - rank)))
        adjusted[k] = least
    return adjusted
