"""What weighing.py found, as one HTML page without scripts: ours beside what knows no clusters."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 760, 270, 40, 8, 26, 32
OURS, NAIVE = "#1f6feb", "#b35900"
STYLE = """:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;
margin:2rem auto;padding:0 1rem}svg{width:100%;height:auto}
text{font:12px system-ui,sans-serif;fill:currentColor}.grid{stroke:#8884}
.band{fill:#1a7f3722}.note{opacity:.75}
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a chart: percentages of ours and of the naive method."""

    label: str
    ours: Sequence[float]
    naive: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """Rows on one axis of percentages; the shaded band is what was aimed at."""

    title: str
    note: str
    rows: Sequence[Row]
    axis: tuple[float, float]
    aim: tuple[float, float]


def write_plot(source: Path, target: Path) -> None:
    """Draw what weighing.py measured."""
    target.write_text(page(json.loads(source.read_text(encoding="utf-8"))), encoding="utf-8")


def page(found: Mapping[str, Any]) -> str:
    machine = found["machine"]
    body = "".join(drawn(chart) for chart in charts(found))
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Weighing</title>
<style>{STYLE}</style>
<h1>Does the harness cry wolf?</h1>
<p>{found["experiments"]:,} simulated experiments a point, {found["resamples"]:,} resamples each,
commit {escape(str(machine["commit"]))}.
<b style="color:{OURS}">● Steelyard</b>, by documents ·
<b style="color:{NAIVE}">○ a t-test over questions</b>, which knows of no documents.
Shaded: the aim.</p>
{body}</html>
"""


def charts(found: Mapping[str, Any]) -> list[Chart]:
    scenarios = found["scenarios"]
    return [
        Chart(
            "Experiments without any difference that report a “better”, %",
            "4 candidates × 3 measures, Holm over the 12 comparisons in both methods.",
            [
                Row(name, [one["false"]["family better"]], [one["false"]["family better naive"]])
                for name, one in scenarios.items()
            ],
            (0, 20),
            (0, 5),
        ),
        Chart(
            "Single comparisons without a difference that have p < .05, %",
            "Either direction, before Holm.",
            [
                Row(name, [one["false"]["single"]], [one["false"]["single naive"]])
                for name, one in scenarios.items()
            ],
            (0, 30),
            (0, 5),
        ),
        Chart(
            "95 % intervals that hold the true value, %",
            "Figures and differences of three measures each.",
            [_covered(name, one["coverage"]) for name, one in scenarios.items()],
            (60, 100),
            (93, 97),
        ),
        Chart(
            "True gains as large as the stated smallest one that are called “better”, %",
            "Alone; as one of 12 comparisons; and stated by runs that have the gain.",
            [
                Row(name, [way["seen"] for way in one["power"].values()])
                for name, one in scenarios.items()
            ],
            (60, 100),
            (80, 100),
        ),
        Chart(
            "Live A/B without a difference, looked at after each of 10,000 users: alarms, %",
            "○ here: a z-test at each look.",
            [
                Row(name, [one["always valid"]], [one["z-test at each look"]])
                for name, one in found["peeking"].items()
            ],
            (0, 100),
            (0, 5),
        ),
        *_real(found),
    ]


def _covered(name: str, percent: Mapping[str, float]) -> Row:
    return Row(
        name,
        [value for key, value in percent.items() if not key.endswith("naive")],
        [value for key, value in percent.items() if key.endswith("naive")],
    )


def _real(found: Mapping[str, Any]) -> list[Chart]:
    if "real" not in found:
        return []
    measures = found["real"]["measures"]
    arms = " and ".join(found["real"]["arms"])
    return [
        Chart(
            "Real values, drawn anew by cluster: intervals that hold the true value, %",
            f"{arms}; the drawn-from set is the truth.",
            [
                _covered(name, {k: v for k, v in one.items() if not k.startswith("false")})
                for name, one in measures.items()
            ],
            (0, 100),
            (93, 97),
        ),
        Chart(
            "Real values, shifted to no difference: false “better”, %",
            "One comparison; 2.5 % are expected.",
            [
                Row(name, [one["false better"]], [one["false better naive"]])
                for name, one in measures.items()
            ],
            (0, 20),
            (0, 5),
        ),
    ]


def drawn(chart: Chart) -> str:
    height = TOP + ROW * len(chart.rows) + BOTTOM
    low, high = chart.axis

    def x(value: float) -> float:
        inside = min(max(value, low), high)
        return LEFT + (inside - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    floor = height - BOTTOM
    parts = [
        f'<rect class="band" x="{x(chart.aim[0]):.1f}" y="{TOP}" '
        f'width="{x(chart.aim[1]) - x(chart.aim[0]):.1f}" height="{floor - TOP}"/>'
    ]
    for step in range(5):
        value = low + (high - low) * step / 4
        parts.append(f'<path class="grid" d="M{x(value):.1f} {TOP}V{floor}"/>')
        parts.append(
            f'<text x="{x(value):.1f}" y="{floor + 18}" text-anchor="middle">{value:g}</text>'
        )
    for at, row in enumerate(chart.rows):
        parts += _points(row, TOP + ROW * (at + 0.5), x)
    return (
        f"<h2>{escape(chart.title)}</h2><p class='note'>{escape(chart.note)}</p>"
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(chart.title)}">'
        f"{''.join(parts)}</svg>"
    )


def _points(row: Row, y: float, x: Any) -> list[str]:
    parts = [
        f'<text x="{LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(row.label)}</text>',
        f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>',
    ]
    for values, fill, stroke in ((row.naive, "none", NAIVE), (row.ours, OURS, OURS)):
        parts += [
            f'<circle cx="{x(value):.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{stroke}" '
            f'stroke-width="2"><title>{value:g} %</title></circle>'
            for value in values
        ]
    return parts
