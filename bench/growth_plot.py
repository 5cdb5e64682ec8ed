"""The growth curve as one HTML page without scripts: latency and memory over chunks, log-log."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from math import floor, log10
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 36, 44
COLOURS = {"dense": "#1f6feb", "lexical": "#b35900", "hybrid": "#1a7f37"}
MEMORY = {"resident": "#8250df", "index on disk": "#57606a", "truth on disk": "#9a6700"}
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
svg{width:100%;height:auto}text{font:12px system-ui,sans-serif;fill:#444}
table{border-collapse:collapse}td,th{padding:.2rem .7rem;text-align:right;
border-bottom:1px solid #ddd}.note{color:#a40e26}
"""

Point = tuple[float, float]


def write_plot(source: Path, target: Path) -> None:
    """Draw what growth.py measured."""
    measured = json.loads(source.read_text(encoding="utf-8"))
    target.write_text(page(measured), encoding="utf-8")


def page(measured: Mapping[str, Any]) -> str:
    sizes = measured["sizes"]
    machine = measured["machine"]
    note = f'<p class="note">{escape(measured["note"])}</p>' if measured["note"] else ""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Growth</title>
<style>{STYLE}</style>
<h1>From 1,000 to {sizes[-1]["chunks"]:,} chunks</h1>
<p>One question at a time on {escape(str(machine["cpu"]))}, {machine["cores"]} cores, commit
{escape(str(machine["commit"]))}. Solid: p95; dashed: p50.</p>{note}
{chart("Latency, ms", latency_lines(sizes))}
{chart("Memory and disk, MB", memory_lines(sizes))}
{table(sizes)}</html>
"""


def latency_lines(sizes: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for leg, colour in COLOURS.items():
        for quantile, dashes in (("p95", ""), ("p50", "5 4")):
            points = [(size["chunks"], size["latency"][leg]["ms"][quantile]) for size in sizes]
            label = leg if quantile == "p95" else ""
            lines.append(_Line(points, colour, dashes, label))
    return _drawn(lines)


def memory_lines(sizes: Sequence[Mapping[str, Any]]) -> list[str]:
    series: dict[str, list[Point]] = {name: [] for name in MEMORY}
    for size in sizes:
        disk, at = size["disk_mb"], size["chunks"]
        series["resident"].append((at, size["rss_mb"]["searched"]))
        series["index on disk"].append((at, disk["rows"] + disk["graph"] + disk["lexical"]))
        series["truth on disk"].append((at, disk["truth"]))
    return _drawn([_Line(points, MEMORY[name], "", name) for name, points in series.items()])


class _Line:
    def __init__(self, points: list[Point], colour: str, dashes: str, label: str) -> None:
        self.points, self.colour, self.dashes, self.label = points, colour, dashes, label


class _Scale:
    """Maps values to pixels, both axes logarithmic and cut at whole powers of ten."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.x = _decades([x for x, _ in points])
        self.y = _decades([y for _, y in points])

    def at(self, point: Point) -> Point:
        across = (log10(point[0]) - self.x[0]) / (self.x[-1] - self.x[0])
        up = (log10(max(point[1], 1e-9)) - self.y[0]) / (self.y[-1] - self.y[0])
        plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + across * plot_width, TOP + (1 - up) * plot_height


def _decades(values: Sequence[float]) -> list[int]:
    low, high = floor(log10(min(values))), floor(log10(max(values)) - 1e-9) + 1
    return list(range(low, max(high, low + 1) + 1))


def _drawn(lines: Sequence[_Line]) -> list[str]:
    scale = _Scale([point for line in lines for point in line.points])
    parts = _grid(scale)
    for line in lines:
        at = [scale.at(point) for point in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="2" '
            f'stroke-dasharray="{line.dashes}"/>'
        )
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{line.colour}"/>' for x, y in at]
        if line.label:
            x, y = at[-1]
            parts.append(
                f'<text x="{x + 8:.1f}" y="{y + 4:.1f}" style="fill:{line.colour}">'
                f"{line.label} {line.points[-1][1]:,.4g}</text>"
            )
    return parts


def _grid(scale: _Scale) -> list[str]:
    parts = []
    for power in scale.y:
        x, y = scale.at((10 ** scale.x[0], 10**power))
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 8}" y="{y + 4:.1f}" text-anchor="end">{10**power:,g}</text>')
    for power in scale.x:
        x, _ = scale.at((10**power, 10 ** scale.y[0]))
        parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#eee"/>')
        y = HEIGHT - BOTTOM + 18
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{10**power:,}</text>')
    return parts


def chart(title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
        f'<text x="{LEFT}" y="20" font-weight="bold">{title}</text>{"".join(parts)}'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">chunks</text></svg>'
    )


def table(sizes: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures, a row a size."""
    head = "chunks,hybrid p50,p95,p99 ms,dense p95,lexical p95,recall@10,resident MB,edit p95 ms"
    rows = []
    for size in sizes:
        hybrid, legs = size["latency"]["hybrid"]["ms"], size["latency"]
        cells = [
            f"{size['chunks']:,}",
            *(f"{hybrid[quantile]:.2f}" for quantile in ("p50", "p95", "p99")),
            *(f"{legs[leg]['ms']['p95']:.2f}" for leg in ("dense", "lexical")),
            f"{list(size['recall@10'].values())[-1]:.4f}",
            f"{size['rss_mb']['searched']:,}",
            f"{size['edits']['commit to searchable_ms']['p95']:.0f}",
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    header = "".join(f"<th>{name}</th>" for name in head.split(","))
    return f"<table><tr>{header}</tr>{''.join(rows)}</table>"
