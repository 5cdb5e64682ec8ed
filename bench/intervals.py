"""Which interval holds the truth as often as it says, when few documents share the errors?

    nice python bench/intervals.py [--experiments 600] [--resamples 1000]

Six intervals of the same simulated experiments (simulated.py), each resampling documents: t with
the error between documents, percentile, BCa, bootstrap-t with equal tails, the same with both
tails as one, and what Steelyard reports (the last one; of figures on the logit scale). Percentages
of intervals that hold the truth, and how often it lay below and above; bench/out/intervals.json.
"""

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
from machine import write_result
from numpy.typing import NDArray
from simulated import MEASURES, SCENARIOS, Scenario, experiment, truth

from steelyard.evals.statistics import interval
from steelyard.evals.statistics.clustered import Clustered
from steelyard.evals.statistics.intervals import VARIANCE_FLOOR
from steelyard.evals.statistics.resampling import MeanColumns, count_blocks
from steelyard.evals.statistics.student import NORMAL, student_quantile

GAIN = 0.15
TAILS = (0.025, 0.975)
Pair = tuple[float, float]


def intervals(
    values_N: NDArray[np.float64], labels_N: NDArray[np.int64], resamples: int, seed: int
) -> Mapping[str, Pair]:
    """Return the limits of each kind."""
    column = Clustered.of(values_N, labels_N, num_clusters=int(labels_N.max()) + 1)
    error = np.sqrt(column.variance)
    width = student_quantile(TAILS[1], df=column.num_clusters - 1) * error
    ours = interval(values_N, labels_N, resamples=resamples, seed=seed)
    found = {
        "t": (column.mean - width, column.mean + width),
        "Steelyard": (ours.low, ours.high),
    }
    if error == 0:
        return dict.fromkeys(("percentile", "BCa", "bootstrap-t", "symmetric"), found["t"]) | found
    columns = MeanColumns([column], num_clusters=len(column.sums_C))
    drawn = [
        columns.resample(counts_bC)
        for counts_bC in count_blocks(len(column.sums_C), resamples=resamples, seed=seed)
    ]
    shifts_B = np.concatenate([block.shifts_BK[:, 0] for block in drawn])
    variances_B = np.concatenate([block.variances_BK[:, 0] for block in drawn])
    t_B = shifts_B / np.sqrt(np.maximum(variances_B, VARIANCE_FLOOR * error**2))
    low_t, high_t = np.quantile(t_B, TAILS)
    both = np.quantile(np.abs(t_B), 0.95)
    percentile = column.mean + np.quantile(shifts_B, TAILS)
    return found | {
        "percentile": (percentile[0], percentile[1]),
        "BCa": bca(column, shifts_B),
        "bootstrap-t": (column.mean - high_t * error, column.mean - low_t * error),
        "symmetric": (column.mean - both * error, column.mean + both * error),
    }


def bca(column: Clustered, shifts_B: NDArray[np.float64]) -> Pair:
    """Return the bias-corrected and accelerated interval, accelerated by leaving clusters out."""
    below = float(np.mean(shifts_B < 0) + np.mean(shifts_B == 0) / 2)
    bias = NORMAL.inv_cdf(min(max(below, 1e-4), 1 - 1e-4))
    without_C = (column.sums_C.sum() - column.sums_C) / (column.n - column.sizes_C)
    apart_C = without_C.mean() - without_C
    skew = float((apart_C**3).sum() / (6 * (apart_C**2).sum() ** 1.5))
    levels = []
    for tail in TAILS:
        z = bias + NORMAL.inv_cdf(tail)
        levels.append(NORMAL.cdf(bias + z / (1 - skew * z)))
    low, high = column.mean + np.quantile(shifts_B, levels)
    return low, high


def coverage(scenario: Scenario, experiments: int, resamples: int) -> dict[str, Any]:
    """Return {measure: {kind: percent held, below, above}} of figures and differences."""
    rng = np.random.default_rng(7)
    figures = {name: truth(scenario.level, 0.0, name) for name in MEASURES}
    raised = {name: truth(scenario.level, GAIN, name) for name in MEASURES}
    missed: dict[str, dict[str, list[int]]] = {}
    for seed in range(experiments):
        made = experiment(scenario, rng, (0.0, GAIN))
        before, after = made.values["arm 0"], made.values["arm 1"]
        for name in MEASURES:
            asked = {
                f"figure {name}": (before[name], figures[name]),
                f"difference {name}": (
                    after[name] - before[name],
                    raised[name] - figures[name],
                ),
            }
            for what, (values_N, value) in asked.items():
                kinds = intervals(values_N, made.clusters_N, resamples, seed)
                for kind, (low, high) in kinds.items():
                    sides = missed.setdefault(what, {}).setdefault(kind, [0, 0])
                    sides[0] += value < low
                    sides[1] += value > high
    return {
        what: {
            kind: {
                "held": round(100 - 100 * (below + above) / experiments, 1),
                "below": round(100 * below / experiments, 1),
                "above": round(100 * above / experiments, 1),
            }
            for kind, (below, above) in kinds.items()
        }
        for what, kinds in missed.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--experiments", type=int, default=600)
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args()
    result = {}
    for scenario in SCENARIOS:
        result[scenario.name] = coverage(scenario, options.experiments, options.resamples)
        for what, kinds in result[scenario.name].items():
            held = " ".join(f"{kind} {one['held']}" for kind, one in kinds.items())
            print(f"{scenario.name:42} {what:20} {held}", flush=True)
    write_result("intervals", {"experiments": options.experiments, "scenarios": result}, quiet=True)


if __name__ == "__main__":
    main()
