"""Intervals and steps as rows: text is HTML, and only the marks on a scale are SVG.

A track is stretched to the width that the page has, so nothing but lines stands in it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from steelyard.core.evaluation import Interval, Report, Verdict
from steelyard.evals.report.chain import Step, kind_of
from steelyard.evals.report.figures import NONE, shown, with_interval
from steelyard.evals.report.verdicts import SYMBOLS, baseline_of

WIDE = 1000  # units across a track
TICKS = 4  # at most so many gaps between the ticks of a scale


@dataclass(frozen=True, slots=True)
class Scale:
    """From `low` to `high` in `gaps` equal gaps, all ends round."""

    low: float
    high: float
    gaps: int

    @classmethod
    def over(cls, values: Sequence[float]) -> "Scale":
        """Return the tightest round scale over the values that are numbers."""
        known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(known), max(known)
        spread = (high - low) or abs(high) or 1.0
        step = next(s for s in _steps(spread / TICKS) if _gaps(low, high, s) <= TICKS)
        bottom = math.floor(low / step + 1e-9)
        return cls(bottom * step, (bottom + _gaps(low, high, step)) * step, _gaps(low, high, step))

    def place(self, value: float) -> float:
        return round(WIDE * (value - self.low) / (self.high - self.low), 1)

    def ticks(self) -> list[float]:
        return [self.low + (self.high - self.low) * n / self.gaps for n in range(self.gaps + 1)]


def _steps(least: float) -> Iterator[float]:
    power = 10.0 ** math.floor(math.log10(least))
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10


def _gaps(low: float, high: float, step: float) -> int:
    return max(1, math.ceil(high / step - 1e-9) - math.floor(low / step + 1e-9))


def interval_rows(report: Report, measure: str) -> str:
    """Return one measure's figures of all arms on a common scale."""
    found = {arm.name: arm.figures.get(measure) for arm in report.arms}
    known = [one for one in found.values() if one is not None and math.isfinite(one.value)]
    if not known:
        return ""
    scale = Scale.over([end for one in known for end in (one.value, one.low, one.high)])
    baseline = baseline_of(report)
    start = found.get(baseline)
    level = None if start is None or not math.isfinite(start.value) else scale.place(start.value)
    rows = [
        _row(
            name,
            [] if one is None else _interval_marks(scale, one, level),
            NONE if one is None else with_interval(measure, one),
            kind="base" if name == baseline else "",
        )
        for name, one in found.items()
    ]
    return _figure(measure, measure, scale, rows)


def waterfall_rows(report: Report, measure: str, found: Sequence[Step]) -> str:
    """Return the way from the baseline to the last arm of the chain in one measure."""
    arms = {arm.name: arm.figures.get(measure) for arm in report.arms}
    names = [found[0].link.previous, *(step.link.arm for step in found)] if found else []
    values = [math.nan if (one := arms[name]) is None else one.value for name in names]
    if not values or not all(math.isfinite(value) for value in values):
        return ""
    ends = [
        before + end
        for before, step in zip(values, found, strict=False)
        if step.delta is not None
        for end in (step.delta.low, step.delta.high)
    ]
    scale = Scale.over([*values, *ends])
    rows = [_total(names[0], measure, scale, values[0])]
    for step, before, after in zip(found, values, values[1:], strict=False):
        told = NONE if step.delta is None else with_interval(measure, step.delta, delta=True)
        rows.append(
            _row(
                f"+ {step.link.part}: {step.link.made_of}",
                _step_marks(scale, step, before, after),
                told,
                kind=kind_of(measure, step),
                verdict=step.verdict,
            )
        )
    rows.append(_total(names[-1], measure, scale, values[-1]))
    return _figure(measure, f"{measure}: from {names[0]} to {names[-1]}", scale, rows)


def _total(name: str, measure: str, scale: Scale, value: float) -> str:
    return _row(name, [_tick(scale.place(value))], shown(measure, value), kind="base")


def _interval_marks(scale: Scale, found: Interval, level: float | None) -> list[str]:
    marks = [] if level is None else [_line("level", level, level, 0, 20)]
    if math.isfinite(found.low) and math.isfinite(found.high):
        marks.append(_line("range", scale.place(found.low), scale.place(found.high), 10, 10))
    if math.isfinite(found.value):
        marks.append(_tick(scale.place(found.value)))
    return marks


def _step_marks(scale: Scale, step: Step, before: float, after: float) -> list[str]:
    """Return the bar from the value before to the one after, and the step's interval on it."""
    marks = [_line("level", scale.place(before), scale.place(before), 0, 20)]
    marks.append(_line("bar", scale.place(before), scale.place(after), 10, 10))
    if step.delta is not None and math.isfinite(step.delta.low + step.delta.high):
        low, high = scale.place(before + step.delta.low), scale.place(before + step.delta.high)
        marks.append(_line("whisker", low, high, 10, 10))
        marks += [_line("whisker", end, end, 6, 14) for end in (low, high)]
    return marks


def _tick(place: float) -> str:
    return _line("tick", place, place, 3, 17)


def _line(kind: str, x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1}" x2="{x2}" y1="{y1}" y2="{y2}"/>'


def _row(
    name: str, marks: Sequence[str], told: str, *, kind: str = "", verdict: Verdict | None = None
) -> str:
    sign = "" if verdict is None else f' <b title="{verdict.value}">{SYMBOLS[verdict]}</b>'
    return (
        f'<li class="{kind}"><span class="name">{escape(name)}</span>'
        f'<span class="told">{escape(told)}{sign}</span>'
        f'<svg class="track" viewBox="0 0 {WIDE} 20" preserveAspectRatio="none" '
        f'aria-hidden="true">{"".join(marks)}</svg></li>'
    )


def _figure(measure: str, title: str, scale: Scale, rows: Sequence[str]) -> str:
    texts = [shown(measure, 0.0 if abs(t) < 1e-12 else t) for t in scale.ticks()]
    ticks = "".join(f"<i>{escape(_short(text))}</i>" for text in texts)
    return (
        f'<figure class="tracks" data-measure="{escape(measure)}"><figcaption>{escape(title)}'
        f'</figcaption><ul>{"".join(rows)}</ul><div class="scale" aria-hidden="true">{ticks}</div>'
        "</figure>"
    )


def _short(text: str) -> str:
    """Return a tick's text without zeros at its end."""
    head, unit, tail = text.partition(" ")
    return (head.rstrip("0").rstrip(".") if "." in head else head) + unit + tail
