"""`steelyard advise`: retrieval or fine-tuning or both, at which cost, and what flips it."""

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from steelyard.advise import (
    Scenario,
    advice_json,
    capacity_json,
    capacity_of,
    named_scenario,
    one_page,
    published_json,
    published_line,
    published_table,
    scenario_names,
    scenario_of_file,
)
from steelyard.cli import show
from steelyard.cli.advise_capacity import show_capacity
from steelyard.cli.advise_show import show_advice, show_formula
from steelyard.cli.eval_options import HtmlFile, check_places, kept_runs
from steelyard.cli.options import Home, Json, database_of, home_of, pairs_of
from steelyard.core.errors import InputError, SetupError
from steelyard.core.evaluation import Report
from steelyard.cost import Book
from steelyard.evals.report import report_from_json
from steelyard.flows.advise import advice_of
from steelyard.flows.traffic import Traffic, traffic_of
from steelyard.store import Store

DEFAULT = "small-team"

advise = typer.Typer(
    help="RAG or fine-tuning or both: cost, break-even, and what would flip the advice."
)


@advise.callback(invoke_without_command=True)
def weigh(
    ctx: typer.Context,
    scenario: Annotated[
        str, typer.Option("--scenario", "-s", help="a name (`advise scenarios`) or a TOML file")
    ] = DEFAULT,
    report: Annotated[
        str,
        typer.Option("--report", "-r", help="a run of `steelyard eval run`, `last`, or its JSON"),
    ] = "",
    measure: Annotated[str, typer.Option("--measure", help="the quality that counts")] = "",
    arm: Annotated[
        list[str] | None,
        typer.Option("--arm", help="what an arm of the report is, for example my-reader=rag"),
    ] = None,
    home: Home = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", help="an input or a choice: churn=0.2, churn=0.1..0.2..0.4"),
    ] = None,
    from_log: Annotated[
        bool, typer.Option("--from-log", help="volume, tokens and cache hits of the query log")
    ] = False,
    on: Annotated[str, typer.Option("--on", help="the day whose prices count")] = "",
    draws: Annotated[int, typer.Option("--draws", min=100, max=100_000)] = 10_000,
    why: Annotated[
        str, typer.Option("--why", help="a number's formula, inputs, sources and dates")
    ] = "",
    html: HtmlFile = None,
    as_json: Json = False,
) -> None:
    """Weigh base, rag, tuned and tuned+rag over twelve months, and say which to take.

    Without a report, quality and waiting are stated defaults, and it says what to measure first.

    Examples:

        steelyard advise --scenario support-bot

        steelyard advise --scenario internal-kb --report last --set churn=0.1..0.2..0.4

        steelyard advise --report five-arms.json --set questions_per_day=2000..5000..20000 --json

        steelyard advise --report five-arms.json --from-log

        steelyard advise --scenario support-bot --why 'rag@api total'

        steelyard advise --scenario internal-kb --report last --html costs.html
    """
    if ctx.invoked_subcommand is not None:
        return
    check_places(None, html)
    chosen = scenario_for(scenario, inputs_of(given))
    found = advice_of(
        chosen,
        Book(home_of(ctx, home), on=day_of(on)),
        report=report_of(ctx, home, report) if report else None,
        measure=measure,
        names=pairs_of(arm),
        traffic=logged_traffic(ctx, home) if from_log else None,
        given=list(pairs_of(given)),
        draws=draws,
    )
    if html is not None:
        write_page(html, one_page(found))
    if as_json:
        show.emit_json(advice_json(found))
    elif why:
        show_formula(found, why)
    else:
        show_advice(found)


def write_page(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"cannot write the page: {error}; name another file") from error
    show.note(f"wrote {path}")


@advise.command("scenarios")
def list_scenarios(as_json: Json = False) -> None:
    """List the scenarios that can be named.

    Example: steelyard advise scenarios
    """
    rows = [(name, named_scenario(name).title) for name in scenario_names()]
    if as_json:
        show.emit_json([{"name": name, "title": title} for name, title in rows])
    else:
        show.show_rows(("scenario", "what it is"), rows)


@advise.command("published")
def list_published(
    ctx: typer.Context,
    figure: Annotated[
        str, typer.Argument(help="one figure: its reading, reasons and formulas")
    ] = "",
    home: Home = None,
    on: Annotated[str, typer.Option("--on", help="the day whose prices count")] = "",
    as_json: Json = False,
) -> None:
    """Hold every figure of a published comparison against what its own inputs give.

    "Fine-Tuning vs RAG: Which Is More Cost-Effective in 2026?", March 2026. Its two scenarios are
    `published-support-bot` and `published-internal-kb`. With --json: all formulas and assumptions.

    Examples:

        steelyard advise published

        steelyard advise published context-by-token
    """
    book = Book(home_of(ctx, home), on=day_of(on))
    if as_json:
        show.emit_json(published_json(book))
    elif figure:
        for line in published_line(book, figure):
            show.out.print(escape(line))
    else:
        header, *rows = published_table(book)
        show.show_rows(header, rows)


@advise.command("capacity")
def size(
    scenario: Annotated[
        str, typer.Option("--scenario", "-s", help="a name or a TOML file whose inputs count")
    ] = "",
    given: Annotated[
        list[str] | None,
        typer.Option("--set", help="an input: chunks=1e9, questions_per_s=1e5, memory_gb=512"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how many servers and GPUs, how much memory and disk, by what was measured here.

    And for each part the number at which one machine no longer does, with what it moves to.

    Examples:

        steelyard advise capacity --set documents=200000 --set questions_per_s=50

        steelyard advise capacity --scenario support-bot --set cores=64 --set memory_gb=512
    """
    chosen = scenario_for(scenario, {}) if scenario else None
    found = capacity_of(inputs_of(given), scenario=chosen)
    if as_json:
        show.emit_json(capacity_json(found))
    else:
        show_capacity(found)


def logged_traffic(ctx: typer.Context, home: Path | None) -> Traffic:
    """Return what a home's query log says of its traffic."""
    with Store.open(database_of(ctx, home)) as store:
        return traffic_of(store.used_answers())


def scenario_for(text: str, given: dict[str, Any]) -> Scenario:
    """Return the scenario of a name or a TOML file, with `given` over it."""
    if text.endswith(".toml") or "/" in text:
        return scenario_of_file(Path(text).expanduser(), given)
    return named_scenario(text, given)


def inputs_of(pairs: list[str] | None) -> dict[str, Any]:
    """Read `key=value`, `key=low..high` and `key=low..value..high`; the scenario checks them."""
    return {key: _input(text) for key, text in pairs_of(pairs).items()}


def _input(text: str) -> Any:
    parts = text.split("..")
    if len(parts) == 3:
        return {"low": _plain(parts[0]), "value": _plain(parts[1]), "high": _plain(parts[2])}
    if len(parts) == 2:
        low, high = _plain(parts[0]), _plain(parts[1])
        if isinstance(low, float) and isinstance(high, float):
            return {"low": low, "value": (low + high) / 2, "high": high}
    return _plain(text)


def _plain(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


def day_of(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--on {text!r} is no day; write it like 2026-11-21") from None


def report_of(ctx: typer.Context, home: Path | None, text: str) -> Report:
    """Return the report of a run, by id or `last`, or of a file of `eval run --json`."""
    path = Path(text).expanduser()
    if path.suffix == ".json" or path.is_file():
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"--report {text!r} cannot be read: {error}") from error
        return report_from_json(read, where=text)
    with kept_runs(home_of(ctx, home)) as records:
        return records.report(text)
