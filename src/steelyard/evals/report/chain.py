"""The arms in a row, each differing from the one before in a single part."""

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.core.evaluation import ArmFigures, Comparison, Interval, Report, Verdict
from steelyard.evals.report.verdicts import baseline_of


@dataclass(frozen=True, slots=True)
class Link:
    """`arm` is `previous` with another `part` (embedder, reranker, ...), now called `made_of`."""

    previous: str
    arm: str
    part: str
    made_of: str


@dataclass(frozen=True, slots=True)
class Step:
    """What a link changed in one measure; `delta` None: nobody compared these two arms."""

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


def steps(report: Report, links: Sequence[Link], measure: str) -> list[Step]:
    """Return what each link changed in a measure, from the report's own comparisons."""
    by_pair = {(c.baseline, c.candidate): c for c in report.comparisons if c.measure == measure}
    return [_step(link, by_pair.get((link.previous, link.arm))) for link in links]


def _step(link: Link, found: Comparison | None) -> Step:
    return Step(link, None, None) if found is None else Step(link, found.delta, found.verdict)
