"""What a page shows of a run before a question is opened: figures and differences as texts too."""

from typing import Any

from steelyard.core.evaluation import Comparison, Interval, Report
from steelyard.evals.report.chain import Step, chain, kind_of, steps
from steelyard.evals.report.figures import (
    NONE,
    bounds,
    is_quality,
    shown,
    shown_delta,
    with_interval,
)
from steelyard.evals.report.verdicts import SYMBOLS, arm_verdicts, baseline_of, detectable, weighed
from steelyard.evals.report.wire import interval_json, report_json

_BY_QUESTION = ("values", "question_ids", "clusters")


def summary_json(report: Report) -> dict[str, Any]:
    """Return the report without what belongs to single questions, and with all words made."""
    told = {name: value for name, value in report_json(report).items() if name not in _BY_QUESTION}
    for arm, row in zip(report.arms, told["arms"], strict=True):
        row["figures"] = {name: figure_json(name, found) for name, found in arm.figures.items()}
        row["num_failed"] = len(row.pop("failures"))
    return told | {
        "num_questions": len(report.question_ids),
        "num_clusters": len(set(report.clusters.tolist())),
        "baseline": baseline_of(report),
        "quality": [name for name in report.measures if is_quality(name)],
        "verdicts": [
            {"arm": one.arm, "overall": one.overall, "text": one.text}
            for one in arm_verdicts(report)
        ],
        "detectable": detectable(report),
        "comparisons": [comparison_json(one) for one in weighed(report)],
        "steps": {
            name: [_step(report, name, step) for step in found]
            for name, found in steps(report, chain(report)).items()
        },
    }


def comparison_json(one: Comparison) -> dict[str, Any]:
    """Return one comparison with its difference as a text and the sign of its verdict."""
    return {
        "measure": one.measure,
        "baseline": one.baseline,
        "candidate": one.candidate,
        "delta": figure_json(one.measure, one.delta, delta=True),
        "p_holm": one.p_holm if one.p_holm == one.p_holm else None,
        "test": one.test,
        "mde": shown(one.measure, one.mde),
        "n_needed": one.n_needed,
        "verdict": one.verdict.value,
        "sign": SYMBOLS[one.verdict],
    }


def figure_json(measure: str, found: Interval, *, delta: bool = False) -> dict[str, Any]:
    """Return an interval with the texts that stand for it."""
    return interval_json(found) | {
        "text": with_interval(measure, found, delta=delta),
        "shown": (shown_delta if delta else shown)(measure, found.value),
        "bounds": bounds(measure, found, delta=delta),
    }


def _step(report: Report, measure: str, step: Step) -> dict[str, Any]:
    figures = {arm.name: arm.figures.get(measure) for arm in report.arms}
    before, after = figures[step.link.previous], figures[step.link.arm]
    return {
        "previous": step.link.previous,
        "arm": step.link.arm,
        "part": step.link.part,
        "made_of": step.link.made_of,
        "before": None if before is None else figure_json(measure, before),
        "after": None if after is None else figure_json(measure, after),
        "delta": None if step.delta is None else figure_json(measure, step.delta, delta=True),
        "kind": kind_of(measure, step),
        "sign": "" if step.verdict is None else SYMBOLS[step.verdict],
        "text": NONE if step.delta is None else with_interval(measure, step.delta, delta=True),
    }
