"""Two arms of any two runs over one set, weighed anew; and what a run would show, beforehand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from steelyard.core.errors import InputError, NotFound
from steelyard.core.evaluation import ArmFigures, QuestionSet, Report
from steelyard.core.protocols import Measure
from steelyard.datasets import clusters
from steelyard.evals.measures import parse_measures
from steelyard.evals.records import Records, check_same_set
from steelyard.evals.statistics import DEFAULT_SPREAD, Plan, Spread, plan, spread, weigh
from steelyard.flows.evaluate import EvaluateOptions


@dataclass(frozen=True, slots=True)
class _Side:
    """One arm of one run."""

    report: Report
    arm: ArmFigures


@dataclass(frozen=True, slots=True)
class Planned:
    """What the run can show of one measure. `source` says where the spread comes from."""

    measure: str
    min_effect: float
    found: Plan
    source: str


def compared(
    records: Records,
    baseline: str,
    candidate: str,
    *,
    effects: Mapping[str, float] | None = None,
) -> Report:
    """Return a report of two arms, each named `RUN:ARM`; the arm may be left out if it is alone.

    `effects` are the smallest differences that matter, by measure; "": of every other.

    Raises:
        NotFound: there is no such run or arm.
        InputError: the runs are about different sets, or have no measure in common.
    """
    left, right = _side(records, baseline), _side(records, candidate)
    check_same_set(left.report, right.report)
    common = [name for name in left.report.measures if name in right.report.measures]
    if not common:
        raise InputError(f"runs {left.report.id} and {right.report.id} share no measure")
    names = _names(left, right)
    measures = parse_measures(",".join(common))
    values = {
        name: {measure: side.report.values[side.arm.name][measure] for measure in common}
        for name, side in zip(names, (left, right), strict=True)
    }
    wanted = effects or {}
    weighed = weigh(
        values,
        left.report.clusters,
        measures,
        baseline=names[0],
        min_effects={
            m.name: wanted.get(m.name, wanted.get("", 0.0))
            for m in measures
            if m.name in wanted or (m.quality and "" in wanted)
        },
    )
    return replace(
        right.report,
        measures=tuple(common),
        arms=tuple(
            replace(side.arm, name=name, figures=weighed.figures[name])
            for name, side in zip(names, (left, right), strict=True)
        ),
        comparisons=weighed.comparisons,
        values=values,
        notes=tuple(dict.fromkeys([*left.report.notes, *right.report.notes])),
    )


def planned(
    records: Records,
    questions: QuestionSet,
    measures: Sequence[Measure],
    options: EvaluateOptions,
    *,
    num_candidates: int = 1,
) -> list[Planned]:
    """Return what a run of these questions can show of that many candidates, before it runs.

    The spread of paired differences is that of the newest run of the same set, where two of its
    arms were measured so; else a stated default.
    """
    labels = clusters(questions, options.cluster_by)
    num_clusters = len(set(labels.tolist()))
    earlier = _newest(records, questions.id)
    num_comparisons = max(1, num_candidates * sum(1 for one in measures if one.quality))
    rows: list[Planned] = []
    for measure in measures:
        effect = options.min_effects.get(measure.name)
        if not effect or not measure.quality:
            continue
        known = _spread(earlier, measure.name) if earlier else None
        used, source = known or DEFAULT_SPREAD, f"run {earlier.id}" if known and earlier else ""
        if used.sd == 0:
            continue
        found = plan(
            len(labels),
            num_clusters,
            min_effect=effect,
            sd=used.sd,
            icc=used.icc,
            num_comparisons=num_comparisons,
        )
        rows.append(Planned(measure.name, effect, found, source or "a default spread"))
    return rows


def _side(records: Records, text: str) -> _Side:
    run, colon, arm = text.partition(":")
    report = records.report(run)
    if not colon and len(report.arms) == 1:
        return _Side(report, report.arms[0])
    for one in report.arms:
        if one.name == arm:
            return _Side(report, one)
    names = ", ".join(one.name for one in report.arms)
    raise NotFound(f"run {report.id} has no arm {arm!r}; write {run}:ARM with one of {names}")


def _names(left: _Side, right: _Side) -> tuple[str, str]:
    if left.arm.name != right.arm.name:
        return left.arm.name, right.arm.name
    if left.report.id == right.report.id:
        raise InputError(f"arm {left.arm.name!r} would be compared with itself")
    return f"{left.report.id}:{left.arm.name}", f"{right.report.id}:{right.arm.name}"


def _newest(records: Records, set_id: str) -> Report | None:
    for row in records.list_runs():
        if row.set_id == set_id and len(row.arms) > 1:
            return records.report(row.id)
    return None


def _spread(report: Report, measure: str) -> Spread | None:
    """Return the widest spread between the run's first arm and any other."""
    if measure not in report.measures:
        return None
    first, *others = (report.values[arm.name][measure] for arm in report.arms)
    found = [spread(other - first, report.clusters) for other in others]
    known = [one for one in found if one.sd == one.sd]
    return max(known, key=lambda one: one.sd) if known else None
