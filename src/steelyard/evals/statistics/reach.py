"""How many users a live comparison still needs, by the spread that it has shown so far.

Shape suffix: U users, in the order of their first question.
"""

from math import ceil, log

import numpy as np
from numpy.typing import NDArray

from steelyard.core.evaluation import Values
from steelyard.evals.statistics.intervals import ALPHA
from steelyard.evals.statistics.live import HORIZONS_H, MOST_STAKED

FEWEST = 20  # users on each side: fewer do not tell their spread
_UNKNOWN_VARIANCE = 0.25


def users_for(
    values_U: Values,
    treated_U: NDArray[np.bool_],
    *,
    least: float,
    share: float = 0.5,
    low: float = 0.0,
    high: float = 1.0,
    alpha: float = ALPHA,
) -> int | None:
    """Return about how many users it takes in all until `confidence_sequence` tells a difference
    of `least` from none; None while either side has too few to tell.

    A bet of stake s against a difference d gains about s d − s² v / 2 a user, v the variance of
    the weighed values; the best stake is d / v, or the largest that is allowed. Who splits his
    capital among several stakes must win as many times as much.
    """
    sides = (values_U[treated_U] / (high - low), values_U[~treated_U] / (high - low))
    if min(map(len, sides)) < FEWEST:
        return None
    # As if one more user had been unlike the others: nobody knows a variance to be 0.
    variances = [
        (float(np.var(side)) * len(side) + _UNKNOWN_VARIANCE) / (len(side) + 1) for side in sides
    ]
    variance = variances[0] / share + variances[1] / (1 - share)
    difference = least / (high - low)
    largest = MOST_STAKED / (1 / min(share, 1 - share) + 1)
    stake = min(difference / variance, largest)
    gain = stake * difference - stake**2 * variance / 2
    return ceil((log(2 / alpha) + log(len(HORIZONS_H))) / gain)
