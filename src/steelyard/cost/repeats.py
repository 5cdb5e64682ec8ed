"""How many of the questions to come will be new: what a cache that never forgets must still ask.

The point is what a Poisson-lognormal fit to how often each question was asked expects (Bulmer,
Biometrics 30, 1974). Below it stands Chao's extrapolation, a lower bound in expectation (Chao et
al., Ecological Monographs 84, 2014, eq. 9); above it 1.6 times the point, by how much it fell
short at worst in `bench/unseen.py`, but no more than if questions stayed as new as they are now
(Good and Turing: the share of those that were asked once).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SHORT = 1.6
_NODES = 41
_MUS = np.linspace(-9.0, 10.0, 96)  # of the logarithm of how often a question is asked
_SIGMAS = np.linspace(0.05, 4.5, 46)

Floats = NDArray[np.float64]


class New(NamedTuple):
    """How many questions are expected that were not asked before."""

    value: float
    low: float
    high: float


def expected_new(times: Sequence[int], *, more: int) -> New:
    """Return how many of the next `more` questions will be new; `times` each known one was asked.

    `more` beyond ten times what was seen is a guess, whatever it says.
    """
    counts = np.asarray([one for one in times if one > 0], np.int64)
    if not len(counts) or more <= 0:
        return New(float(max(more, 0)), 0.0, float(max(more, 0)))
    value = min(float(more), _lognormal(counts, more))
    now = more * float((counts == 1).mean()) * len(counts) / float(counts.sum())
    high = min(float(more), max(value, min(_SHORT * value, now)))
    return New(value, min(value, _chao(counts, more)), high)


def _chao(counts: NDArray[np.int64], more: int) -> float:
    num = int(counts.sum())
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    if not once:
        return 0.0
    unseen = (num - 1) / num * (once * once / (2 * twice) if twice else once * (once - 1) / 2)
    if unseen <= 0:
        return 0.0
    return float(unseen * (1 - (1 - once / (num * unseen + once)) ** more))


def _lognormal(counts: NDArray[np.int64], more: int) -> float:
    """Return what the likeliest Poisson-lognormal on a grid expects; numbers of questions known
    are taken as truncated at zero."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    log_rates = _MUS[:, None, None] + _SIGMAS[None, :, None] * nodes  # (mu, sigma, node)
    rates = np.exp(log_rates)
    likely = np.zeros((len(_MUS), len(_SIGMAS)))
    known, how_many = np.unique(counts, return_counts=True)
    for times, questions in zip(known.tolist(), how_many.tolist(), strict=True):
        terms = times * log_rates - rates  # less log(times!), the same everywhere
        most = terms.max(axis=-1, keepdims=True)
        likely += questions * (np.log(np.exp(terms - most) @ weights) + most[..., 0])
    unseen_share = np.exp(-rates) @ weights
    likely -= len(counts) * np.log(np.maximum(1 - unseen_share, 1e-300))
    place = np.unravel_index(int(likely.argmax()), likely.shape)
    chosen: Floats = rates[place]
    share = float(1 - np.exp(-chosen) @ weights)
    after = float(1 - np.exp(-chosen * (1 + more / counts.sum())) @ weights)
    return max(0.0, len(counts) * (after / share - 1))
