"""`steelyard cache`: how far the answer cache can be trusted, and its threshold."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from steelyard.cli import show
from steelyard.cli.options import Home, Json, home_of, opened
from steelyard.core.errors import InputError
from steelyard.flows.cache_check import (
    Check,
    Judged,
    Rates,
    Tuned,
    check,
    judge,
    read_pairs,
    tune,
)
from steelyard.settings import save_option

cache = typer.Typer(
    help="The answer cache: which questions one answer serves.", no_args_is_help=True
)
Pairs = Annotated[
    Path, typer.Option("--pairs", help='JSON lines {"a", "b", "label"[, "kind"]}; .gz is read too')
]
WORST_SHOWN = 10


@cache.command("check")
def check_pairs(
    ctx: typer.Context,
    pairs: Pairs,
    home: Home = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", min=0, max=1, help="the least cosine to try")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the meaning test over pairs of questions and count wrong and true hits by kind.

    Label 1 means that one answer serves both. The bound is exact, one-sided, 95 %.

    Examples:

        steelyard cache check --pairs twins.jsonl

        steelyard cache check --pairs twins.jsonl --threshold 0.8 --json
    """
    rows = read_pairs(pairs)
    with opened(ctx, home, {}) as app:
        chosen = app.settings.cache.threshold if threshold is None else threshold
        found = check(judge(rows, app.embedder), threshold=chosen)
    if as_json:
        show.emit_json(_check_json(found))
    else:
        _show_check(found)


@cache.command("tune")
def tune_threshold(
    ctx: typer.Context,
    pairs: Pairs,
    home: Home = None,
    max_false_rate: Annotated[
        float, typer.Option("--max-false-rate", help="the budget of wrong hits, 0.01 is 1 %")
    ] = 0.01,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be written, and write nothing")
    ] = False,
    as_json: Json = False,
) -> None:
    """Set cache.threshold to the lowest that keeps wrong hits within a budget, as far as provable.

    It is written into the home's settings.toml; a running server takes it with its next start.

    Examples:

        steelyard cache tune --pairs twins.jsonl --max-false-rate 0.01

        steelyard cache tune --pairs twins.jsonl --dry-run --json
    """
    if not 0 < max_false_rate < 1:
        raise InputError(f"--max-false-rate {max_false_rate} is no rate; give one as 0.01")
    rows = read_pairs(pairs)
    with opened(ctx, home, {}) as app:
        found = tune(judge(rows, app.embedder), budget=max_false_rate)
    written = None
    if found.threshold is not None and not dry_run:
        written = save_option(home_of(ctx, home), "cache.threshold", found.threshold)
    if as_json:
        show.emit_json(_tuned_json(found) | {"written": None if written is None else str(written)})
    else:
        _show_tuned(found)
        if written is not None:
            show.note(f"wrote cache.threshold = {found.threshold} to {written}")
    if found.threshold is None:
        raise InputError(_no_threshold(found))


def _no_threshold(found: Tuned) -> str:
    strictest = found.curve[-1][1]
    if strictest.different < found.needed:
        return (
            f"{strictest.different} pairs of label 0 cannot prove a rate of wrong hits of "
            f"{found.budget:g}: give at least {found.needed}, or a larger --max-false-rate"
        )
    return (
        f"no threshold keeps wrong hits within {found.budget:g}; "
        "see `steelyard cache check` for the worst, or give a larger --max-false-rate"
    )


def _show_check(found: Check) -> None:
    names = ("kind", "wrong hits", "of", "rate at most", "true hits", "of", "rate")
    rows = [(kind, *_cells(rates)) for kind, rates in found.by_kind.items()]
    show.show_rows(names, [*rows, ("all", *_cells(found.total))])
    show.out.print(f"[dim]threshold {found.threshold:g}; bounds hold with 95 %[/]")
    for title, some in (("wrong hits", found.wrong), ("missed", found.missed)):
        if some:
            show.out.print(f"[bold]{title}[/], nearest first")
        for one in some[:WORST_SHOWN]:
            line = f"  {one.cosine:.3f} {one.reason or '-'}: {one.pair.a} | {one.pair.b}"
            show.out.print(escape(line))


def _show_tuned(found: Tuned) -> None:
    names = ("threshold", "wrong hits", "of", "rate at most", "true hits", "of", "rate")
    shown = [(f"{threshold:.2f}", *_cells(rates)) for threshold, rates in found.curve]
    show.show_rows(names, shown[::5])


def _cells(rates: Rates) -> tuple[object, ...]:
    upper = f"{rates.wrong_upper:.4f}" if rates.different else "-"
    share = f"{rates.hits / rates.same:.3f}" if rates.same else "-"
    return rates.wrong, rates.different, upper, rates.hits, rates.same, share


def _check_json(found: Check) -> dict[str, Any]:
    return {
        "threshold": found.threshold,
        "confidence": 0.95,
        **_rates_json(found.total),
        "kinds": {kind: _rates_json(rates) for kind, rates in found.by_kind.items()},
        "wrong_examples": [_judged_json(one) for one in found.wrong[:WORST_SHOWN]],
        "missed_examples": [_judged_json(one) for one in found.missed[:WORST_SHOWN]],
    }


def _tuned_json(found: Tuned) -> dict[str, Any]:
    return {
        "threshold": found.threshold,
        "max_false_rate": found.budget,
        "confidence": 0.95,
        "pairs_needed": found.needed,
        "curve": [{"threshold": at, **_rates_json(rates)} for at, rates in found.curve],
    }


def _rates_json(rates: Rates) -> dict[str, Any]:
    return {
        "wrong_hits": rates.wrong,
        "different": rates.different,
        "wrong_rate": rates.wrong / rates.different if rates.different else None,
        "wrong_rate_upper": rates.wrong_upper if rates.different else None,
        "true_hits": rates.hits,
        "same": rates.same,
        "true_rate": rates.hits / rates.same if rates.same else None,
    }


def _judged_json(one: Judged) -> dict[str, Any]:
    return {
        "a": one.pair.a,
        "b": one.pair.b,
        "kind": one.kind,
        "cosine": round(one.cosine, 4),
        "reason": one.reason,
    }
