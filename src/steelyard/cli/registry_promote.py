"""`steelyard registry promote`: a version weighed over questions, and served if it may be."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer
from rich.markup import escape

from steelyard.arms.weighing import Scales, weigh
from steelyard.cli import registry_show, show
from steelyard.cli.endings import complain
from steelyard.cli.eval_options import demands_of
from steelyard.cli.eval_progress import EvaluateProgress
from steelyard.cli.options import Home, Json, Set, home_of, pairs_of
from steelyard.cli.registry import Named, Why, registry, shelf, who
from steelyard.core.evaluation import QuestionSet
from steelyard.core.registry import Evaluation, Version
from steelyard.datasets import find_set, read_set
from steelyard.evals.records import Records, records_path
from steelyard.evals.statistics import Margin
from steelyard.flows.promote import (
    Order,
    Promoted,
    Rules,
    promote,
    refusal,
    usual_rules,
    with_measures,
)
from steelyard.flows.registry import Registry
from steelyard.infra.concurrent import loop_factory

__all__ = ["registry"]


@registry.command("promote")
def promote_version(
    ctx: typer.Context,
    version: Named,
    data: Annotated[
        str, typer.Option("--data", "-d", help="questions: a folder, a file, or a set of the home")
    ] = "",
    min_delta: Annotated[
        list[str] | None,
        typer.Option("--min-delta", help="a gain that must be shown, as nDCG@10=0.01"),
    ] = None,
    non_inferior: Annotated[
        list[str] | None,
        typer.Option("--non-inferior", help="a loss that must be ruled out, as 'p95_ms:+10%'"),
    ] = None,
    measures: Annotated[
        str, typer.Option("--measures", "-m", help="with commas; default: those of its kind")
    ] = "",
    part: Annotated[str, typer.Option("--part", help="one part of the set, as test")] = "",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="a fixed sample of the questions")
    ] = None,
    unreviewed: Annotated[
        bool, typer.Option("--unreviewed", help="ask made questions that nobody has accepted yet")
    ] = False,
    settings: Set = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=256, help="questions asked at once")
    ] = 2,
    force: Annotated[
        bool, typer.Option("--force", help="serve it whatever the gate says; needs --why")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="weigh it and say what the gate says; serve nothing")
    ] = False,
    why: Why = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Weigh a version against what is served, through the code that serves, and serve it if it is
    shown to be better and no guarded measure loses; exit with 1 if the gate refuses.

    Without --data its last weighing over what is served now must have passed.

    Examples:

        steelyard registry promote support --data questions.jsonl

        steelyard registry promote v3f2 -d squad2/ --min-delta nDCG@10=0.02 \\
            --non-inferior 'p95_ms:+20%'

        steelyard registry promote wide --force --why "asked for by the legal team"
    """
    order = Order(who(), why, force)
    demands = demands_of(min_delta or [])
    margins = tuple(Margin.parse(text) for text in non_inferior or [])
    with shelf(ctx, home) as kept:
        found = kept.find(version)
        if not data:
            done = promote(kept, found, order)
        else:
            where = home_of(ctx, home)
            questions = read_set(
                find_set(where, data), part=part, limit=limit, unreviewed=unreviewed
            )
            rules = rules_of(found, questions, measures, demands, margins)
            flags = pairs_of(settings)
            with Records(records_path(where)) as records:
                scales = Scales(questions, rules, records, flags, concurrency=concurrency)
                done = _weighed(kept, found, order, scales, dry_run=dry_run)
    if as_json:
        show.emit_json(promoted_json(done))
    else:
        show_promoted(done, dry_run=dry_run)
    raise typer.Exit(0 if done.event is not None or (dry_run and _passed(done)) else 1)


def rules_of(
    version: Version,
    questions: QuestionSet,
    measures: str = "",
    min_delta: Mapping[str, float] | None = None,
    margins: tuple[Margin, ...] = (),
) -> Rules:
    """Return the rules of a version's kind, or those that the caller gave in their place."""
    rules = usual_rules(version, questions)
    if min_delta or margins:
        rules = replace(rules, min_delta=min_delta or {}, margins=margins)
    return with_measures(rules, measures)


def weigh_here(kept: Registry, version: Version, scales: Scales) -> Evaluation:
    """Return how a version does, with progress bars on stderr."""
    try:
        with EvaluateProgress() as progress, asyncio.Runner(loop_factory=loop_factory()) as runner:
            shown = replace(scales, on_fill=progress.on_fill, on_progress=progress.on_progress)
            return runner.run(weigh(kept, version, shown)).evaluation
    except KeyboardInterrupt:
        show.note("interrupted; what was asked is kept: run the same command again to go on")
        raise typer.Exit(130) from None


def _weighed(
    kept: Registry, version: Version, order: Order, scales: Scales, *, dry_run: bool
) -> Promoted:
    if not dry_run:
        return promote(kept, version, order, weigh=lambda one: weigh_here(kept, one, scales))
    notes = kept.check(version)
    evaluation = weigh_here(kept, version, scales)
    kept.store.keep_evaluation(version.id, evaluation, who=order.who)
    return Promoted(version, evaluation, None, notes)


def _passed(done: Promoted) -> bool:
    return done.evaluation is not None and done.evaluation.passed


def show_promoted(done: Promoted, *, dry_run: bool = False) -> None:
    """Print how a version did, and whether it serves now."""
    if done.evaluation is not None:
        registry_show.show_evaluation(done.evaluation)
    for note in done.notes:
        show.out.print(f"[yellow]note:[/] {escape(note)}")
    if done.event is not None:
        registry_show.show_event(done.event)
    elif dry_run:
        show.out.print("nothing was changed (--dry-run)")
    else:
        complain(f"{refusal(done)}; nothing was changed")


def promoted_json(done: Promoted) -> Mapping[str, Any]:
    return {
        "version": done.version.id,
        "promoted": done.event is not None,
        "event": None if done.event is None else asdict(done.event),
        "evaluation": None if done.evaluation is None else asdict(done.evaluation),
        "notes": list(done.notes),
    }
