"""What `steelyard prices` shows: rows with their range and source, and what was spent."""

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from steelyard.cli import show
from steelyard.core.prices import Mark, Price
from steelyard.cost import Book
from steelyard.cost.rows import DIRECTIONS, period
from steelyard.flows.spend import Line, Spend, day_of

STYLES = {
    Mark.VENDOR: "green",
    Mark.USER: "bold green",
    Mark.REPOSITORY: "cyan",
    Mark.SECONDARY: "yellow",
    Mark.UNVERIFIED: "red",
    Mark.ASSUMED: "magenta",
}
MODELS = "llm/"
HOUR_S = 3600


def amount(price: Price) -> str:
    """Return a row in a line: item, amount and unit, the length and the days that it holds for."""
    tier = f" above {price.above_tokens:,} tokens" if price.above_tokens else ""
    return f"{price.item}: {price.usd:g} {price.unit}{tier}, {period(price)}"


def show_prices(book: Book, rows: Sequence[Price]) -> None:
    """Print rows that hold, a model's in one line; with a mark for those one should look at."""
    models: dict[tuple[str, int], dict[str, Price]] = {}
    others: dict[str, list[Price]] = {}
    for one in rows:
        first, _, rest = one.item.partition("/")
        if one.item.startswith(MODELS):
            model, _, direction = rest.rpartition("/")
            models.setdefault((model, one.above_tokens), {})[direction] = one
        else:
            others.setdefault(first, []).append(one)
    if models:
        show.out.print(_models(book, models))
    for first, of_first in others.items():
        show.out.print(_others(book, first, of_first))
    if any(book.warnings(one) for one in rows):
        show.out.print("[dim]! look at it: steelyard prices show ITEM[/]")


def _models(book: Book, models: Mapping[tuple[str, int], Mapping[str, Price]]) -> Table:
    table = _table(
        f"{MODELS} USD/Mtoken", "prompt above", "in", "cached", "out", "mark", "seen", "",
        right=("prompt above", *DIRECTIONS),
    )  # fmt: skip
    for (model, above), found in models.items():
        first = found.get("in") or next(iter(found.values()))
        table.add_row(
            escape(model),
            f"{above:,}" if above else "",
            *(_usd(found.get(direction)) for direction in DIRECTIONS),
            _mark(first),
            str(first.seen),
            max(_warned(book, one) for one in found.values()),
        )
    return table


def _others(book: Book, first: str, rows: Sequence[Price]) -> Table:
    units = {one.unit for one in rows}
    unit = f" {next(iter(units))}" if len(units) == 1 else ""
    columns = ("USD", "range", *(() if unit else ("for a",)), "mark", "seen", "")
    table = _table(f"{first}/{unit}", *columns, right=("USD", "range"))
    for one in rows:
        table.add_row(
            escape(one.item.removeprefix(f"{first}/")),
            _usd(one),
            f"{one.low_usd:g} – {one.high_usd:g}" if one.low_usd < one.high_usd else "",
            *(() if unit else (escape(one.unit.removeprefix("USD/")),)),
            _mark(one),
            str(one.seen),
            _warned(book, one),
        )
    return table


def _table(*names: str, right: Sequence[str]) -> Table:
    """Return an empty table whose first column folds, rather than be cut."""
    table = Table(box=None, pad_edge=False)
    for number, name in enumerate(names):
        table.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=number > 0,
            overflow="fold",
            min_width=24 if number == 0 else None,
        )
    return table


def _usd(price: Price | None) -> str:
    return "" if price is None else f"{price.usd:g}"


def _dollars(usd: float) -> str:
    """Return what was spent: to the cent, small sums to the millionth."""
    return f"{usd:,.2f}" if usd >= 10 or not usd else f"{usd:.{6 if usd < 0.01 else 4}f}"


def _mark(price: Price) -> str:
    return f"[{STYLES[price.mark]}]{price.mark.value}[/]"


def _warned(book: Book, price: Price) -> str:
    return "[yellow]![/]" if book.warnings(price) else ""


def show_rows_of(book: Book, rows: Sequence[Price], hold: Sequence[bool]) -> None:
    """Print all rows of an item, the one that holds with what to know of it."""
    for one, holds in zip(rows, hold, strict=True):
        mark = "[green]holds[/]  " if holds else "[dim]not now[/]"
        show.out.print(f"{mark} {escape(amount(one))}", style=None if holds else "dim")
        if one.low_usd < one.high_usd:
            show.out.print(f"         from {one.low_usd:g} to {one.high_usd:g}")
        seller = f"{one.seller}, by " if one.seller else ""
        said = f"{seller}{one.source or 'nobody named'}; seen {one.seen}"
        show.out.print(f"         [{STYLES[one.mark]}]{one.mark.value}[/]: {escape(said)}")
        if one.note:
            show.out.print(f"         {escape(one.note)}")
        for warning in book.warnings(one) if holds else ():
            show.out.print(f"         [yellow]{escape(warning)}[/]")


def show_spend(found: Spend) -> None:
    """Print what was spent, by group and in all, on questions and on training."""
    if not found.total.num_questions:
        show.out.print("nothing was asked since then, as far as the query log tells")
    else:
        show.out.print(_questions(found))
        for reason, num in found.unknown.items():
            show.out.print(f"[yellow]unknown:[/] {num:,} questions: {escape(reason)}")
    if found.trainings:
        show.out.print("\n[bold]training[/]")
        show.out.print(_trainings(found))
        for reason in dict.fromkeys(one.unknown for one in found.trainings if one.unknown):
            show.out.print(f"[yellow]unknown:[/] {escape(reason)}")
    if found.prices:
        show.out.print("\n[bold]prices used[/]")
        for price in found.prices:
            show.out.print(f"  {escape(amount(price))}  [dim]{escape(price.source)}[/]")
    for note in found.notes:
        show.out.print(f"[yellow]note:[/] {escape(note)}")


def _questions(found: Spend) -> Table:
    figures = (
        "questions", "cache", "failed", "in", "cached", "out", "USD", "per 1,000", "saved",
        "unknown",
    )  # fmt: skip
    table = _table(found.by, *figures, right=figures)
    table.columns[0].min_width = 10
    for line in found.lines:
        table.add_row(*_cells(line))
    if len(found.lines) > 1:
        table.add_row(*_cells(found.total), style="bold")
    return table


def _cells(line: Line) -> list[str]:
    each = line.usd_per_1000
    return [
        escape(line.name),
        f"{line.num_questions:,}",
        f"{line.num_again:,}",
        f"{line.num_failed:,}",
        f"{line.prompt_tokens:,}",
        f"{line.cached_tokens:,}",
        f"{line.completion_tokens:,}",
        _dollars(line.usd),
        "not known" if each is None else _dollars(each),
        _dollars(line.saved_usd),
        f"{line.unknown_share:.0%}" if line.num_unknown else "",
    ]


def _trainings(found: Spend) -> Table:
    table = _table(
        "run", "kind", "state", "begun", "tokens", "hours", "USD", right=("tokens", "hours", "USD")
    )
    for one in found.trainings:
        table.add_row(
            escape(one.run),
            escape(one.kind),
            one.state,
            str(day_of(one.started_at)),
            f"{one.tokens:,}" if one.tokens else "not told",
            f"{one.seconds / HOUR_S:.2f}",
            "not known" if one.usd is None else _dollars(one.usd),
        )
    return table
