"""Does the harness cry wolf, do its intervals hold the truth, and does it see what it says?

    nice python bench/weighing.py [--experiments 1000] [--resamples 1000] [--jobs 1]
    python bench/weighing.py --values FILE     # add questions 1 and 2 to real values
    python bench/weighing.py --plot            # bench/out/weighing.html from weighing.json

Four questions to simulated experiments whose truth is known (simulated.py), by the code that
weighs real runs, and the same to a t-test over questions that knows nothing of documents:

1. `false`: 4 candidates that are the baseline's twins, 3 measures. Single comparisons with
   p < .05; experiments with any "better" after Holm.
2. `coverage`: does the 95 % interval hold the true figure, and the true difference?
3. `power`: a candidate truly better by the `mde` that the harness states: how often "better"?
   Alone, and as one of 12 comparisons.
4. `peeking`: a live A/B without a difference, looked at after each of 10,000 users.

FILE is {"clusters": [...], "values": {arm: {measure: [...]}}}; null where a measure does not
apply. The clusters of its first two arms are drawn anew; for question 1 the second arm is shifted
by the true difference.
Writes bench/out/weighing.json and weighing.html.
"""

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from machine import OUT, write_result
from simulated import MEASURES, SCENARIOS, Experiment, Named, Scenario, experiment, gain_for, truth
from weighing_plot import write_plot

from steelyard.core.evaluation import Comparison, Interval, Verdict
from steelyard.evals.statistics import holm, interval, shown_after, weigh
from steelyard.evals.statistics.student import NORMAL, student_quantile

NUM_CANDIDATES = 4
PEEKING_USERS = 10_000
GAIN = 0.15  # the latent gain of the candidate whose interval is checked
SPLITS = {"half, 50 % right": (0.5, 0.5), "half, 2 % right": (0.5, 0.02), "a tenth": (0.1, 0.5)}


class Tally:
    """Counts how often each thing was true."""

    def __init__(self) -> None:
        self._hits: dict[str, int] = {}
        self._tries: dict[str, int] = {}

    def add(self, name: str, hit: bool) -> None:
        self._hits[name] = self._hits.get(name, 0) + bool(hit)
        self._tries[name] = self._tries.get(name, 0) + 1

    def percent(self) -> dict[str, float]:
        return {name: round(100 * hits / self._tries[name], 2) for name, hits in self._hits.items()}


def weighed(made: Experiment, measures: Sequence[str], resamples: int, seed: int) -> Any:
    return weigh(
        made.values,
        made.clusters_N,
        [Named(name) for name in measures],
        baseline="arm 0",
        resamples=resamples,
        seed=seed,
    )


def naive_p(before_N: np.ndarray, after_N: np.ndarray) -> float:
    """Return the p-value of a paired t-test over questions, as if no two shared a document."""
    differences_N = after_N - before_N
    error = differences_N.std(ddof=1) / np.sqrt(len(differences_N))
    if error == 0:
        return 1.0
    return 2 * NORMAL.cdf(-abs(differences_N.mean() / error))


def naive_interval(values_N: np.ndarray) -> Interval:
    """Return the t interval over questions."""
    n = len(values_N)
    half = student_quantile(0.975, df=n - 1) * values_N.std(ddof=1) / np.sqrt(n)
    mean = float(values_N.mean())
    return Interval(mean, mean - half, mean + half, n)


def holds(found: Interval, value: float) -> bool:
    return found.low <= value <= found.high


def false_alarms(scenario: Scenario, experiments: int, resamples: int) -> dict[str, float]:
    """Question 1: no arm is better than another."""
    rng = np.random.default_rng(1)
    tally = Tally()
    for seed in range(experiments):
        made = experiment(scenario, rng, (0.0,) * (1 + NUM_CANDIDATES))
        found = weighed(made, tuple(MEASURES), resamples, seed).comparisons
        count_false(tally, made, found)
    return tally.percent()


def count_false(tally: Tally, made: Experiment, found: Sequence[Comparison]) -> None:
    naive = [
        naive_p(made.values[one.baseline][one.measure], made.values[one.candidate][one.measure])
        for one in found
    ]
    up = [one.delta.value > 0 for one in found]
    for one, p in zip(found, naive, strict=True):
        tally.add("single", one.p < 0.05)
        tally.add("single naive", p < 0.05)
    tally.add("family better", any(one.verdict is Verdict.BETTER for one in found))
    tally.add("family either", any(one.verdict in (Verdict.BETTER, Verdict.WORSE) for one in found))
    adjusted = holm(naive)
    tally.add("family better naive", any(p < 0.05 and u for p, u in zip(adjusted, up, strict=True)))
    tally.add("no Holm better naive", any(p < 0.05 and u for p, u in zip(naive, up, strict=True)))


def coverage(scenario: Scenario, experiments: int, resamples: int) -> dict[str, float]:
    """Question 2: one figure and one difference of each measure, whose true values are known."""
    rng = np.random.default_rng(2)
    tally = Tally()
    figures = {name: truth(scenario.level, 0.0, name) for name in MEASURES}
    gains = {name: truth(scenario.level, GAIN, name) - figures[name] for name in MEASURES}
    for seed in range(experiments):
        made = experiment(scenario, rng, (0.0, GAIN))
        found = weighed(made, tuple(MEASURES), resamples, seed)
        for one in found.comparisons:
            name = one.measure
            before_N, after_N = (made.values[arm][name] for arm in ("arm 0", "arm 1"))
            tally.add(f"figure {name}", holds(found.figures["arm 0"][name], figures[name]))
            tally.add(f"difference {name}", holds(one.delta, gains[name]))
            tally.add(f"figure {name} naive", holds(naive_interval(before_N), figures[name]))
            tally.add(
                f"difference {name} naive", holds(naive_interval(after_N - before_N), gains[name])
            )
    return tally.percent()


def power(scenario: Scenario, experiments: int, resamples: int) -> dict[str, Any]:
    """Question 3: the true gain is the mde stated by 100 runs without one (`alone`, `one of 12`),
    or with it (`alone, stated with the gain`: what a reader of such a run is told)."""
    found: dict[str, Any] = {}
    for name, others in (("alone", 0), ("one of 12", NUM_CANDIDATES - 1)):
        mde = stated_mde(scenario, 0.0, others, resamples)
        found[name] = seen(scenario, mde, others, experiments, resamples)
    mde = found["alone"]["mde"]
    for _ in range(3):
        mde = stated_mde(scenario, gain_for(scenario.level, mde, "graded"), 0, resamples)
    found["alone, stated with the gain"] = seen(scenario, mde, 0, experiments, resamples)
    return found


def stated_mde(scenario: Scenario, gain: float, others: int, resamples: int) -> float:
    rng = np.random.default_rng(3)
    measures = tuple(MEASURES) if others else ("graded",)
    gains = (0.0, gain, *(0.0,) * others)
    runs = (weighed(experiment(scenario, rng, gains), measures, resamples, k) for k in range(100))
    return float(np.mean([run.comparisons[0].mde for run in runs]))


def seen(
    scenario: Scenario, mde: float, others: int, experiments: int, resamples: int
) -> dict[str, float]:
    rng = np.random.default_rng(6)
    measures = tuple(MEASURES) if others else ("graded",)
    gains = (0.0, gain_for(scenario.level, mde, "graded"), *(0.0,) * others)
    tally = Tally()
    for seed in range(experiments):
        one = weighed(experiment(scenario, rng, gains), measures, resamples, seed).comparisons[0]
        tally.add("seen", one.verdict is Verdict.BETTER)
    return {"mde": round(mde, 4), **tally.percent()}


def peeking(experiments: int) -> dict[str, Any]:
    """Question 4: false alarms of the live interval and of a z-test looked at as often."""
    found = {}
    for name, (share, level) in SPLITS.items():
        rng = np.random.default_rng(4)
        tally = Tally()
        for _ in range(experiments):
            treated_U = rng.random(PEEKING_USERS) < share
            values_U = (rng.random(PEEKING_USERS) < level) * 1.0
            alarm = shown_after(values_U, treated_U, share=share)
            tally.add("always valid", alarm is not None)
            tally.add("z-test at each look", bool(z_alarm(values_U, treated_U)))
        found[name] = tally.percent()
    return found


def z_alarm(values_U: np.ndarray, treated_U: np.ndarray) -> bool:
    """Say whether a z-test at any look from 100 users on would have called a difference."""
    means, errors = [], []
    for arm_U in (treated_U, ~treated_U):
        n_U = np.maximum(np.cumsum(arm_U), 1)
        mean_U = np.cumsum(values_U * arm_U) / n_U
        means.append(mean_U)
        errors.append(mean_U * (1 - mean_U) / n_U)
    error_U = np.sqrt(errors[0] + errors[1])[100:]
    return bool((np.abs(means[0] - means[1])[100:] > 1.96 * np.maximum(error_U, 1e-12)).any())


def real(path: Path, experiments: int, resamples: int) -> dict[str, Any]:
    """Questions 1 and 2 to real values: the file's questions are the population."""
    content = json.loads(path.read_text(encoding="utf-8"))
    clusters_N = np.unique(np.asarray(content["clusters"]), return_inverse=True)[1]
    before, after = list(content["values"].values())[:2]
    found = {}
    for name in before:
        arms = [np.array(arm[name], dtype=np.float64) for arm in (before, after)]
        found[name] = real_measure(clusters_N, arms[0], arms[1], experiments, resamples)
        print(name, found[name], flush=True)
    return {
        "arms": list(content["values"])[:2],
        "questions": len(clusters_N),
        "clusters": int(clusters_N.max()) + 1,
        "measures": found,
    }


def real_measure(
    clusters_N: np.ndarray,
    before_N: np.ndarray,
    after_N: np.ndarray,
    experiments: int,
    resamples: int,
) -> dict[str, float]:
    both_N = np.isfinite(before_N) & np.isfinite(after_N)
    clusters_N = np.unique(clusters_N[both_N], return_inverse=True)[1]
    before_N, after_N = before_N[both_N], after_N[both_N]
    members = [np.flatnonzero(clusters_N == c) for c in range(clusters_N.max() + 1)]
    gain, figure = float((after_N - before_N).mean()), float(before_N.mean())
    rng = np.random.default_rng(5)
    tally = Tally()
    for seed in range(experiments):
        drawn = rng.integers(0, len(members), len(members))
        rows = np.concatenate([members[c] for c in drawn])
        labels = np.repeat(np.arange(len(drawn)), [len(members[c]) for c in drawn])
        made = Experiment(labels, {"arm 0": {"it": before_N[rows]}, "arm 1": {"it": after_N[rows]}})
        one = weighed(made, ["it"], resamples, seed).comparisons[0]
        alone = interval(before_N[rows], labels, resamples=resamples, seed=seed)
        tally.add("difference", holds(one.delta, gain))
        tally.add("difference naive", holds(naive_interval(after_N[rows] - before_N[rows]), gain))
        tally.add("figure", holds(alone, figure))
        tally.add("figure naive", holds(naive_interval(before_N[rows]), figure))
        # The same errors around no difference.
        pair = (before_N[rows], after_N[rows] - gain)
        null = Experiment(labels, {"arm 0": {"it": pair[0]}, "arm 1": {"it": pair[1]}})
        verdict = weighed(null, ["it"], resamples, seed).comparisons[0].verdict
        tally.add("false better", verdict is Verdict.BETTER)
        p = naive_p(*pair)
        tally.add("false better naive", p < 0.05 and pair[1].mean() > pair[0].mean())
    return tally.percent()


def simulated(jobs: int, experiments: int, resamples: int) -> dict[str, Any]:
    """Return the answers to questions 1 to 3 by scenario."""
    asked = {"false": false_alarms, "coverage": coverage, "power": power}
    found: dict[str, Any] = {scenario.name: {} for scenario in SCENARIOS}
    with ProcessPoolExecutor(jobs) as pool:
        for name, ask in asked.items():
            todo = partial(ask, experiments=experiments, resamples=resamples)
            for scenario, answer in zip(SCENARIOS, pool.map(todo, SCENARIOS), strict=True):
                found[scenario.name][name] = answer
                print(scenario.name, name, answer, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--values", type=Path)
    parser.add_argument("--plot", action="store_true", help="only draw weighing.json again")
    options = parser.parse_args()
    if options.values:
        result = json.loads((OUT / "weighing.json").read_text(encoding="utf-8"))
        result["real"] = real(options.values, options.experiments, options.resamples)
        (OUT / "weighing.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    elif not options.plot:
        start = time.monotonic()
        result = {
            "experiments": options.experiments,
            "resamples": options.resamples,
            "scenarios": simulated(options.jobs, options.experiments, options.resamples),
            "peeking": peeking(options.experiments),
            "seconds": round(time.monotonic() - start),
        }
        write_result("weighing", result, quiet=True)
    write_plot(OUT / "weighing.json", OUT / "weighing.html")
    print(OUT / "weighing.html")


if __name__ == "__main__":
    main()
