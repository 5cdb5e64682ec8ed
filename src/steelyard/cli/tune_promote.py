"""`steelyard tune promote`: what a run has made, registered, weighed, and served if it may be."""

from typing import Annotated

import typer

from steelyard.cli import show
from steelyard.cli.eval_options import demands_of
from steelyard.cli.options import Home, Json, home_of
from steelyard.cli.promoting import promote_run
from steelyard.cli.registry import who
from steelyard.cli.registry_promote import promoted_json, show_promoted
from steelyard.cli.tune import Name, tune
from steelyard.evals.statistics import Margin
from steelyard.flows.promote import Order

__all__ = ["tune"]


@tune.command("promote")
def promote_trained(
    ctx: typer.Context,
    run: Name,
    data: Annotated[
        str, typer.Option("--data", "-d", help="questions; default: the rows that it held out")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="the version's; default: the run's")] = "",
    min_delta: Annotated[
        list[str] | None,
        typer.Option("--min-delta", help="a gain that must be shown, as nDCG@10=0.01"),
    ] = None,
    non_inferior: Annotated[
        list[str] | None,
        typer.Option("--non-inferior", help="a loss that must be ruled out, as 'p95_ms:+10%'"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="serve it whatever the gate says; needs --why")
    ] = False,
    why: Annotated[str, typer.Option("--why", help="the reason, for the history")] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Register what a run has made, weigh it against what is served, and serve it if the gate is
    green; exit with 1 if it refuses.

    Examples:

        steelyard tune promote run-3fb19c20aa41

        steelyard tune promote run-3fb19c20aa41 --data questions.jsonl --min-delta nDCG@10=0.02
    """
    demands = demands_of(min_delta or [])
    margins = tuple(Margin.parse(text) for text in non_inferior or [])
    done = promote_run(
        home_of(ctx, home), run, Order(who(), why, force),
        data=data, name=name, demands=demands, margins=margins,
    )  # fmt: skip
    if as_json:
        show.emit_json(promoted_json(done))
    else:
        show_promoted(done)
    raise typer.Exit(0 if done.event is not None else 1)
