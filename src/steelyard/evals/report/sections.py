"""The parts of the page that are read without opening a question."""

from collections.abc import Iterator, Sequence
from html import escape

from steelyard.core.evaluation import Comparison, QuestionSet, Report
from steelyard.evals.report.chain import chain, steps
from steelyard.evals.report.figures import NONE, bounds, shown, with_interval
from steelyard.evals.report.markdown import p_value
from steelyard.evals.report.tracks import interval_rows, waterfall_rows
from steelyard.evals.report.verdicts import (
    SYMBOLS,
    arm_verdicts,
    baseline_of,
    detectable,
    verdict_words,
    weighed,
)

OVERALL = {
    **{verdict.value: symbol for verdict, symbol in SYMBOLS.items()},
    "mixed": "◆",
    "baseline": "●",
    "not compared": "○",
}
LISTED_FAILURES = 200
SHOWN_FIGURES = 4  # more would push the questions out of sight
INTERVALS = "Figures stand with their 95 % intervals."
LEGEND = (
    "▲ better, ▼ worse, = no evidence of a difference, ? too few questions to tell: against the "
    "baseline ●, after Holm's correction."
)


def head_section(report: Report, questions: QuestionSet) -> str:
    """Return the heading: what was asked, when and where, and one sentence an arm."""
    num, num_clusters = len(report.question_ids), len(set(report.clusters.tolist()))
    alone = num == num_clusters
    about = [
        _count(num, "question") + ("" if alone else f" in {_count(num_clusters, 'cluster')}"),
        _count(len(report.arms), "arm"),
        report.created_at.replace("T", " ").removesuffix("+00:00"),
        ", ".join(f"{name} {value}" for name, value in report.machine.items()),
        f"run {report.id}",
    ]
    sentences = "".join(
        f'<li class="{_kind(one.overall)}"><b title="{escape(one.overall)}">'
        f"{OVERALL[one.overall]}</b><span>{escape(one.text)}</span></li>"
        for one in arm_verdicts(report)
    )
    return (
        f'<header><h1>{escape(report.set_name)}</h1><p class="soft">'
        f"{escape(' · '.join(part for part in about if part))}</p>"
        f'<ul class="verdicts">{sentences}</ul></header>\n'
    )


def figures_section(report: Report) -> str:
    """Return arms × measures, with the verdict against the baseline beside each figure."""
    baseline = baseline_of(report)
    by_cell = {(c.candidate, c.measure): c for c in weighed(report) if c.baseline == baseline}
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in report.measures)
    rows = ""
    for arm in report.arms:
        cells = ""
        for name in report.measures:
            found = arm.figures.get(name)
            value = NONE if found is None else shown(name, found.value)
            interval = "" if found is None else bounds(name, found)
            sign = _sign(by_cell.get((arm.name, name)))
            cells += f"<td>{escape(value)}{sign}<small>{escape(interval)}</small></td>"
        kind = ' class="base"' if arm.name == baseline else ""
        rows += f'<tr{kind}><th scope="row">{escape(arm.name)}</th>{cells}</tr>'
    compared = " compared" if report.comparisons else ""
    legend = " ".join([INTERVALS, LEGEND, detectable(report)] if compared else [INTERVALS])
    return (
        '<section id="figures"><h2>Figures</h2><div class="wide">'
        f'<table class="figures{compared}"><thead><tr>'
        f'<th scope="col">arm</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'<p class="soft small">{escape(legend)}</p></section>\n'
    )


def _sign(one: Comparison | None) -> str:
    if one is None:
        return ' <b class="sign"></b>'
    kind, name = _kind(one.verdict.value), one.verdict.value
    return f' <b class="sign {kind}" title="{name}">{SYMBOLS[one.verdict]}</b>'


def _kind(overall: str) -> str:
    return {"better": "gain", "worse": "loss", "baseline": "base"}.get(overall, "even")


def steps_section(report: Report) -> str:
    """Return what each part brought, one waterfall a measure; "" where the arms make no chain."""
    found = steps(report, chain(report))
    figures = [row for name, of in found.items() if (row := waterfall_rows(report, name, of))]
    if not figures:
        return ""
    return (
        '<section id="steps"><h2>What each part brought</h2><p class="soft small">Each step '
        "changes one part of the arm above it; the bar is what that changed, the whisker its 95 % "
        "interval. A sign stands only where the run itself compared the two.</p>"
        f"{_grid(figures)}</section>\n"
    )


def plots_section(report: Report) -> str:
    """Return every measure's intervals, and the place of the scatter."""
    plots = [row for name in report.measures if (row := interval_rows(report, name))]
    scatter = ""
    if len(report.measures) > 1:
        scatter = (
            '<section id="trade" hidden><h2>Quality, time, cost</h2>'
            '<div class="row" id="axes"></div><div id="scatter"></div></section>\n'
        )
    return (
        f'<section id="intervals"><h2>Intervals</h2>{_grid(plots)}</section>\n{scatter}'
        if plots
        else scatter
    )


def _grid(figures: Sequence[str]) -> str:
    """Return the first figures open and the others behind a line to click on."""
    first, others = figures[:SHOWN_FIGURES], figures[SHOWN_FIGURES:]
    grid = f'<div class="figures-grid">{"".join(first)}</div>'
    if not others:
        return grid
    rest = f'<div class="figures-grid">{"".join(others)}</div>'
    return (
        f"{grid}<details><summary>{_count(len(others), 'more measure')}</summary>{rest}</details>"
    )


def questions_section(report: Report, questions: QuestionSet) -> str:
    """Return the frame that the script fills."""
    return (
        '<section id="questions"><h2>Questions</h2><div class="row" id="filters"></div>'
        '<p class="soft small" id="count" role="status">The list is being read …</p>'
        '<div id="browse"><div id="list" role="listbox" tabindex="0" aria-label="Questions"></div>'
        '<article id="detail" tabindex="-1" aria-label="The open question"></article></div>'
        "<noscript><p>The questions need JavaScript.</p></noscript></section>\n"
    )


def comparisons_section(report: Report) -> str:
    """Return every comparison with its test; "" where nothing was compared."""
    comparisons = weighed(report)
    if not comparisons:
        return ""
    head = ["candidate", "baseline", "measure", "difference", "p", "p (Holm)", "n", "MDE",
            "n needed", "test", "verdict"]  # fmt: skip
    rows = [_comparison(one) for one in comparisons]
    return (
        "<section><h2>Comparisons</h2><details open><summary>"
        f'{_count(len(rows), "comparison")}, all tests</summary><div class="wide">'
        f"{_table(head, rows, left=(0, 1, 2, 9, 10))}</div></details></section>\n"
    )


def _comparison(one: Comparison) -> list[str]:
    return [
        one.candidate, one.baseline, one.measure,
        with_interval(one.measure, one.delta, delta=True), p_value(one.p), p_value(one.p_holm),
        f"{one.delta.n:,}", shown(one.measure, one.mde),
        NONE if one.n_needed is None else f"{one.n_needed:,}", one.test, verdict_words(one),
    ]  # fmt: skip


def details_section(report: Report, questions: QuestionSet) -> str:
    """Return what the arms are made of, what failed, what to know, and what the run took."""
    parts = list(dict.fromkeys(part for arm in report.arms for part in arm.parts))
    rows = [[arm.name, *(arm.parts.get(part, NONE) for part in parts)] for arm in report.arms]
    effort = [
        [arm.name, f"{arm.busy_s:,.1f}", f"{arm.num_reused:,}", f"{len(arm.failures):,}"]
        for arm in report.arms
    ]
    left = tuple(range(len(parts) + 1))
    notes = "".join(f"<li>{escape(note)}</li>" for note in (*report.notes, *questions.notes))
    failed = "".join(_failures(report))
    return (
        "<section><h2>What was weighed</h2>"
        f'<div class="wide">{_table(["arm", *parts], rows, left=left)}</div>'
        f'<div class="wide">{_table(["arm", "own time, s", "reused", "failed"], effort)}</div>'
        f'<p class="soft small">The run took {report.wall_s:,.1f} s, of which the harness itself '
        f"{report.overhead_s:,.1f} s. Set {escape(report.set_id)}.</p>"
        + (f"<h2>Notes</h2><ul>{notes}</ul>" if notes else "")
        + (f"<h2>Failures</h2>{failed}" if failed else "")
        + "</section>\n"
    )


def _failures(report: Report) -> Iterator[str]:
    for arm in report.arms:
        if not arm.failures:
            continue
        rows = "".join(
            f'<li><a href="#q={escape(question, quote=True)}">{escape(question)}</a> '
            f"{escape(reason)}</li>"
            for question, reason in list(arm.failures.items())[:LISTED_FAILURES]
        )
        if len(arm.failures) > LISTED_FAILURES:
            more = len(arm.failures) - LISTED_FAILURES
            rows += f"<li>and {more:,} more: choose “failed” above the list of questions</li>"
        told = f"{escape(arm.name)}: {len(arm.failures):,} failed, counted as zero"
        yield f'<details><summary>{told}</summary><ul class="failures">{rows}</ul></details>'


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)
) -> str:
    kinds = ["left" if n in left else "" for n in range(len(head))]
    top = "".join(
        f'<th scope="col" class="{k}">{escape(t)}</th>' for k, t in zip(kinds, head, strict=True)
    )
    body = ""
    for row in rows:
        cells = "".join(
            f'<td class="{k}">{escape(t)}</td>' for k, t in zip(kinds, row, strict=True)
        )
        body += f"<tr>{cells}</tr>"
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _count(num: int, name: str) -> str:
    return f"{num:,} {name}" + ("" if num == 1 else "s")
