"""`steelyard eval ab`: how the live comparison of two bundles stands."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from steelyard.arms.challenger import promotion
from steelyard.cli import show
from steelyard.cli.eval_runs import evaluation
from steelyard.cli.eval_show import STYLES
from steelyard.cli.options import Home, Json, database_of
from steelyard.core.evaluation import Verdict
from steelyard.flows.ab import MIN_SHARE, AbReport, Difference, SideFigures, live_json, live_report
from steelyard.store import Store

__all__ = ["evaluation"]


@evaluation.command("ab")
def ab(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(help="the challenger's name; default: the comparison begun last")
    ] = "",
    min_effect: Annotated[
        float, typer.Option("--min-effect", min=0.001, max=1, help="the share that matters")
    ] = MIN_SHARE,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Say how two bundles that people use side by side compare; look as often as you like.

    `serve.challenger` and `serve.challenger_share` begin it: docs/live.md.
    """
    store = Store.open(database_of(ctx, home))
    try:
        report = live_report(store, name, min_share=min_effect)
    finally:
        store.close()
    lines = promotion(report.experiment.options)
    if as_json:
        show.emit_json({**live_json(report), "promote": lines})
        return
    _show(report)
    show.out.print(
        "\n[dim]to make the challenger the champion: take serve.challenger away, and have in the "
        "home's settings.toml[/]"
    )
    show.out.print(escape(lines), highlight=False)


def _show(report: AbReport) -> None:
    experiment = report.experiment
    show.out.print(
        f"[bold]{escape(experiment.name)}[/]  {experiment.share:.0%} of the users see it, "
        f"first on {datetime.fromtimestamp(experiment.started_at, UTC):%Y-%m-%d %H:%M} UTC"
    )
    show.out.print(_sides(report.champion, report.challenger))
    if report.broken:
        show.out.print(
            f"\n[bold red]The split is broken[/] (p = {report.split_p:.1g}): not "
            f"{experiment.share:.0%} of the users were seen on the challenger's side. Something "
            "loses users of one side, so no verdict is given: find it, and begin again under "
            "another name."
        )
    else:
        show.out.print(f"\n[dim]the split is as it should be (p = {report.split_p:.2g})[/]")
    if report.differences:
        show.out.print(_differences(report.differences))
        show.out.print(
            "[dim]intervals hold for all looks and all measures together (95 %); each user counts "
            "once[/]"
        )
    for note in report.notes:
        show.out.print(f"[yellow]note:[/] {escape(note)}")


def _sides(*sides: SideFigures) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for side in sides:
        table.add_column(f"{side.side}\n[dim]{escape(side.bundle)}[/]", justify="right")
    table.add_row("users", *(f"{side.num_users:,}" for side in sides))
    table.add_row("questions", *(f"{side.num_questions:,}" for side in sides))
    table.add_row("rated up / down", *(f"{side.num_up:,} / {side.num_down:,}" for side in sides))
    for name in ("answered", "unsupported", "failed"):
        table.add_row(name, *(_share(side.shares[name]) for side in sides))
    table.add_row("median ms", *(_ms(side.p50_ms) for side in sides))
    table.add_row("p95 ms", *(_ms(side.p95_ms) for side in sides))
    return table


def _differences(differences: tuple[Difference, ...]) -> Table:
    table = Table(box=None, pad_edge=False, title="challenger − champion", title_justify="left")
    table.add_column("measure", no_wrap=True)
    table.add_column("difference", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("it would still take")
    for one in differences:
        style = STYLES[one.verdict] if one.verdict else "dim"
        verdict = one.verdict.value if one.verdict else "none"
        table.add_row(one.measure.name, _interval(one), f"[{style}]{verdict}[/]", _needed(one))
    return table


def _interval(one: Difference) -> str:
    found = one.found
    if one.measure.high > 1:
        return escape(f"{one.value:+.0f} [{found.low:+.0f}, {found.high:+.0f}]")
    return escape(f"{one.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]")


def _needed(one: Difference) -> str:
    if one.num_needed is not None:
        more = max(1, one.num_needed - one.found.num_users)
        return f"about {_rounded(more):,} more users"
    return "more users, to tell" if one.verdict is Verdict.UNDERPOWERED else ""


def _rounded(number: int) -> int:
    """Return a number to two digits: more would pretend."""
    return round(number, 2 - len(str(number)))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
