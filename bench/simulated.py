"""Made experiments whose truth is known: arms that answer clustered questions.

Every question and every cluster has a difficulty that all arms share, and one that only one
arm meets; `icc` is the clusters' share of both, `alike` what arms share. Measures read the sum:
`graded` like nDCG (eighths, many 0 and 1), `right` yes or no, `overlap` like F1 (many 0 and 1).

Shape suffixes: N questions, C clusters, A arms.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from steelyard.core.evaluation import Better, Reduce

Floats = NDArray[np.float64]
Sizes = Callable[[np.random.Generator, int], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Named:
    """A measure by its words; the values are made here."""

    name: str
    reduce: Reduce = Reduce.MEAN
    better: Better = Better.HIGHER
    quality: bool = True

    def values(self, questions: object, outcomes: object) -> Floats:
        raise NotImplementedError("the values are simulated")


def singles(rng: np.random.Generator, num_clusters: int) -> NDArray[np.int64]:
    return np.ones(num_clusters, dtype=np.int64)


def up_to(rng: np.random.Generator, num_clusters: int, *, largest: int) -> NDArray[np.int64]:
    """Return sizes of 1 to `largest`, each as likely."""
    return rng.integers(1, largest + 1, num_clusters)


def skewed(rng: np.random.Generator, num_clusters: int) -> NDArray[np.int64]:
    """Return geometric sizes of mean 5, the largest 40: mostly small, a few large."""
    return np.minimum(rng.geometric(0.2, num_clusters), 40)


def graded(latent: Floats) -> Floats:
    raw = np.clip((latent + 1.0) / 1.6, 0, 1)
    return np.round(raw * raw * 8) / 8


def right(latent: Floats) -> Floats:
    return (latent > 0).astype(np.float64)


def overlap(latent: Floats) -> Floats:
    return np.where(latent < -0.3, 0.0, np.where(latent > 0.8, 1.0, (latent + 0.3) / 1.1))


MEASURES: dict[str, Callable[[Floats], Floats]] = {
    "graded": graded,
    "right": right,
    "overlap": overlap,
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of question set; `level` is how easy it is."""

    name: str
    num_clusters: int
    sizes: Sizes
    icc: float = 0.3
    alike: float = 0.7
    level: float = 0.4


SCENARIOS = (
    Scenario("30 documents, 1 to 7 questions each", 30, partial(up_to, largest=7)),
    Scenario("30 documents, some with very many", 30, skewed),
    Scenario("30 documents, nearly all right", 30, partial(up_to, largest=7), level=1.5, alike=0.9),
    Scenario("120 conversations, 1 to 7 turns", 120, partial(up_to, largest=7)),
    Scenario("325 single questions", 325, singles),
    Scenario("1,000 documents, 1 to 10 questions each", 1000, partial(up_to, largest=10)),
)


@dataclass(frozen=True, slots=True)
class Experiment:
    """`values[arm][measure]` is (N,); arm 0 is the baseline."""

    clusters_N: NDArray[np.int64]
    values: dict[str, dict[str, Floats]]


def experiment(
    scenario: Scenario, rng: np.random.Generator, gains: tuple[float, ...]
) -> Experiment:
    """Make one experiment with an arm for each latent gain, all measures of all arms."""
    sizes_C = scenario.sizes(rng, scenario.num_clusters)
    clusters_N = np.repeat(np.arange(len(sizes_C)), sizes_C)
    difficulty = _difficulty(rng, clusters_N, len(sizes_C), scenario.icc)
    values = {}
    for arm, gain in enumerate(gains):
        own = _difficulty(rng, clusters_N, len(sizes_C), scenario.icc)
        latent = scenario.level + gain
        latent = latent + np.sqrt(scenario.alike) * difficulty + np.sqrt(1 - scenario.alike) * own
        values[f"arm {arm}"] = {
            name: measure(latent + 0.3 * rng.normal(size=len(latent)))
            for name, measure in MEASURES.items()
        }
    return Experiment(clusters_N, values)


def _difficulty(
    rng: np.random.Generator, clusters_N: NDArray[np.int64], num_clusters: int, icc: float
) -> Floats:
    shared = rng.normal(size=num_clusters)[clusters_N]
    return np.sqrt(icc) * shared + np.sqrt(1 - icc) * rng.normal(size=len(clusters_N))


def truth(level: float, gain: float, measure: str) -> float:
    """Return the expected value of a measure: the latent sum is normal with variance 1.09.

    By quadrature over the latent's own distribution, so without the noise of a simulation.
    """
    steps = np.linspace(-8, 8, 200_001)
    weights = np.exp(-(steps**2) / 2)
    values = MEASURES[measure](level + gain + np.sqrt(1 + 0.3**2) * steps)
    return float((values * weights).sum() / weights.sum())


def gain_for(level: float, difference: float, measure: str) -> float:
    """Return the latent gain that raises a measure's expected value by `difference`."""
    low, high = 0.0, 8.0
    before = truth(level, 0.0, measure)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (
            (low, middle)
            if truth(level, middle, measure) - before >= difference
            else (middle, high)
        )
    return high
