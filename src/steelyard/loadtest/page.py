"""A bench as one HTML page: plots and tables, no script, nothing loaded from anywhere."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from steelyard.loadtest.plots import Bar, Line, bar_plot, line_plot

Trials = Sequence[Mapping[str, Any]]

_CSS = """
:root { color-scheme: light dark; --ink: #1d2226; --soft: #5c666e; --paper: #fcfcfa;
  --grid: #dcdfe0; --c0: #0b6e8a; --c1: #c2571a; --c2: #7a3e9d; --c3: #4d7a1f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8e9; --soft: #9aa5ac; --paper: #16191c;
  --grid: #343a3f; --c0: #5cc0dd; --c1: #f0965a; --c2: #c69be3; --c3: #a3cf6b; } }
body { margin: 2rem auto; padding: 0 1rem; max-width: 62rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } p, li { max-width: 46rem; }
.soft, figcaption { color: var(--soft); } .warn { color: var(--c1); }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; } svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: .15rem .6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--grid); }
th:first-child, td:first-child { text-align: left; } .wide { overflow-x: auto; }
text { fill: var(--soft); font: 11px system-ui, sans-serif; } .title { fill: var(--ink);
  font-weight: 600; font-size: 13px; } .middle { text-anchor: middle; } .end { text-anchor: end; }
.grid { stroke: var(--grid); } .line { fill: none; stroke-width: 2; } .bar { fill: var(--c0); }
.whisker { stroke: var(--c1); stroke-width: 1.5; }
.line.c0 { stroke: var(--c0); } .line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); }
.line.c3 { stroke: var(--c3); } .dot.c0, .key.c0 { fill: var(--c0); } .dot.c1, .key.c1 {
  fill: var(--c1); } .dot.c2, .key.c2 { fill: var(--c2); } .dot.c3, .key.c3 { fill: var(--c3); }
"""
_QUANTILES = ("mean", "p50", "p95", "p99")


def report_page(report: Mapping[str, Any]) -> str:
    """Return the page of a report, as `report_json` makes it."""
    trials: Trials = report["trials"]
    machine = report["machine"]
    about = (
        f"{report['mode']} at {report['target']}, {report['num_questions']} questions, "
        f"{report['loop']} loop, {report['started_at']}; asked from {machine['cpu']}, "
        f"{machine['cores']} cores, Python {machine['python']}; Steelyard {report['steelyard']}"
    )
    body = [
        "<h1>Steelyard bench</h1>",
        f'<p class="soft">{escape(about)}</p>',
        *(f'<p class="warn">{escape(note)}</p>' for note in _warnings(report)),
        "<h2>By concurrency</h2>",
        f'<div class="plots">{"".join(_line_plots(trials))}</div>',
        "<h2>Where the time goes</h2>",
        '<p class="soft">Bar: p50, whisker: p95, as the server measured its own stages. Stages '
        "may run side by side, so they need not add up; first_token, generate and total are "
        "spans over others. The last two are what the client saw.</p>",
        f'<div class="plots">{"".join(_stage_plots(trials))}</div>',
        "<h2>All runs</h2>",
        f'<div class="wide">{_overview(trials)}</div>',
        *(_stages(trial) for trial in trials),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Steelyard bench</title><style>{_CSS}</style></head>\n"
        f"<body>{chr(10).join(body)}</body></html>\n"
    )


def _warnings(report: Mapping[str, Any]) -> list[str]:
    early = ["Interrupted: trials are missing, or the last one is short."]
    return [*report["notes"], *(early if report["interrupted"] else [])]


def _line_plots(trials: Trials) -> Iterator[str]:
    kinds = _kinds(trials)
    for what, title in (("first_token", "first visible token"), ("total", "total")):
        for kind, chosen in kinds.items():
            lines = [_line(chosen, what, quantile) for quantile in ("p50", "p95", "p99")]
            yield line_plot(f"{title}, cache {kind}", lines, unit="ms")
    throughput = [
        Line(kind, {trial["clients"]: trial["per_s"] for trial in chosen})
        for kind, chosen in kinds.items()
    ]
    yield line_plot("answers per second, by cache and pass", throughput, unit="/s")


def _kinds(trials: Trials) -> dict[str, Trials]:
    """Return the trials of each cache mode and pass, fewest clients first."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for trial in sorted(trials, key=lambda trial: trial["clients"]):
        kinds.setdefault(f"{trial['cache']}, {trial['pass']}", []).append(trial)
    return dict(kinds)


def _line(trials: Trials, what: str, quantile: str) -> Line:
    points = {t["clients"]: t["client"][what][quantile] for t in trials if t["client"][what]}
    return Line(quantile, points)


def _stage_plots(trials: Trials) -> Iterator[str]:
    """Yield the stages of each kind of run at its fewest and at its most clients."""
    for chosen in _kinds(trials).values():
        ends = [chosen[0], chosen[-1]] if len(chosen) > 1 else chosen
        for trial in ends:
            bars = [
                Bar(name, found["p50"], found["p95"]) for name, found in _all_stages(trial).items()
            ]
            yield bar_plot(_name(trial), bars)


def _name(trial: Mapping[str, Any]) -> str:
    plural = "" if trial["clients"] == 1 else "s"
    return f"cache {trial['cache']}, {trial['pass']}, {trial['clients']} client{plural}"


def _all_stages(trial: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    seen = {
        f"client {name.replace('_', ' ')}": trial["client"][name]
        for name in ("first_token", "total")
    }
    return {**trial["stages"], **{name: found for name, found in seen.items() if found}}


def _overview(trials: Trials) -> str:
    names = ["run", "answered", "/s", "first p50", "p95", "p99", "total mean", "p50", "p95", "p99",
             "429", "errors", "unfinished", "cache outcomes", "degraded"]  # fmt: skip
    rows = []
    for trial in trials:
        first, total = trial["client"]["first_token"] or {}, trial["client"]["total"] or {}
        rows.append([
            _name(trial), trial["answered"], trial["per_s"],
            *(first.get(q) for q in _QUANTILES[1:]), *(total.get(q) for q in _QUANTILES),
            trial["rejected"], _counts(trial["errors"]), trial["unfinished"],
            _counts(trial["cache_outcomes"]), _counts(trial["degraded"]),
        ])  # fmt: skip
    return _table(names, rows)


def _stages(trial: Mapping[str, Any]) -> str:
    rows = [
        [name, found["num"], *(found[q] for q in _QUANTILES)]
        for name, found in _all_stages(trial).items()
    ]
    table = _table(["stage, ms", "num", *_QUANTILES], rows)
    return f"<details><summary>{escape(_name(trial))}</summary>{table}</details>"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {num}" for name, num in counts.items()) or "–"


def _table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = ["".join(f"<td>{_cell(value)}</td>" for value in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:,.1f}" if isinstance(value, float) else escape(str(value))
