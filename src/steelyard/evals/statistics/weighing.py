"""Every arm's figures, and every candidate against the baseline, from one set of draws.

Shape suffixes: N items, C clusters, B resamples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from steelyard.core.evaluation import Better, Comparison, Interval, Reduce, Values, Verdict
from steelyard.core.protocols import Measure
from steelyard.evals.statistics.clustered import Clustered, Labels, compact
from steelyard.evals.statistics.draws import PairedQuantiles, draw
from steelyard.evals.statistics.intervals import (
    ALPHA,
    DIFFERENCE,
    POSITIVE,
    QUANTILES,
    RESAMPLES,
    SHARE,
    Bounds,
    mean_interval,
    natural_bounds,
    quantile_interval,
)
from steelyard.evals.statistics.power import mean_mde, needed
from steelyard.evals.statistics.resampling import content_seed
from steelyard.evals.statistics.significance import (
    Significance,
    holm,
    paired_tests,
)
from steelyard.evals.statistics.table import Arms, check_options, checked

# A measure whose name ends in a unit is no share, even if all its values lie in [0, 1].
UNITS = ("_ms", "_s", "_usd", "_tokens", "_bytes")


@dataclass(frozen=True, slots=True)
class Weighed:
    """`figures[arm][measure]`, and a comparison for each candidate and measure, in the order
    given: arms first, measures within."""

    figures: Mapping[str, Mapping[str, Interval]]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """One comparison before its family is looked at; `mde` takes the family's size."""

    candidate: str
    measure: Measure
    delta: Interval
    significance: Significance
    mde: Callable[[int], float]


def weigh(
    values: Arms,
    clusters_N: Labels,
    measures: Sequence[Measure],
    *,
    baseline: str,
    min_effects: Mapping[str, float] | None = None,
    resamples: int = RESAMPLES,
    seed: int | None = None,
) -> Weighed:
    """Return all figures with intervals, and what each candidate does to each measure.

    `values[arm][measure]` is (N,); NaN does not apply, and a pair counts only if both do.
    `min_effects` are the smallest differences that matter, by measure. Holm's families are two,
    quality and effort: what is promised of quality must not hang on how many latencies are
    printed. `seed` None: made from the clusters, so that a rerun is identical.

    Raises:
        InputError: the baseline or values are missing, their numbers differ, or an option is wrong.
    """
    measures = list({measure.name: measure for measure in measures}.values())
    check_options(min_effects or {}, resamples=resamples, seed=seed)
    table = checked(values, measures, baseline=baseline, num_items=len(clusters_N))
    labels_N = compact(clusters_N, num_items=len(clusters_N))
    seed = content_seed(labels_N) if seed is None else seed
    scales = _Scales(table, labels_N, measures, baseline)
    scales.draw(resamples=resamples, seed=seed)
    found = scales.comparisons()
    judged: dict[tuple[str, str], Comparison] = {}
    for quality in (True, False):
        family = [one for one in found if one.measure.quality is quality]
        for comparison in _judge(family, baseline, min_effects or {}):
            judged[comparison.candidate, comparison.measure] = comparison
    return Weighed(
        figures={arm: {m.name: scales.figure(arm, m) for m in measures} for arm in table},
        comparisons=tuple(judged[one.candidate, one.measure.name] for one in found),
    )


class _Scales:
    """The table's columns, and what the shared draws made of them."""

    def __init__(
        self,
        table: Arms,
        labels_N: Labels,
        measures: Sequence[Measure],
        baseline: str,
    ) -> None:
        self._table, self._labels_N, self._measures = table, labels_N, measures
        self._baseline = baseline
        self._candidates = [arm for arm in table if arm != baseline]
        self._num_clusters = num_clusters = int(labels_N.max(initial=0)) + 1
        means = [m.name for m in measures if m.reduce is Reduce.MEAN]
        self._alone = {
            (arm, name): Clustered.of(table[arm][name], labels_N, num_clusters=num_clusters)
            for arm in table
            for name in means
        }
        self._paired = {
            (arm, name): Clustered.of(
                table[arm][name] - table[baseline][name], labels_N, num_clusters=num_clusters
            )
            for arm in self._candidates
            for name in means
        }
        self._quantiles = {
            (arm, m.name): PairedQuantiles.of(
                table[baseline][m.name],
                table[arm][m.name],
                labels_N,
                q=QUANTILES[m.reduce],
                num_clusters=num_clusters,
            )
            for arm in self._candidates
            for m in measures
            if m.reduce is not Reduce.MEAN
        }

    def draw(self, *, resamples: int, seed: int) -> None:
        """Draw counts and signs, each once for all columns."""
        self._draws = draw(
            [*self._alone.values(), *self._paired.values()],
            list(self._quantiles.values()),
            num_clusters=self._num_clusters,
            resamples=resamples,
            seed=seed,
        )
        yes_no = [
            _is_yes_no(self._table[arm][name]) and _is_yes_no(self._table[self._baseline][name])
            for arm, name in self._paired
        ]
        tests = paired_tests(list(self._paired.values()), yes_no, resamples=resamples, seed=seed)
        self._tests = dict(zip(self._paired, tests, strict=True))

    def figure(self, arm: str, measure: Measure) -> Interval:
        """Return one arm's figure of one measure."""
        values_N = self._table[arm][measure.name]
        if measure.reduce is not Reduce.MEAN:
            return quantile_interval(values_N, self._labels_N, q=QUANTILES[measure.reduce])
        at = list(self._alone).index((arm, measure.name))
        return self._mean(self._alone[arm, measure.name], at, _bounds(measure, values_N))

    def comparisons(self) -> list[_Found]:
        """Return each candidate's difference from the baseline, with its test."""
        return [
            self._mean_pair(arm, measure)
            if measure.reduce is Reduce.MEAN
            else self._quantile_pair(arm, measure)
            for arm in self._candidates
            for measure in self._measures
        ]

    def _mean_pair(self, arm: str, measure: Measure) -> _Found:
        key = arm, measure.name
        column = self._paired[key]
        both = (self._table[arm][measure.name], self._table[self._baseline][measure.name])
        bounded = all(_bounds(measure, values_N) == SHARE for values_N in both)
        at = len(self._alone) + list(self._paired).index(key)
        delta = self._mean(column, at, DIFFERENCE if bounded else Bounds())
        return _Found(
            candidate=arm,
            measure=measure,
            delta=delta,
            significance=self._tests[key],
            mde=lambda m: mean_mde(column, delta, num_comparisons=m, bounded=bounded),
        )

    def _quantile_pair(self, arm: str, measure: Measure) -> _Found:
        key = arm, measure.name
        pair = self._quantiles[key]
        shifted_B = self._draws.shifted_BQ[:, list(self._quantiles).index(key)]
        delta = pair.delta(shifted_B)
        return _Found(
            candidate=arm,
            measure=measure,
            delta=delta,
            significance=pair.significance(shifted_B),
            mde=lambda m: pair.mde(delta, shifted_B, num_comparisons=m),
        )

    def _mean(self, column: Clustered, at: int, bounds: Bounds) -> Interval:
        drawn = self._draws.means
        return mean_interval(
            column, drawn.shifts_BK[:, at], drawn.variances_BK[:, at], bounds=bounds
        )


def _judge(
    family: Sequence[_Found], baseline: str, min_effects: Mapping[str, float]
) -> list[Comparison]:
    """Return the family's comparisons with adjusted p-values and verdicts."""
    p_values = [one.significance.p if one.delta.n else nan for one in family]
    num_comparisons = max(1, sum(one.delta.n > 0 for one in family))
    judged = []
    for one, p, p_holm in zip(family, p_values, holm(p_values), strict=True):
        name = one.measure.name
        mde = one.mde(num_comparisons)
        min_effect = min_effects.get(name)
        verdict = _verdict(one.delta, p_holm, mde, better=one.measure.better, least=min_effect)
        shown = verdict in (Verdict.BETTER, Verdict.WORSE)
        judged.append(
            Comparison(
                measure=name,
                baseline=baseline,
                candidate=one.candidate,
                delta=one.delta,
                p=p,
                p_holm=p_holm,
                test=one.significance.test,
                mde=mde,
                n_needed=None if shown else needed(one.delta.n, mde=mde, min_effect=min_effect),
                verdict=verdict,
            )
        )
    return judged


def _verdict(
    delta: Interval, p_holm: float, mde: float, *, better: Better, least: float | None
) -> Verdict:
    """Return what the evidence allows; a NaN anywhere never shows a difference."""
    if p_holm < ALPHA and (delta.low > 0 or delta.high < 0):
        good = (delta.value > 0) is (better is Better.HIGHER)
        return Verdict.BETTER if good else Verdict.WORSE
    if least is not None and not mde <= least:
        return Verdict.UNDERPOWERED
    return Verdict.NO_EVIDENCE


def _bounds(measure: Measure, values_N: Values) -> Bounds:
    """Return what the measure's mean can be; one of quality is a share.

    Single values of it may lie outside [0, 1] (AUROC's do, so that their spread is the AUROC's).
    """
    natural = natural_bounds(values_N)
    known_N = values_N[np.isfinite(values_N)]
    if measure.quality and len(known_N) and 0 <= known_N.mean() <= 1:
        return SHARE
    if natural == SHARE and measure.name.endswith(UNITS):
        return POSITIVE
    return natural


def _is_yes_no(values_N: Values) -> bool:
    return bool(np.isin(values_N[np.isfinite(values_N)], (0.0, 1.0)).all())
