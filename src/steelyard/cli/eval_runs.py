"""`steelyard eval list | show | compare | gate | delete`: runs looked up and held to account."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from steelyard.cli import show
from steelyard.cli.eval_options import (
    MIN_EFFECT,
    HtmlFile,
    JsonFile,
    MarkdownFile,
    MinEffect,
    Run,
    check_places,
    demands_of,
    effects_of,
    kept_runs,
    write_json,
    write_report,
)
from steelyard.cli.eval_show import show_report
from steelyard.cli.evaluation import evaluation
from steelyard.cli.options import Home, Json, home_of
from steelyard.core.errors import InputError
from steelyard.evals.measures import parse_measures
from steelyard.evals.records import RunRow, records_path
from steelyard.evals.statistics import Margin, gate
from steelyard.flows.compare import compared

__all__ = ["evaluation"]


@evaluation.command("list")
def list_runs(ctx: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """List the runs of a home, newest first."""
    where = home_of(ctx, home)
    rows: list[RunRow] = []
    if records_path(where).exists():
        with kept_runs(where) as records:
            rows = records.list_runs()
    if as_json:
        show.emit_json([asdict(row) for row in rows])
    elif not rows:
        show.out.print(
            f"no runs yet in home {escape(str(where))!r}: "
            "steelyard eval run --data DIR --arms bm25,dense,hybrid"
        )
    else:
        show.show_rows(
            ("run", "set", "questions", "arms", "failed", "against the baseline"),
            [
                (row.id, row.set_name, f"{row.num_questions:,}", ", ".join(row.arms),
                 row.num_failed, _verdicts(row))
                for row in rows
            ],
        )  # fmt: skip


def _verdicts(row: RunRow) -> str:
    """Return how many measures each arm is better and worse in."""
    return "; ".join(
        f"{arm} {counts['better']} better, {counts['worse']} worse"
        for arm, counts in row.verdicts.items()
    )


@evaluation.command("show")
def show_run(
    ctx: typer.Context,
    run: Run = "last",
    home: Home = None,
    json_file: JsonFile = None,
    html_file: HtmlFile = None,
    markdown_file: MarkdownFile = None,
) -> None:
    """Show a run again, or write its page, tables or numbers.

    Example:

        steelyard eval show last --html report.html
    """
    check_places(json_file, html_file, markdown_file)
    with kept_runs(home_of(ctx, home)) as records:
        write_report(records, records.report(run), json_file, html_file, markdown_file)


@evaluation.command("compare")
def compare(
    ctx: typer.Context,
    baseline: Annotated[str, typer.Argument(help="RUN:ARM, as last:rag")],
    candidate: Annotated[str, typer.Argument(help="RUN:ARM")],
    min_effect: MinEffect = str(MIN_EFFECT),
    home: Home = None,
    json_file: JsonFile = None,
) -> None:
    """Compare any two arms of any two runs over the same set.

    Example:

        steelyard eval compare 20261101:rag last:rag
    """
    with kept_runs(home_of(ctx, home)) as records:
        report = compared(records, baseline, candidate, effects=effects_of(min_effect))
    if json_file is None:
        show_report(report)
    write_json(report, json_file)


@evaluation.command("gate")
def check_gate(
    ctx: typer.Context,
    baseline: Annotated[str, typer.Option("--baseline", help="RUN:ARM, as 2026:rag")],
    candidate: Annotated[str, typer.Option("--candidate", help="RUN:ARM")],
    min_delta: Annotated[
        list[str] | None,
        typer.Option("--min-delta", help="a gain that must be shown, as nDCG@10=0.01"),
    ] = None,
    non_inferior: Annotated[
        list[str] | None,
        typer.Option("--non-inferior", help="a loss that must be ruled out, as 'p95_ms:+10%'"),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Exit with 0 if the candidate may replace the baseline, with 1 if not; for CI.

    Example:

        steelyard eval gate --baseline last:rag --candidate last:wide \\
            --min-delta F1=0.01 --non-inferior 'p95_ms:+10%' --non-inferior 'cite_precision:-0.02'
    """
    demands = demands_of(min_delta or [])
    margins = [Margin.parse(text) for text in non_inferior or []]
    if not demands and not margins:
        raise InputError("the gate has no rule; add --min-delta MEASURE=GAIN or --non-inferior ...")
    with kept_runs(home_of(ctx, home)) as records:
        report = compared(records, baseline, candidate, effects=demands)
    arms = {arm.name: arm.figures for arm in report.arms}
    result = gate(
        report.comparisons,
        arms,
        candidate=report.arms[-1].name,
        better={m.name: m.better for m in parse_measures(",".join(report.measures))},
        min_delta=demands,
        margins=margins,
    )
    if as_json:
        reasons = [asdict(reason) for reason in result.reasons]
        show.emit_json({"passed": result.passed, "reasons": reasons, "notes": report.notes})
    else:
        for reason in result.reasons:
            mark = "[green]pass[/]" if reason.passed else "[red]fail[/]"
            show.out.print(f"{mark}  {escape(reason.rule)}: {escape(reason.sentence)}")
        for line in report.notes:  # as of a model server that did not answer
            show.out.print(f"[yellow]note[/]  {escape(line)}")
    raise typer.Exit(0 if result.passed else 1)


@evaluation.command("delete")
def delete(ctx: typer.Context, run: Run, home: Home = None) -> None:
    """Forget a run, and the outcomes that no other run has."""
    with kept_runs(home_of(ctx, home)) as records:
        report = records.report(run)
        records.delete(run)
    show.out.print(f"deleted run {report.id}")
