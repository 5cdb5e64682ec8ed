"""A report as Markdown: for a results page, and for a comment of CI."""

import re
from collections.abc import Iterator, Sequence

from steelyard.core.evaluation import Comparison, Interval, Report
from steelyard.evals.report.figures import NONE, shown, with_interval
from steelyard.evals.report.verdicts import arm_verdicts, detectable, verdict_words, weighed

LISTED_FAILURES = 5
_MARKS = re.compile(r"[\\`*<>|~]|(?<!\w)_|_(?!\w)")


def report_markdown(report: Report, *, level: int = 2) -> str:
    """Return the report's tables and sentences; its heading has `level` marks."""
    return "\n".join(_lines(report, "#" * level)) + "\n"


def _lines(report: Report, marks: str) -> Iterator[str]:
    num = len(report.question_ids)
    num_clusters = len(set(report.clusters.tolist()))
    yield f"{marks} {_plain(report.set_name)}"
    yield ""
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    about = [f"{num:,} questions in {num_clusters:,} clusters", report.created_at, machine]
    yield _plain("; ".join(part for part in about if part)) + f"; run `{report.id}`."
    yield ""
    yield from (f"* {_plain(verdict.text)}" for verdict in arm_verdicts(report))
    yield ""
    yield from _table(
        ["arm", *report.measures],
        [
            [arm.name, *(_figure(arm.figures.get(name), name) for name in report.measures)]
            for arm in report.arms
        ],
    )
    if comparisons := weighed(report):
        yield ""
        yield from _comparisons(comparisons)
    if told := detectable(report):
        yield ""
        yield _plain(told)
    yield from _failures(report)
    if report.notes:
        yield ""
        yield from (f"* {_plain(note)}" for note in report.notes)


def _figure(found: Interval | None, measure: str) -> str:
    return NONE if found is None else with_interval(measure, found)


def _comparisons(comparisons: Sequence[Comparison]) -> Iterator[str]:
    head = ["candidate", "baseline", "measure", "difference", "p (Holm)", "n", "MDE", "verdict"]
    yield from _table(head, [
        [
            one.candidate, one.baseline, one.measure,
            with_interval(one.measure, one.delta, delta=True), p_value(one.p_holm),
            f"{one.delta.n:,}", shown(one.measure, one.mde), verdict_words(one),
        ]
        for one in comparisons
    ])  # fmt: skip


def _failures(report: Report) -> Iterator[str]:
    failed = [arm for arm in report.arms if arm.failures]
    if failed:
        yield ""
        yield "Failures count as zero in every measure of quality:"
        yield ""
    for arm in failed:
        first = list(arm.failures.items())[:LISTED_FAILURES]
        told = "; ".join(f"{question}: {reason}" for question, reason in first)
        more = len(arm.failures) - len(first)
        rest = f"; and {more:,} more" if more else ""
        yield f"* {_plain(arm.name)}, {len(arm.failures):,}: {_plain(told)}{rest}"


def p_value(p: float) -> str:
    """Return a probability with two figures; below a thousandth only that."""
    if p != p:
        return "–"
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(_plain(name) for name in head)} |"
    yield f"|{'|'.join('---' if n == 0 else '---:' for n in range(len(head)))}|"
    for row in rows:
        yield f"| {' | '.join(_plain(cell) for cell in row)} |"


def _plain(text: str) -> str:
    """Return text that stays text in Markdown: on one line, and no markup of its own."""
    line = " ".join(text.split())
    return _MARKS.sub(r"\\\g<0>", line)
