"""The arms in a row, each differing from the one before in a single part."""

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.core.evaluation import ArmFigures, Interval, Report, Verdict
from steelyard.evals.report.figures import measure_of
from steelyard.evals.report.verdicts import baseline_of, gain
from steelyard.evals.statistics import weigh

RESAMPLES = 2000  # for drawing; what is decided is decided by the run's own comparisons


@dataclass(frozen=True, slots=True)
class Link:
    """`arm` is `previous` with another `part` (embedder, reranker, ...), now called `made_of`."""

    previous: str
    arm: str
    part: str
    made_of: str


@dataclass(frozen=True, slots=True)
class Step:
    """What a link changed in one measure. `verdict` None: the run itself did not compare these
    two arms, so the interval stands by itself; `delta` None: there are no values."""

    link: Link
    delta: Interval | None
    verdict: Verdict | None


def chain(report: Report) -> list[Link]:
    """Return the links from the baseline on, in the report's order of arms; [] without any."""
    arms = {arm.name: arm for arm in report.arms}
    last = arms.get(baseline_of(report))
    links: list[Link] = []
    for arm in report.arms:
        if last is None or arm.name == last.name or any(arm.name == one.previous for one in links):
            continue
        parts = _changed(last, arm)
        if len(parts) == 1:
            made_of = arm.parts.get(parts[0], "none")
            links.append(Link(last.name, arm.name, parts[0], made_of))
            last = arm
    return links


def _changed(before: ArmFigures, after: ArmFigures) -> list[str]:
    names = dict.fromkeys([*before.parts, *after.parts])
    return [name for name in names if before.parts.get(name) != after.parts.get(name)]


def steps(report: Report, links: Sequence[Link]) -> dict[str, list[Step]]:
    """Return what each link changed, by measure: the report's own comparisons, else new ones."""
    compared = {(c.baseline, c.candidate, c.measure): c for c in report.comparisons}
    found: dict[str, list[Step]] = {measure: [] for measure in report.measures}
    for link in links:
        keys = {m: (link.previous, link.arm, m) for m in report.measures}
        fresh = _weighed(report, link, [m for m, key in keys.items() if key not in compared])
        for measure, key in keys.items():
            known = compared.get(key)
            delta = fresh.get(measure) if known is None else known.delta
            found[measure].append(Step(link, delta, None if known is None else known.verdict))
    return found


def _weighed(report: Report, link: Link, measures: Sequence[str]) -> dict[str, Interval]:
    """Return the paired differences of a link's two arms, for measures that are known here."""
    arms = {name: report.values.get(name, {}) for name in (link.previous, link.arm)}
    known = [
        parsed
        for name in measures
        if (parsed := measure_of(name)) and all(name in values for values in arms.values())
    ]
    if not known or not len(report.clusters):
        return {}
    weighed = weigh(arms, report.clusters, known, baseline=link.previous, resamples=RESAMPLES)
    return {one.measure: one.delta for one in weighed.comparisons}


def kind_of(measure: str, step: Step) -> str:
    """Return gain or loss where the verdict says so, or, without one, the interval alone."""
    if step.verdict is not None:
        return {Verdict.BETTER: "gain", Verdict.WORSE: "loss"}.get(step.verdict, "")
    if step.delta is None or not step.delta.low * step.delta.high > 0:
        return ""
    return "gain" if gain(measure, step.delta.value) > 0 else "loss"
