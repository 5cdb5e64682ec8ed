"""Inline SVG: lines by concurrency and bars by stage. Colours are the page's CSS classes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 34, 44
BAR_HEIGHT, NAME_WIDTH, VALUE_WIDTH = 22, 130, 170


@dataclass(frozen=True, slots=True)
class Line:
    """`points` maps the number of clients to a value."""

    name: str
    points: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Bar:
    """A stage: the bar ends at `p50`, its whisker at `p95`."""

    name: str
    p50: float
    p95: float


def line_plot(title: str, lines: Sequence[Line], *, unit: str) -> str:
    """Return a plot of up to four lines over the numbers of clients, evenly spaced.

    The scale is logarithmic where the values span more than a factor of 30.
    """
    clients = sorted({x for line in lines for x in line.points})
    values = [y for line in lines for y in line.points.values()]
    if not values:
        return ""
    axis = _Axis.of(values)
    step = (WIDTH - LEFT - RIGHT) / max(1, len(clients))
    across = {x: LEFT + step * (n + 0.5) for n, x in enumerate(clients)}
    parts = [_text(LEFT - 50, 14, title, "title"), *_grid(axis, unit)]
    for x in clients:
        parts.append(_text(across[x], HEIGHT - BOTTOM + 16, str(x), "tick middle"))
    parts.append(_text(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 8, "clients", "tick middle"))
    for n, line in enumerate(lines):
        places = [(across[x], axis.place(y), y) for x, y in sorted(line.points.items())]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
        parts.append(f'<polyline class="line c{n}" points="{path}"/>')
        for left, top, value in places:
            tip = f"<title>{escape(line.name)}: {_short(value)} {unit}</title>"
            parts.append(
                f'<circle class="dot c{n}" cx="{left:.1f}" cy="{top:.1f}" r="3">{tip}</circle>'
            )
        parts.append(_text(LEFT + 8 + n * 96, TOP - 6, f"● {line.name}", f"key c{n}"))
    return _svg(WIDTH, HEIGHT, title, parts)


def bar_plot(title: str, bars: Sequence[Bar]) -> str:
    """Return horizontal bars, one a stage, in the order given."""
    if not bars:
        return ""
    height = TOP + BAR_HEIGHT * len(bars) + 8
    most = max(bar.p95 for bar in bars) or 1.0
    scale = (2 * WIDTH - NAME_WIDTH - VALUE_WIDTH) / most
    parts = [_text(0, 14, title, "title")]
    for n, bar in enumerate(bars):
        y = TOP + n * BAR_HEIGHT
        end, far = NAME_WIDTH + bar.p50 * scale, NAME_WIDTH + bar.p95 * scale
        parts += [
            _text(NAME_WIDTH - 8, y + 13, bar.name, "tick end"),
            f'<rect class="bar" x="{NAME_WIDTH}" y="{y + 3}" '
            f'width="{max(end - NAME_WIDTH, 0.5):.1f}" height="{BAR_HEIGHT - 8}"/>',
            f'<line class="whisker" x1="{end:.1f}" x2="{far:.1f}" y1="{y + 10}" y2="{y + 10}"/>',
            f'<line class="whisker" x1="{far:.1f}" x2="{far:.1f}" y1="{y + 5}" y2="{y + 15}"/>',
            _text(far + 6, y + 14, f"{_short(bar.p50)} / {_short(bar.p95)} ms", "tick"),
        ]
    return _svg(2 * WIDTH, height, title, parts)


@dataclass(frozen=True, slots=True)
class _Axis:
    low: float
    high: float
    logarithmic: bool

    @classmethod
    def of(cls, values: Sequence[float]) -> "_Axis":
        low, high = min(values), max(values)
        if low > 0 and high / low > 30:
            return cls(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)), True)
        return cls(0.0, _nice(high), False)

    def place(self, value: float) -> float:
        if self.logarithmic:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = value / self.high
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def ticks(self) -> list[float]:
        if self.logarithmic:
            decades = round(math.log10(self.high / self.low))
            return [self.low * 10**n for n in range(decades + 1)]
        return [self.high * n / 4 for n in range(5)]


def _nice(value: float) -> float:
    """Return the next 1, 2, 4, 5 or 8 times a power of ten at or above `value`."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 4, 5, 8, 10) if power * step >= value * 0.999)


def _grid(axis: _Axis, unit: str) -> list[str]:
    parts = []
    for tick in axis.ticks():
        y = axis.place(tick)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(_text(LEFT - 6, y + 4, f"{_short(tick)} {unit}", "tick end"))
    return parts


def _short(value: float) -> str:
    return f"{value:.2g}" if 0 < value < 1 else f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    inside = "".join(parts)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{escape(title, quote=True)}">{inside}</svg>'
    )
