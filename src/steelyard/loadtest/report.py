"""A bench as one JSON document."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.infra.machine import machine
from steelyard.loadtest.bench import Bench, TrialResult
from steelyard.loadtest.plan import Shape
from steelyard.loadtest.samples import Quantiles


@dataclass(frozen=True, slots=True)
class About:
    """What was benched, for the head of a report; `started_at` is ISO 8601."""

    version: str
    target: str
    mode: str
    num_questions: int
    started_at: str


def report_json(bench: Bench, about: About, shape: Shape) -> dict[str, Any]:
    """Return the report; the stages of all trials stand in one order, that of the first."""
    stages = list(dict.fromkeys(name for one in bench.results for name in one.summary.stages_ms))
    return {
        "steelyard": about.version,
        "target": about.target,
        "mode": about.mode,
        "started_at": about.started_at,
        "machine": machine(),
        "num_questions": about.num_questions,
        "loop": f"open, {shape.rate:g}/s" if shape.rate else "closed",
        "interrupted": bench.interrupted,
        "notes": list(bench.notes),
        "trials": [trial_json(result, stages) for result in bench.results],
    }


def trial_json(result: TrialResult, stages: Sequence[str]) -> dict[str, Any]:
    """Return one trial; all times in ms. `client` is what the asking side saw."""
    trial, summary = result.trial, result.summary
    return {
        "cache": trial.cache,
        "pass": trial.temperature,
        "clients": trial.num_clients,
        "num_questions": len(trial.questions),
        "answered": summary.num_answered,
        "per_s": round(summary.per_s, 2),
        "took_s": round(summary.took_s, 3),
        "errors": dict(summary.errors),
        "rejected": summary.num_rejected,
        "unfinished": summary.num_unfinished,
        "cache_outcomes": dict(summary.cache),
        "degraded": dict(summary.degraded),
        "client": {
            "first_token": _row(summary.first_ms),
            "total": _row(summary.total_ms),
            "rejected": _row(summary.rejected_ms),
        },
        "stages": {
            name: summary.stages_ms[name].row() for name in stages if name in summary.stages_ms
        },
    }


def _row(found: Quantiles | None) -> dict[str, float] | None:
    return None if found is None else found.row()
