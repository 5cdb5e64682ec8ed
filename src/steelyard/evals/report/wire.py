"""A report as JSON and back: what `--json` writes, what a home keeps, what the page is fed."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from steelyard.core.errors import InputError
from steelyard.core.evaluation import (
    ArmFigures,
    Comparison,
    Interval,
    Report,
    Verdict,
)

FORMAT = 1
SHOWN_FAULTS = 5

# A figure that could not be made is null in JSON and NaN here: JSON has no word for it.
Figure = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]


def report_json(report: Report) -> dict[str, Any]:
    """Return the report as plain JSON values, without NaN and infinity: both become null."""
    return {
        "format": FORMAT,
        "id": report.id,
        "created_at": report.created_at,
        "set_name": report.set_name,
        "set_id": report.set_id,
        "measures": list(report.measures),
        "arms": [_arm_json(arm) for arm in report.arms],
        "comparisons": [_comparison_json(one) for one in report.comparisons],
        "notes": list(report.notes),
        "machine": dict(report.machine),
        "wall_s": _number(report.wall_s),
        "overhead_s": _number(report.overhead_s),
        "question_ids": list(report.question_ids),
        "clusters": [int(cluster) for cluster in report.clusters],
        "values": {
            arm: {measure: [_number(value) for value in found] for measure, found in by.items()}
            for arm, by in report.values.items()
        },
    }


def report_from_json(parsed: object, *, where: str = "report") -> Report:
    """Return the report that `report_json` wrote; `where` names its place in messages.

    Raises:
        InputError: it is no report, of another format, or its parts contradict each other.
    """
    if not isinstance(parsed, Mapping) or "format" not in parsed:
        raise InputError(f'{where}: not a report of `steelyard eval`: no "format" in it')
    if parsed["format"] != FORMAT:
        raise InputError(
            f"{where}: format {parsed['format']!r} is not {FORMAT}; read it with the version of "
            "Steelyard that wrote it, or run the evaluation again"
        )
    try:
        row = _ReportRow.model_validate(parsed)
    except ValidationError as error:
        raise InputError(f"{where}: {_faults(error)}") from error
    report = row.report()
    _check(report, where)
    return report


def _arm_json(arm: ArmFigures) -> dict[str, Any]:
    return {
        "name": arm.name,
        "parts": dict(arm.parts),
        "figures": {measure: interval_json(found) for measure, found in arm.figures.items()},
        "failures": dict(arm.failures),
        "busy_s": _number(arm.busy_s),
        "num_reused": arm.num_reused,
    }


def _comparison_json(one: Comparison) -> dict[str, Any]:
    return {
        "measure": one.measure,
        "baseline": one.baseline,
        "candidate": one.candidate,
        "delta": interval_json(one.delta),
        "p": _number(one.p),
        "p_holm": _number(one.p_holm),
        "test": one.test,
        "mde": _number(one.mde),
        "n_needed": one.n_needed,
        "verdict": one.verdict.value,
    }


def interval_json(found: Interval) -> dict[str, Any]:
    """Return an interval as JSON values."""
    return {
        "value": _number(found.value),
        "low": _number(found.low),
        "high": _number(found.high),
        "n": found.n,
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=True)


class _IntervalRow(_Row):
    value: Figure
    low: Figure
    high: Figure
    n: int

    def interval(self) -> Interval:
        return Interval(self.value, self.low, self.high, self.n)


class _ComparisonRow(_Row):
    measure: str
    baseline: str
    candidate: str
    delta: _IntervalRow
    p: Figure
    p_holm: Figure
    test: str
    mde: Figure
    n_needed: int | None
    verdict: Verdict

    def comparison(self) -> Comparison:
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return Comparison(**(fields | {"delta": self.delta.interval()}))


class _ArmRow(_Row):
    name: str
    parts: dict[str, str]
    figures: dict[str, _IntervalRow]
    failures: dict[str, str]
    busy_s: Figure
    num_reused: int

    def arm(self) -> ArmFigures:
        figures = {measure: found.interval() for measure, found in self.figures.items()}
        return ArmFigures(
            self.name, self.parts, figures, self.failures, self.busy_s, self.num_reused
        )


class _ReportRow(_Row):
    format: int
    id: str
    created_at: str
    set_name: str
    set_id: str
    measures: tuple[str, ...]
    arms: tuple[_ArmRow, ...]
    comparisons: tuple[_ComparisonRow, ...]
    notes: tuple[str, ...]
    machine: dict[str, str]
    wall_s: Figure
    overhead_s: Figure
    question_ids: tuple[str, ...]
    clusters: list[int]
    values: dict[str, dict[str, list[float | None]]]

    def report(self) -> Report:
        return Report(
            id=self.id,
            created_at=self.created_at,
            set_name=self.set_name,
            set_id=self.set_id,
            question_ids=self.question_ids,
            clusters=np.asarray(self.clusters, dtype=np.int64),
            measures=self.measures,
            arms=tuple(row.arm() for row in self.arms),
            comparisons=tuple(row.comparison() for row in self.comparisons),
            values={
                arm: {measure: np.array(found, dtype=np.float64) for measure, found in by.items()}
                for arm, by in self.values.items()
            },
            notes=self.notes,
            machine=self.machine,
            wall_s=self.wall_s,
            overhead_s=self.overhead_s,
        )


def _faults(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in found[:SHOWN_FAULTS]]
    more = len(found) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "")


def _check(report: Report, where: str) -> None:
    """Raise InputError where lengths or names of the parts do not fit each other."""
    names = {arm.name for arm in report.arms}
    num = len(report.question_ids)
    faults = []
    if len(report.clusters) != num:
        faults.append(f"clusters: {len(report.clusters)} for {num} questions")
    for arm, by_measure in report.values.items():
        if arm not in names:
            faults.append(f"values.{arm}: no such arm")
        for measure, found in by_measure.items():
            if len(found) != num:
                faults.append(f"values.{arm}.{measure}: {len(found)} values for {num} questions")
    for one in report.comparisons:
        unknown = {one.baseline, one.candidate} - names
        faults += [f"comparisons: no arm {name!r}" for name in sorted(unknown)]
    if faults:
        raise InputError(f"{where}: {'; '.join(faults[:SHOWN_FAULTS])}")
