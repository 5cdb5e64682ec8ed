"""`steelyard tune`: recipes planned, trained, followed, resumed and cancelled."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.cli import tune_show
from steelyard.cli.endings import complain
from steelyard.cli.options import Home, Json, home_of, pairs_of
from steelyard.cli.promoting import check_promotable, promote_run
from steelyard.cli.registry import who
from steelyard.cli.registry_promote import promoted_json, show_promoted
from steelyard.cli.show import emit_json
from steelyard.cli.tune_managed import track_quietly
from steelyard.core.errors import InputError
from steelyard.core.tuning import RunState, TuneKind
from steelyard.flows import tune as flow
from steelyard.flows.promote import Order
from steelyard.tune import (
    Interrupted,
    Recipe,
    Trained,
    make_recipe,
    plan_fields,
    read_recipe,
    summary_fields,
)

tune = typer.Typer(
    help="Training: from a team's own examples to an adapter, killed and resumed at will.",
    no_args_is_help=True,
)

RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", "-r", help="a recipe, one YAML file (docs/tuning.md)")
]
Kind = Annotated[
    str | None, typer.Option("--kind", help=f"one of {', '.join(kind.value for kind in TuneKind)}")
]
Base = Annotated[str | None, typer.Option("--base", help="what is trained: a model, a directory")]
Train = Annotated[
    list[str] | None, typer.Option("--train", help="a version, NAME@SPLIT, or a file of rows")
]
Eval = Annotated[list[str] | None, typer.Option("--eval", help="rows to measure on, likewise")]
Guard = Annotated[
    list[str] | None, typer.Option("--guard", help="rows of elsewhere, to see what is lost there")
]
Values = Annotated[
    list[str] | None, typer.Option("--set", help="a recipe's value, for example train.lr=1e-4")
]
AllowLost = Annotated[
    float | None,
    typer.Option("--allow-lost", help="the share of target tokens that may be cut or dropped"),
]
AllowLeaks = Annotated[
    bool, typer.Option("--allow-leaks", help="train although evaluation questions are in the rows")
]
Track = Annotated[
    bool, typer.Option("--track/--no-track", help="write the run into MLflow's store at its end")
]
Name = Annotated[str, typer.Argument(help="a run's name, or the beginning of its id")]


@tune.command("plan")
def plan(
    ctx: typer.Context,
    recipe: RecipeFile = None,
    home: Home = None,
    kind: Kind = None,
    base: Base = None,
    train: Train = None,
    eval_: Eval = None,
    guard: Guard = None,
    values: Values = None,
    allow_lost: AllowLost = None,
    allow_leaks: AllowLeaks = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="time ten of the run's steps; loads the weights")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell what a run would take, before any weights are loaded: tokens, steps, memory, money.

    Examples:

        steelyard tune plan --recipe embedder.yaml --probe

        steelyard tune plan --kind classifier --train intents.jsonl
    """
    wanted = _recipe(
        recipe, kind=kind, base=base, train=train, eval_=eval_, guard=guard,
        allow_lost=allow_lost, values=values,
    )  # fmt: skip
    made = flow.plan(home_of(ctx, home), wanted, probe=probe, allow_leaks=allow_leaks)
    if as_json:
        emit_json(plan_fields(made))
    else:
        tune_show.show_plan(made)


@tune.command("run")
def run(
    ctx: typer.Context,
    recipe: RecipeFile = None,
    home: Home = None,
    kind: Kind = None,
    base: Base = None,
    train: Train = None,
    eval_: Eval = None,
    guard: Guard = None,
    values: Values = None,
    allow_lost: AllowLost = None,
    allow_leaks: AllowLeaks = False,
    track: Track = True,
    name: Annotated[str, typer.Option("--run", help="the run's name; made up if not given")] = "",
    promote: Annotated[
        bool, typer.Option("--promote", help="then register it, weigh it, and serve it if better")
    ] = False,
    data: Annotated[
        str, typer.Option("--data", "-d", help="questions to weigh it on; else what it held out")
    ] = "",
    as_json: Json = False,
) -> None:
    """Train by a recipe, or by flags alone. Ctrl-C ends a run after its step, to be resumed.

    With --promote, what was trained is registered, weighed against what is served through the
    code that serves, and served if the gate is green; exit with 1 if it refuses.

    Examples:

        steelyard tune run --recipe embedder.yaml

        steelyard tune run --kind embedder --train handbook@train --set train.epochs=2

        steelyard tune run --kind reranker --train support.jsonl --promote --data questions.jsonl
    """
    wanted = _recipe(
        recipe, kind=kind, base=base, train=train, eval_=eval_, guard=guard,
        allow_lost=allow_lost, values=values,
    )  # fmt: skip
    where = home_of(ctx, home)

    if promote:
        check_promotable(where, wanted, data=data, allow_leaks=allow_leaks)

    def start(told: Callable[[Any], None]) -> Trained:
        return flow.run(where, wanted, name=name, allow_leaks=allow_leaks, told=told)

    trained = _train(start, where if track else None, as_json=as_json, more=promote)
    if promote:
        done = promote_run(where, trained.run, Order(who()), data=data)
        if as_json:
            emit_json({**summary_fields(trained), "promotion": promoted_json(done)})
        else:
            show_promoted(done)
        raise typer.Exit(0 if done.event is not None else 1)


@tune.command("resume")
def resume(
    ctx: typer.Context,
    name: Name,
    home: Home = None,
    track: Track = True,
    as_json: Json = False,
) -> None:
    """Go on with a run that was interrupted, killed, cancelled or that failed.

    It ends with the weights of a run that was never interrupted; bitwise so with threads: 1.

    Example:

        steelyard tune resume run-3fb19c20aa41
    """
    where = home_of(ctx, home)
    told_in = where if track else None
    _train(lambda told: flow.resume(where, name, told=told), told_in, as_json=as_json)


@tune.command("cancel")
def cancel(ctx: typer.Context, name: Name, home: Home = None) -> None:
    """End a run after the step it is at; what it has learnt so far can still be resumed.

    Example:

        steelyard tune cancel run-3fb19c20aa41
    """
    tune_show.show_cancelled(flow.cancel(home_of(ctx, home), name))


@tune.command("runs")
def runs(ctx: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """List the home's runs, the newest first.

    Example:

        steelyard tune runs
    """
    tune_show.show_runs(flow.runs(home_of(ctx, home)), as_json=as_json)


@tune.command("show")
def show(ctx: typer.Context, name: Name, home: Home = None, as_json: Json = False) -> None:
    """Show a run: where it stands, its losses and measures, its tokens, its artefact.

    Example:

        steelyard tune show run-3fb19c20aa41
    """
    tune_show.show_run(flow.found_run(home_of(ctx, home), name), as_json=as_json)


def _train(
    start: Callable[[Callable[[Any], None]], Trained],
    tracked_in: Path | None,
    *,
    as_json: bool,
    more: bool = False,
) -> Trained:
    """Train with a bar, print what came of it, and write it into the store of `tracked_in`.

    `more`: JSON is printed by the caller.
    """
    progress = tune_show.TuneProgress(quiet=as_json)
    try:
        with progress:
            trained = start(progress.on_metrics)
    except Interrupted as ended:
        left = "it has been cancelled" if ended.state is RunState.CANCELLED else "interrupted"
        complain(f"{left}, with a checkpoint; go on by `steelyard tune resume {ended.run.id}`")
        raise typer.Exit(130) from None
    if not as_json:
        tune_show.show_trained(trained)
    elif not more:
        emit_json(summary_fields(trained))
    if tracked_in is not None:
        track_quietly(tracked_in, trained.run)
    return trained


def _recipe(
    path: Path | None,
    *,
    kind: str | None,
    base: str | None,
    train: list[str] | None,
    eval_: list[str] | None,
    guard: list[str] | None,
    allow_lost: float | None,
    values: list[str] | None,
) -> Recipe:
    """Return the recipe of a file and flags; flags count."""
    named = {
        "kind": kind,
        "base": base,
        "data.train": train,
        "data.eval": eval_,
        "data.guard": guard,
        "allow_lost": allow_lost,
    }
    flags = pairs_of(values) | {key: value for key, value in named.items() if value}
    if path is not None:
        return read_recipe(path, flags=flags)
    if not flags:
        raise InputError("say what to train: --recipe FILE, or --kind KIND --train ROWS")
    return make_recipe({}, flags=flags)
