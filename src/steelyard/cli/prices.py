"""`steelyard prices`: the price book, one's own rows over it, and what was spent."""

import time
from datetime import date
from typing import Annotated, Any

import typer
from rich.markup import escape

from steelyard.cli import prices_show, show
from steelyard.cli.options import Home, Json, database_of, home_of
from steelyard.core.errors import InputError
from steelyard.core.prices import Mark, Price
from steelyard.cost import Book, price_json
from steelyard.cost.book import built_in_units, holds
from steelyard.cost.own import FILE_NAME, add_row, own_rows, remove_rows
from steelyard.cost.rows import UNITS, fold
from steelyard.flows.spend import BY, since_of, spend, spend_json
from steelyard.store import Store

prices = typer.Typer(
    help="What things cost: dated rows with sources, your own over them, and what was spent.",
    no_args_is_help=True,
)

On = Annotated[str, typer.Option("--on", help="the day, as 2026-12-31; default: today")]
Day = Annotated[str, typer.Option(help="a day, as 2026-12-31")]
Item = Annotated[str, typer.Argument(help="for example llm/gpt-6-luna/in or gpu/h100-sxm")]


@prices.command("list")
def list_prices(
    ctx: typer.Context,
    beginning: Annotated[str, typer.Argument(help="how the items begin, as gpu/")] = "",
    on: On = "",
    listed: Annotated[
        bool, typer.Option("--all", help="with the list prices of thousands of other models")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List what holds on a day, with its range, its source and when that was seen.

    Examples:

        steelyard prices list gpu/

        steelyard prices list llm/gpt-6 --on 2027-01-01
    """
    book = Book(home_of(ctx, home), on=_day("--on", on))
    rows = [row for item in book.items(beginning) for row in book.rows(item) if _wins(book, row)]
    kept = [one for one in rows if listed or _is_wanted(one, beginning)]
    if as_json:
        show.emit_json({"on": str(book.on), "prices": [_price_json(book, one) for one in kept]})
        return
    if not kept:
        show.out.print(f"nothing of {beginning!r} has a price on {book.on}")
    else:
        prices_show.show_prices(book, kept)
    if len(rows) > len(kept):
        show.note(
            f"{len(rows) - len(kept):,} list prices are left out, of other models and of hosts "
            "(NAME@HOST): --all, or begin with a name, as llm/claude"
        )


@prices.command("show")
def show_item(
    ctx: typer.Context, item: Item, on: On = "", home: Home = None, as_json: Json = False
) -> None:
    """Show all dated rows of an item, which of them hold, and what to know of them.

    Of a model (llm/NAME), those of all that is paid for: in, cached, out.
    """
    book = Book(home_of(ctx, home), on=_day("--on", on))
    rows = book.rows(item) or [row for one in book.known(f"{item}/") for row in book.rows(one)]
    if not rows:
        book.price(item)  # raises, and names what is near
    if as_json:
        told = [{**_price_json(book, one), "holds": _wins(book, one)} for one in rows]
        show.emit_json({"item": item, "on": str(book.on), "rows": told})
        return
    prices_show.show_rows_of(book, rows, [_wins(book, one) for one in rows])


@prices.command("add")
def add(
    ctx: typer.Context,
    item: Item,
    usd: Annotated[float, typer.Option("--usd", help="dollars for one unit")],
    unit: Annotated[
        str, typer.Option("--unit", help="as USD/Mtoken; default: as the item is priced already")
    ] = "",
    low: Annotated[float | None, typer.Option("--low", help="the least that it may be")] = None,
    high: Annotated[float | None, typer.Option("--high", help="the most that it may be")] = None,
    since: Day = "",
    until: Day = "",
    above_tokens: Annotated[
        int, typer.Option("--above-tokens", help="for prompts of more tokens than these")
    ] = 0,
    seller: Annotated[str, typer.Option("--seller")] = "",
    source: Annotated[str, typer.Option("--source", help="who says so: an offer, a page")] = "",
    seen: Annotated[str, typer.Option("--seen", help="when it did; default: today")] = "",
    note: Annotated[str, typer.Option("--note")] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Add a row of your own to the home's prices.toml; on its days it wins over ours.

    Examples:

        steelyard prices add llm/our-8b/in --usd 0.04 --source "contract of May"

        steelyard prices add gpu/h100-sxm --usd 2.10 --low 1.90 --high 2.40 --until 2027-06-30
    """
    path = home_of(ctx, home)
    known = Book(path).rows(item)
    row: dict[str, Any] = {
        "item": item,
        "usd": usd,
        "low": low,
        "high": high,
        "unit": unit or (known[0].unit if known else _unit_of(item)),
        "seller": seller or None,
        "source": source or "the user",
        "seen": _day("--seen", seen) or date.today(),
        "since": _day("--since", since),
        "until": _day("--until", until),
        "above_tokens": above_tokens or None,
        "note": note or None,
    }
    added = add_row(path, row, units=built_in_units())
    if as_json:
        show.emit_json(_price_json(Book(path), added))
        return
    show.out.print(f"added to {escape(str(path / FILE_NAME))}:")
    show.out.print(f"  {escape(prices_show.amount(added))}")


@prices.command("remove")
def remove(ctx: typer.Context, item: Item, home: Home = None, as_json: Json = False) -> None:
    """Remove your own rows of an item from the home's prices.toml."""
    path = home_of(ctx, home)
    gone = remove_rows(path, item, units=built_in_units())
    if as_json:
        show.emit_json({"removed": [price_json(one) for one in gone]})
        return
    show.out.print(f"removed {len(gone)} of your rows of {escape(item)}")
    book = Book(path)
    for row in book.rows(item):
        if _wins(book, row):
            show.out.print(f"what holds now: {escape(prices_show.amount(row))}")


@prices.command("check")
def check(ctx: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Check the home's prices.toml, and tell which of your rows are old or end soon."""
    path = home_of(ctx, home)
    own = own_rows(path, units=built_in_units())
    book = Book(path)
    told = {one: book.warnings(one) for one in own}
    if as_json:
        show.emit_json({"rows": [_price_json(book, one) for one in own]})
        return
    show.out.print(f"{escape(str(path / FILE_NAME))}: {len(own)} rows, none wrong")
    for one, warnings in told.items():
        for warning in warnings:
            show.out.print(f"[yellow]{escape(one.item)}[/]: {escape(warning)}")


@prices.command("spend")
def spent(
    ctx: typer.Context,
    since: Annotated[
        str, typer.Option("--since", help="not older than 12h, 30d or 2w, or a day as 2026-11-01")
    ] = "",
    by: Annotated[str, typer.Option("--by", help=", ".join(BY))] = "collection",
    machine: Annotated[
        str,
        typer.Option("--machine", help="what pays for models of your own by the hour: gpu/l4"),
    ] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Say what questions and training runs cost, by the query log and the prices of each day.

    An answer from the cache costs its model nothing; what it saved is shown beside. What nobody
    can tell is counted as unknown, not as nothing.

    Examples:

        steelyard prices spend --since 30d --by principal
    """
    database = database_of(ctx, home)
    begun = since_of(since, now=time.time())
    with Store.open(database) as store:
        found = spend(database.parent, store, by=by, since=begun, machine=machine)
    if as_json:
        show.emit_json(spend_json(found))
    else:
        prices_show.show_spend(found)


def _day(option: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InputError(f"{option} {text!r} is no day; write it as 2026-12-31") from None


def _unit_of(item: str) -> str:
    unit = UNITS.get(item.split("/")[0])
    if unit is None:
        raise InputError(f"nothing tells in what {item!r} is priced: add --unit USD/month or so")
    return unit


def _is_wanted(price: Price, beginning: str) -> bool:
    """Return whether a row is worth a line: ours and the user's; a list's where it is asked for."""
    if price.mark is Mark.USER or fold(price.item) in built_in_units():
        return True
    has_name = len(beginning) > len("llm/")
    return has_name and ("@" in beginning or "@" not in price.item)


def _wins(book: Book, price: Price) -> bool:
    """Return whether a row is the one that holds on the book's day, for prompts of its length."""
    if not holds(price, book.on):
        return False
    return book.price(price.item, prompt_tokens=price.above_tokens + 1) == price


def _price_json(book: Book, price: Price) -> dict[str, Any]:
    return {**price_json(price), "warnings": list(book.warnings(price))}
