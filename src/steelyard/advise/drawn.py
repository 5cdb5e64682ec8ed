"""The break-even plot as SVG text, for a file that runs no script."""

import math
from html import escape

from steelyard.advise.breakeven import Curve, Volumes
from steelyard.advise.measured import Arm
from steelyard.advise.model import Option, Runs
from steelyard.advise.words import title_of

WIDTH, HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 12, 44
_COLOURS = {Arm.BASE: "#6b7884", Arm.RAG: "#1f4f72", Arm.TUNED: "#b0740c", Arm.BOTH: "#1c6b4a"}
_DASHES = {Runs.API: "", Runs.GPU: "7 4", Runs.SERVER: "2 3"}
_LEAST_USD = 1e-3  # a logarithm has no zero


def curves_svg(found: Volumes, banded: tuple[Option, ...], months: int) -> str:
    """Return costs by volume on logarithmic scales, with the bands and break-evens of `banded`."""
    shown = [one for one in found.curves if one.option in banded]
    asked = [float(one) for one in found.questions_per_day]
    amounts = [float(value) for one in found.curves for value in one.usd]
    amounts += [float(value) for one in shown for value in (*one.low_usd, *one.high_usd)]
    x = _scale(asked[0], asked[-1], _LEFT, WIDTH - _RIGHT)
    y = _scale(max(min(amounts), _LEAST_USD), max(amounts), HEIGHT - _BOTTOM, _TOP)
    parts = [_frame(x, y, months)]
    parts += [_band(one, asked, x, y) for one in shown]
    parts += [_line(one, asked, x, y, strong=one.option in banded) for one in found.curves]
    for one in found.breaks:
        if one.cheaper in banded and one.dearer in banded:
            place = x(one.questions_per_day)
            parts.append(
                f'<path d="M{place:.1f} {_TOP}V{HEIGHT - _BOTTOM}" stroke="#a8261c" '
                f'stroke-dasharray="3 3"/><rect x="{x(one.low):.1f}" y="{HEIGHT - _BOTTOM - 6}" '
                f'width="{max(1.0, x(one.high) - x(one.low)):.1f}" height="6" fill="#a8261c" '
                'opacity=".35"/>'
            )
    label = escape(f"Cost over {months} months by questions a day, both on logarithmic scales")
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" fill="none" '
        f'font-size="11">{"".join(parts)}</svg>'
    )


def key_html(options: tuple[Option, ...]) -> str:
    """Return what the lines of the plot mean."""
    rows = [
        f'<li><svg width="34" height="8" aria-hidden="true"><path d="M0 4H34" stroke-width="2.5" '
        f'stroke="{_COLOURS[one.arm]}" stroke-dasharray="{_DASHES[one.runs]}"/></svg> '
        f"{escape(title_of(one))}</li>"
        for one in options
    ]
    return f'<ul class="key">{"".join(rows)}</ul>'


class _scale:
    """Maps a number to a place in the drawing, by its logarithm."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = math.log10(low), math.log10(max(high, low * 1.0001))
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        share = (math.log10(max(value, _LEAST_USD)) - self.low) / (self.high - self.low)
        return self._start + (self._end - self._start) * min(1.0, max(0.0, share))

    def decades(self) -> list[float]:
        tens = range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)
        step = max(1, math.ceil(len(tens) / 8))
        return [10.0**ten for ten in tens if ten % step == 0]


def _frame(x: _scale, y: _scale, months: int) -> str:
    parts = [f'<path d="M{_LEFT} {_TOP}V{HEIGHT - _BOTTOM}H{WIDTH - _RIGHT}" stroke="#9aa8b3"/>']
    for value in x.decades():
        parts.append(
            f'<text x="{x(value):.1f}" y="{HEIGHT - _BOTTOM + 15}" text-anchor="middle" '
            f'fill="#52616d">{short(value)}</text>'
        )
    for value in y.decades():
        place = y(value)
        parts.append(
            f'<path d="M{_LEFT} {place:.1f}H{WIDTH - _RIGHT}" stroke="#e1e8ed"/>'
            f'<text x="{_LEFT - 6}" y="{place + 4:.1f}" text-anchor="end" fill="#52616d">'
            f"{short(value)}</text>"
        )
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text x="{(_LEFT + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle" fill="#15202a">'
        f'questions a day</text><text x="14" y="{middle}" text-anchor="middle" fill="#15202a" '
        f'transform="rotate(-90 14 {middle})">USD over {months} months</text>'
    )
    return "".join(parts)


def _band(one: Curve, asked: list[float], x: _scale, y: _scale) -> str:
    there = [f"{x(v):.1f},{y(float(u)):.1f}" for v, u in zip(asked, one.high_usd, strict=True)]
    back = [f"{x(v):.1f},{y(float(u)):.1f}" for v, u in zip(asked, one.low_usd, strict=True)]
    points = "L".join([*there, *reversed(back)])
    return f'<path d="M{points}Z" fill="{_COLOURS[one.option.arm]}" opacity=".16"/>'


def _line(one: Curve, asked: list[float], x: _scale, y: _scale, *, strong: bool) -> str:
    points = "L".join(f"{x(v):.1f},{y(float(u)):.1f}" for v, u in zip(asked, one.usd, strict=True))
    return (
        f'<path d="M{points}" stroke="{_COLOURS[one.option.arm]}" '
        f'stroke-width="{2.5 if strong else 1}" stroke-dasharray="{_DASHES[one.option.runs]}" '
        f'opacity="{1 if strong else 0.6}"/>'
    )


def short(value: float) -> str:
    """Return a number of a scale: 0.1, 100, 10k, 1M, 1G."""
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{name}"
    return f"{value:g}"
