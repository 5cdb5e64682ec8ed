"""A report of the harness × the prices of a day × a scenario → advice."""

from collections.abc import Mapping, Sequence

import numpy as np

from steelyard.advise import (
    DEFAULTS,
    DRAWS,
    Advice,
    Arm,
    ArmMeasured,
    Figure,
    Measured,
    Question,
    Scenario,
    advise,
)
from steelyard.core.errors import InputError
from steelyard.core.evaluation import ArmFigures, Interval, Report
from steelyard.core.prices import Prices
from steelyard.evals.report import is_quality, is_retrieval
from steelyard.flows.traffic import Traffic, with_traffic

_FIRST_WORD = ("p95_ttft_ms", "p95_ms")
_READER, _OWN_WORDS = "reader", "extractive"
_TOKENS_IN, _TOKENS_OUT = "prompt_tokens", "completion_tokens"


def advice_of(
    scenario: Scenario,
    prices: Prices,
    *,
    report: Report | None = None,
    measure: str = "",
    names: Mapping[str, str] | None = None,
    traffic: Traffic | None = None,
    given: Sequence[str] = (),
    draws: int = DRAWS,
) -> Advice:
    """Return advice from a report, or from stated defaults where there is none.

    `traffic` is what the query log says; `given` are inputs that it does not replace.

    Raises:
        InputError: the report or the scenario cannot be used; says all that is wrong.
        NotFound: a price is missing.
    """
    asked = question_of(scenario, prices, report=report, measure=measure, names=names)
    if traffic is not None:
        scenario, measured = with_traffic(scenario, asked.measured, traffic, given=given)
        asked = Question(scenario, measured, prices)
    return advise(asked, draws=draws)


def question_of(
    scenario: Scenario,
    prices: Prices,
    *,
    report: Report | None = None,
    measure: str = "",
    names: Mapping[str, str] | None = None,
) -> Question:
    """Return what is to be decided, from a report, or from stated defaults where there is none.

    Raises:
        InputError: the report cannot be used; says all that is wrong.
    """
    measured = DEFAULTS if report is None else measured_of(report, measure=measure, names=names)
    return Question(scenario, measured, prices)


def measured_of(
    report: Report, *, measure: str = "", names: Mapping[str, str] | None = None
) -> Measured:
    """Return what a report says of the arms `base`, `rag`, `tuned` and `tuned+rag`.

    `measure` "" takes the report's first measure of answers, else of quality. `names` maps the
    report's own names of arms to those four, where they differ.

    Raises:
        InputError: no such measure or arm, or figures without intervals.
    """
    chosen = measure or _measure(report)
    faults: list[str] = []
    if chosen not in report.measures or not is_quality(chosen):
        known = [one for one in report.measures if is_quality(one)]
        faults.append(f"{chosen or 'no measure'!r} is no measure of quality in it; it has {known}")
    given = dict(names or {})
    if unknown := [one for one in given if one not in {arm.name for arm in report.arms}]:
        faults.append(f"it has no arm {unknown[0]!r}, only {[arm.name for arm in report.arms]}")
    found: dict[Arm, ArmFigures] = {}
    for one in report.arms:
        name = given.get(one.name, one.name)
        if name in set(Arm):
            found[Arm(name)] = one
        elif one.name in given:
            faults.append(f"{name!r} is no way to weigh; name {[str(arm) for arm in Arm]}")
    if not found and not faults:
        faults.append(
            f"it has none of {[str(arm) for arm in Arm]}, only "
            f"{[arm.name for arm in report.arms]}; say which is which by --arm NAME=rag"
        )
    if not faults:
        faults += [fault for one in found.values() for fault in _missing(one, chosen)]
    if faults:
        raise InputError(f"report {report.id}: " + "; ".join(faults), code="bad_report")
    values = {arm: report.values.get(one.name, {}).get(chosen) for arm, one in found.items()}
    whole = {arm: one for arm, one in values.items() if one is not None}
    paired = _paired(whole) if len(whole) == len(found) else None
    return Measured(
        {arm: _arm(arm, one, chosen, report) for arm, one in found.items()},
        measure=chosen,
        source=f"run {report.id} on {report.set_name}",
        values={} if paired is None else {arm: one[paired] for arm, one in whole.items()},
        clusters=np.unique(report.clusters[paired], return_inverse=True)[1].astype(np.int64)
        if paired is not None
        else np.zeros(0, np.int64),
    )


def _measure(report: Report) -> str:
    """Return the first measure of answers, for a search is no answer; else of any quality."""
    quality = [one for one in report.measures if is_quality(one)]
    of_answers = [one for one in quality if not is_retrieval(one)]
    return next(iter(of_answers + quality), "")


def _paired(values: Mapping[Arm, np.ndarray]) -> np.ndarray | None:
    """Return which questions have a value in every arm; None: too few to resample."""
    both = np.all([np.isfinite(one) for one in values.values()], axis=0)
    return both if both.sum() >= 2 else None


def _missing(arm: ArmFigures, measure: str) -> list[str]:
    figure = arm.figures.get(measure)
    if figure is None or not np.isfinite(figure.value):
        return [f"{arm.name} has no {measure}"]
    if not np.isfinite([figure.low, figure.high]).all():
        return [f"{arm.name}'s {measure} has no interval ({figure.n} questions); ask more"]
    return []


def _arm(way: Arm, arm: ArmFigures, measure: str, report: Report) -> ArmMeasured:
    def figure(name: str) -> Figure | None:
        interval = arm.figures.get(name)
        if interval is None or not np.isfinite(interval.value):
            return None
        return _figure(interval, report)

    quality, read, written = figure(measure), figure(_TOKENS_IN), figure(_TOKENS_OUT)
    assert quality is not None  # `_missing` has seen to that
    waits = [found for name in _FIRST_WORD if (found := figure(name)) is not None]
    return ArmMeasured(
        quality,
        waits[0] if waits else DEFAULTS.arms[way].first_word_ms,
        prompt_tokens=read if read is not None and read.value > 0 else None,
        answer_tokens=written if written is not None and written.value > 0 else None,
        calls_model=not arm.parts.get(_READER, "").startswith(_OWN_WORDS),
    )


def _figure(interval: Interval, report: Report) -> Figure:
    low, high = interval.low, interval.high
    bounds = (low, high) if np.isfinite([low, high]).all() else (interval.value, interval.value)
    return Figure(
        interval.value, *bounds,
        source=f"run {report.id} on {report.set_name}, {interval.n} questions",
        seen=report.created_at[:10],
    )  # fmt: skip
