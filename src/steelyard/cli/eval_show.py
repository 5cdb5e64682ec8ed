"""What `steelyard eval` shows of a report: figures, verdicts, failures, notes."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from steelyard.cli.show import out
from steelyard.core.evaluation import Comparison, Report, Verdict
from steelyard.evals.report.figures import NONE, shown, with_interval
from steelyard.evals.report.markdown import LISTED_FAILURES, p_value
from steelyard.evals.report.verdicts import (
    baseline_of,
    detectable,
    verdict_words,
    weighed,
)

STYLES = {
    Verdict.BETTER: "green",
    Verdict.WORSE: "red",
    Verdict.NO_EVIDENCE: "dim",
    Verdict.UNDERPOWERED: "yellow",
}
CELL_WIDTH = 24  # `0.512 [0.480, 0.544]` and the gap


def show_report(report: Report, *, console: Console = out) -> None:
    """Print a report: the figures of all arms, every comparison, what failed, what to know."""
    num = len(report.question_ids)
    console.print(f"[bold]{escape(report.set_name)}[/]  {num:,} questions, run {escape(report.id)}")
    for table in _figures(report, width=console.width):
        console.print("")
        console.print(table)
    for table in _comparisons(weighed(report)):
        console.print("")
        console.print(table)
    console.print("")
    for line in _in_short(report):
        console.print(line)
    if told := detectable(report):
        console.print(f"[dim]{escape(told)}[/]")
    for line in _failures(report):
        console.print(line)
    for line in report.notes:
        console.print(f"[yellow]note:[/] {escape(line)}")


def _figures(report: Report, *, width: int) -> Iterator[Table]:
    """Yield arms × measures, in as many tables as the width asks for."""
    names = max((len(arm.name) for arm in report.arms), default=0) + 2
    columns = max(1, (width - names) // CELL_WIDTH)
    baseline = baseline_of(report)
    for first in range(0, len(report.measures), columns):
        measures = report.measures[first : first + columns]
        table = Table(box=None, pad_edge=False)
        table.add_column("arm")
        for measure in measures:
            table.add_column(escape(measure), justify="right", no_wrap=True)
        for arm in report.arms:
            cells = [
                NONE if (found := arm.figures.get(name)) is None else with_interval(name, found)
                for name in measures
            ]
            name = f"[bold]{escape(arm.name)}[/]" if arm.name == baseline else escape(arm.name)
            table.add_row(name, *(escape(cell) for cell in cells))
        yield table


def _comparisons(comparisons: Sequence[Comparison]) -> Iterator[Table]:
    """Yield one table for each pair of arms that were compared."""
    for candidate, baseline in dict.fromkeys((one.candidate, one.baseline) for one in comparisons):
        title = f"{candidate} against {baseline}"
        table = Table(box=None, pad_edge=False, title=escape(title), title_justify="left")
        table.add_column("measure", no_wrap=True)
        for name in ("difference", "p (Holm)", "n", "MDE"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for one in comparisons:
            if (one.candidate, one.baseline) == (candidate, baseline):
                table.add_row(*_row(one))
        yield table


def _in_short(report: Report) -> Iterator[str]:
    """Yield what each candidate is better and worse in; the tables say by how much."""
    for candidate, baseline in dict.fromkeys(
        (one.candidate, one.baseline) for one in report.comparisons
    ):
        found = {
            verdict: [
                one.measure
                for one in report.comparisons
                if (one.candidate, one.baseline, one.verdict) == (candidate, baseline, verdict)
            ]
            for verdict in (Verdict.BETTER, Verdict.WORSE)
        }
        told = [
            f"[{STYLES[verdict]}]{verdict.value} in {escape(', '.join(names))}[/]"
            for verdict, names in found.items()
            if names
        ]
        what = "; ".join(told) or "no difference shown"
        yield f"{escape(candidate)} against {escape(baseline)}: {what}"


def _row(one: Comparison) -> tuple[str, ...]:
    return (
        escape(one.measure),
        escape(with_interval(one.measure, one.delta, delta=True)),
        p_value(one.p_holm),
        f"{one.delta.n:,}",
        shown(one.measure, one.mde),
        f"[{STYLES[one.verdict]}]{verdict_words(one)}[/]",
    )


def _failures(report: Report) -> Iterator[str]:
    for arm in report.arms:
        if not arm.failures:
            continue
        yield f"[red]{len(arm.failures):,} failed in {escape(arm.name)}[/], counted as zero:"
        for question, reason in list(arm.failures.items())[:LISTED_FAILURES]:
            yield f"  {escape(question)}: {escape(reason)}"
        if len(arm.failures) > LISTED_FAILURES:
            yield f"  and {len(arm.failures) - LISTED_FAILURES:,} more"
