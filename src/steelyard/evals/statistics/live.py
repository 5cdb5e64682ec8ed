"""Live A/B: intervals that stay true however often one looks, and a check of the split.

Shape suffix: U users, in the order of their first question.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Values
from steelyard.evals.statistics.clustered import Floats
from steelyard.evals.statistics.intervals import ALPHA
from steelyard.evals.statistics.student import NORMAL, two_sided_binomial

EXACT_USERS = 20_000
# What each arm's mean, and the variance, weigh before the first user: as one user in the middle
# of the range.
PRIOR_USERS = 1.0
# Bets are tuned to be sharpest after so many users; their mean is sharp at all of them.
HORIZONS_H = 64.0 * 4.0 ** np.arange(7)
MOST_STAKED = 0.5  # of the capital that a single user could cost
HALVINGS = 40


@dataclass(frozen=True, slots=True)
class LiveInterval:
    """The difference treated − control after `num_users`, and its always-valid interval.

    `shown_after` is the number of users after which 0 was first ruled out (None: not yet); one
    may look after every user and stop then, the chance of a false alarm is 5 % for all looks.
    """

    value: float
    low: float
    high: float
    num_users: int
    shown_after: int | None


@dataclass(frozen=True, slots=True)
class Users:
    """(U,) each user's mean value, and whether the user saw the challenger."""

    values_U: Values
    treated_U: NDArray[np.bool_]


def by_user(users: Sequence[str], treated: Sequence[bool], values: Sequence[float]) -> Users:
    """Return one value a user, in the order of first questions: answers of one user share errors.

    Raises:
        InputError: a user saw both arms, or the three differ in length.
    """
    if not len(users) == len(treated) == len(values):
        raise InputError(f"{len(users)} users, {len(treated)} arms and {len(values)} values")
    arms: dict[str, bool] = {}
    for user, arm in zip(users, treated, strict=True):
        if arms.setdefault(user, bool(arm)) is not bool(arm):
            raise InputError(f"user {user!r} saw both arms: split by user, then compare")
    at = {user: k for k, user in enumerate(arms)}
    labels = np.array([at[user] for user in users], dtype=np.int64)
    sums_U = np.bincount(labels, np.asarray(values, dtype=np.float64), len(at))
    counts_U = np.bincount(labels, minlength=len(at))
    return Users(sums_U / np.maximum(counts_U, 1), np.fromiter(arms.values(), bool, len(at)))


def confidence_sequence(
    values_U: Values,
    treated_U: NDArray[np.bool_],
    *,
    share: float = 0.5,
    low: float = 0.0,
    high: float = 1.0,
    alpha: float = ALPHA,
) -> LiveInterval:
    """Return the difference of two groups' means with an interval that may be looked at always.

    `share` is each user's chance to be treated, as the split was set; `low` and `high` are what a
    value can be. Each user's value, weighed by that chance, estimates the difference without
    bias whatever came before; whoever bets against a true difference multiplies his capital
    by 2 / alpha with a chance of at most alpha / 2, for ever. The interval holds the differences
    against which nobody has won so much. Holds for any number of users and any split.

    Source: Waudby-Smith & Ramdas, JRSS B 2024, arXiv 2010.09686 (betting); Waudby-Smith, Wu,
    Ramdas, Karampatziakis & Mineiro, arXiv 2210.10768 (the weighing).

    Raises:
        InputError: a value lies outside [low, high], or the share outside (0, 1).
    """
    values_U, treated_U = np.asarray(values_U, dtype=np.float64), np.asarray(treated_U, dtype=bool)
    _check_live(values_U, treated_U, share=share, low=low, high=high)
    num_users, width = len(values_U), high - low
    if num_users == 0:
        return LiveInterval(nan, -width, width, 0, None)
    effects_U = _effects((values_U - low) / width, treated_U, share)
    stakes_UH = _stakes(effects_U, share, alpha)
    goal = log(2 / alpha)
    return LiveInterval(
        value=float(effects_U.mean()) * width,
        low=_lowest(effects_U, stakes_UH, goal) * width,
        high=-_lowest(-effects_U, stakes_UH, goal) * width,
        num_users=num_users,
        shown_after=_first_win(effects_U, stakes_UH, goal),
    )


def shown_after(
    values_U: Values,
    treated_U: NDArray[np.bool_],
    *,
    share: float = 0.5,
    alpha: float = ALPHA,
) -> int | None:
    """Return only `shown_after` of the interval of values in [0, 1], in a tenth of its time."""
    values_U, treated_U = np.asarray(values_U, dtype=np.float64), np.asarray(treated_U, dtype=bool)
    _check_live(values_U, treated_U, share=share, low=0.0, high=1.0)
    if not len(values_U):
        return None
    effects_U = _effects(values_U, treated_U, share)
    return _first_win(effects_U, _stakes(effects_U, share, alpha), log(2 / alpha))


def _first_win(effects_U: Floats, stakes_UH: Floats, goal: float) -> int | None:
    """Return the number of users after which a bet against no difference has won its goal."""
    gained_U = np.maximum(_log_capital(effects_U, stakes_UH), _log_capital(-effects_U, stakes_UH))
    won = np.flatnonzero(gained_U >= goal)
    return int(won[0]) + 1 if len(won) else None


def _stakes(effects_U: Floats, share: float, alpha: float) -> Floats:
    """Return (U, H) stakes, each from the variance of the users before."""
    largest = 1 / min(share, 1 - share)
    seen_U = np.arange(len(effects_U)) + PRIOR_USERS
    before_U = np.concatenate([[0.0], np.cumsum(effects_U)[:-1]]) / seen_U
    squares_U = np.concatenate([[0.0], np.cumsum((effects_U - before_U) ** 2)[:-1]])
    variance_U = (PRIOR_USERS * 0.25 * largest + squares_U) / seen_U
    stakes_UH = np.sqrt(2 * log(2 / alpha) / (variance_U[:, None] * HORIZONS_H))
    # An effect lies within ± largest and a difference within ± 1, so no bet loses everything.
    safe_UH: Floats = np.minimum(stakes_UH, MOST_STAKED / (largest + 1))
    return safe_UH


def _log_capital(excess_U: Floats, stakes_UH: Floats) -> Floats:
    """Return (U,) the logarithm of the mean capital of all bettors after each user."""
    logs_UH = np.cumsum(np.log1p(stakes_UH * excess_U[:, None]), axis=0)
    top_U = logs_UH.max(axis=1)
    capital_U: Floats = top_U + np.log(np.exp(logs_UH - top_U[:, None]).mean(axis=1))
    return capital_U


def _lowest(effects_U: Floats, stakes_UH: Floats, goal: float) -> float:
    """Return the least difference in [−1, 1] against which the capital is below the goal now.

    It falls as the difference rises, so halving finds where it crosses; from outside.
    """
    low, high = -1.0, 1.0
    if _final(effects_U - low, stakes_UH) < goal:
        return low
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _final(effects_U - middle, stakes_UH) >= goal:
            low = middle
        else:
            high = middle
    return low


def _final(excess_U: Floats, stakes_UH: Floats) -> float:
    logs_H = np.log1p(stakes_UH * excess_U[:, None]).sum(axis=0)
    return float(logs_H.max() + np.log(np.exp(logs_H - logs_H.max()).mean()))


def _effects(unit_U: Floats, treated_U: NDArray[np.bool_], share: float) -> Floats:
    """Return (U,) unbiased estimates of the difference, one a user, given those before."""
    treated_mean_U = _means_before(unit_U, treated_U)
    control_mean_U = _means_before(unit_U, ~treated_U)
    return (
        treated_mean_U
        - control_mean_U
        + np.where(
            treated_U,
            (unit_U - treated_mean_U) / share,
            -(unit_U - control_mean_U) / (1 - share),
        )
    )


def _means_before(unit_U: Floats, chosen_U: NDArray[np.bool_]) -> Floats:
    """Return each user's mean of the chosen ones before, with a prior in the middle."""
    sums_U = np.concatenate([[0.0], np.cumsum(np.where(chosen_U, unit_U, 0.0))[:-1]])
    counts_U = np.concatenate([[0], np.cumsum(chosen_U)[:-1]])
    return (sums_U + PRIOR_USERS * 0.5) / (counts_U + PRIOR_USERS)


def _check_live(
    values_U: Values, treated_U: NDArray[np.bool_], *, share: float, low: float, high: float
) -> None:
    if values_U.shape != treated_U.shape or values_U.ndim != 1:
        raise InputError(f"values of shape {values_U.shape} but arms of {treated_U.shape}")
    if not 0 < share < 1:
        raise InputError(f"a share of {share} leaves one arm without users: give 0 < share < 1")
    if not low < high:
        raise InputError(f"values between {low} and {high} cannot differ")
    outside = np.flatnonzero(~((values_U >= low) & (values_U <= high)))
    if len(outside):
        raise InputError(
            f"value {values_U[outside[0]]} of user {outside[0]} lies outside [{low}, {high}]"
        )


def ratio_mismatch(num_treated: int, num_control: int, *, share: float = 0.5) -> float:
    """Return the p-value that the split is what it was set to be; below .001 something is broken.

    Exact for up to 20,000 users, else by the normal approximation. A comparison under a broken
    split means nothing. Source: Fabijan et al., KDD 2019 (sample ratio mismatch).

    Raises:
        InputError: a count is negative, or the share outside (0, 1).
    """
    if num_treated < 0 or num_control < 0 or not 0 < share < 1:
        raise InputError(f"no split: {num_treated} and {num_control} users at a share of {share}")
    n = num_treated + num_control
    if n <= EXACT_USERS:
        return two_sided_binomial(num_treated, n=n, p=share)
    z = (num_treated - n * share) / sqrt(n * share * (1 - share))
    return 2 * NORMAL.cdf(-abs(z))
