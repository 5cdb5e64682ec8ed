"""Rows of a price file: read strictly, and every fault told at once with its place and repair."""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from steelyard.core.prices import Mark, Price

MOST_USD = 1e6  # for one unit of anything: beyond it a comma slipped
MOST_TOKENS = 100_000_000  # of a prompt
_TEXTS = ("item", "unit", "seller", "source", "note")
_NUMBERS = ("usd", "low", "high")
_DATES = ("seen", "since", "until")
_KEYS = (*_TEXTS, *_NUMBERS, *_DATES, "above_tokens")
_NEEDED = ("item", "usd", "unit", "seen")
_ITEM = re.compile(r"[A-Za-z0-9][\w.:@+-]*(/[A-Za-z0-9][\w.:@+-]*)+")
# What those who multiply rely on, by the first word of an item.
UNITS = {
    "gpu": "USD/hour",
    "llm": "USD/Mtoken",
    "embedding": "USD/Mtoken",
    "tuning": "USD/Mtoken",
    "person": "USD/hour",
}
DIRECTIONS = ("in", "cached", "out")


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a file, in its order, or what is wrong with it; with faults there are no rows."""

    prices: tuple[Price, ...] = ()
    faults: tuple[str, ...] = ()


def fold(item: str) -> str:
    """Return an item as all its spellings are: sellers write `5-5` where others write `5.5`."""
    return item.lower().replace(".", "-")


def read_built_in(text: str) -> Rows:
    """Return the rows of groups: a group's fields hold for each of its `prices`."""
    tables = [
        {key: value for key, value in group.items() if key != "prices"} | row
        for group in tomllib.loads(text)["group"]
        for row in group["prices"]
    ]
    return check_rows(tables, mark=None)


def read_own(text: str, *, today: date) -> Rows:
    """Return the user's rows: tables `[[price]]`, nothing else."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Rows(faults=(f"is no TOML: {error}",))
    tables = document.pop("price", [])
    faults = [f"unknown key {key!r}: write each row under [[price]]" for key in document]
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        return Rows(faults=(*faults, "`price` is no list of tables: write [[price]] over each row"))
    rows = check_rows(tables, mark=Mark.USER, today=today)
    faults += rows.faults
    return Rows(faults=tuple(faults)) if faults else rows


def check_rows(
    tables: Sequence[Mapping[str, Any]], *, mark: Mark | None, today: date | None = None
) -> Rows:
    """Return the tables as prices of `mark` (None: each names its own).

    With `today`, no row may be seen after it.
    """
    faults: list[str] = []
    prices: list[Price] = []
    for number, table in enumerate(tables, 1):
        place = f"price {number} ({table.get('item', 'no item')})"
        own = list(_faults(table, has_mark=mark is None, today=today))
        faults += [f"{place}: {fault}" for fault in own]
        if not own:
            prices.append(_price(table, mark=mark or Mark(table["mark"])))
    faults += _clashes(prices)
    return Rows(faults=tuple(faults)) if faults else Rows(tuple(prices))


def _faults(table: Mapping[str, Any], *, has_mark: bool, today: date | None) -> Iterator[str]:
    """Yield what is wrong with one row by itself."""
    keys = (*_KEYS, "mark") if has_mark else _KEYS
    for key in table:
        if key not in keys:
            near = get_close_matches(key, keys, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(keys)}"
            yield f"unknown key {key!r}; {hint}"
    for key in _NEEDED:
        if key not in table:
            yield f"{key} is missing"
    if has_mark and table.get("mark") not in tuple(Mark):
        yield f"mark {table.get('mark')!r} is none of {', '.join(Mark)}"
    for key in _TEXTS:
        if key in table and (not isinstance(table[key], str) or "\n" in table[key]):
            yield f"{key} {table[key]!r} is no line of text"
    yield from _item_faults(table)
    yield from _amount_faults(table)
    yield from _date_faults(table, today=today)


def _item_faults(table: Mapping[str, Any]) -> Iterator[str]:
    item, unit = table.get("item"), table.get("unit")
    if isinstance(unit, str) and not re.fullmatch(r"USD/\S.*", unit):
        yield f"unit {unit!r} does not say what is paid for: write it as USD/Mtoken, USD/month"
    if not isinstance(item, str):
        return
    if not _ITEM.fullmatch(item):
        yield f"item {item!r} is no path of names: write it as llm/NAME/in or gpu/NAME"
        return
    first, last = item.split("/")[0], item.split("/")[-1]
    needed = UNITS.get(first)
    if needed and isinstance(unit, str) and unit != needed:
        yield f"unit {unit!r}: items of {first}/ are priced in {needed}"
    if first == "llm" and (last not in DIRECTIONS or item.count("/") < 2):
        yield f"item {item!r} must end in /{', /'.join(DIRECTIONS)}"


def _amount_faults(table: Mapping[str, Any]) -> Iterator[str]:
    sound = True
    for key in _NUMBERS:
        value = table.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            yield f"{key} {value!r} is no number"
            sound = False
        elif not 0 <= value <= MOST_USD:
            yield f"{key} {value:g} is not within 0 and {MOST_USD:,.0f} dollars"
            sound = False
    if sound and "usd" in table:
        usd = table["usd"]
        low, high = table.get("low", usd), table.get("high", usd)
        if not low <= usd <= high:
            yield f"usd {usd:g} does not lie between low {low:g} and high {high:g}"
    above = table.get("above_tokens", 0)
    if isinstance(above, bool) or not isinstance(above, int) or not 0 <= above <= MOST_TOKENS:
        yield f"above_tokens {above!r} is no whole number from 0 to {MOST_TOKENS:,}"


def _date_faults(table: Mapping[str, Any], *, today: date | None) -> Iterator[str]:
    sound = True
    for key in _DATES:
        value = table.get(key)
        if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
            yield f"{key} {value!r} is no day: write it bare, as {key} = 2026-11-21"
            sound = False
    if not sound:
        return
    since, until, seen = table.get("since"), table.get("until"), table.get("seen")
    if since and until and since > until:
        yield f"since {since} comes after until {until}"
    if today and seen and seen > today:
        yield f"seen {seen} lies ahead of today, {today}"


def _price(table: Mapping[str, Any], *, mark: Mark) -> Price:
    usd = float(table["usd"])
    return Price(
        item=table["item"],
        usd=usd,
        low_usd=float(table.get("low", usd)),
        high_usd=float(table.get("high", usd)),
        unit=table["unit"],
        seller=table.get("seller", ""),
        source=table.get("source", ""),
        mark=mark,
        seen=table["seen"],
        since=table.get("since"),
        until=table.get("until"),
        above_tokens=table.get("above_tokens", 0),
        note=table.get("note", ""),
    )


def _clashes(prices: Sequence[Price]) -> Iterator[str]:
    """Yield where two rows of an item would hold on one day, or have different units."""
    tiers: dict[tuple[str, int], list[Price]] = {}
    units: dict[str, str] = {}
    for one in prices:
        tiers.setdefault((fold(one.item), one.above_tokens), []).append(one)
        unit = units.setdefault(fold(one.item), one.unit)
        if unit != one.unit:
            yield f"{one.item} is priced in {unit} and in {one.unit}: keep one unit"
    for (_, above), rows in tiers.items():
        rows.sort(key=lambda one: one.since or date.min)
        for earlier, later in pairwise(rows):
            if (earlier.until or date.max) >= (later.since or date.min):
                tier = f" above {above:,} tokens" if above else ""
                yield (
                    f"{later.item}{tier}: the rows {period(earlier)} and {period(later)} overlap: "
                    "end the earlier one with `until`, or remove one"
                )


def price_json(price: Price) -> dict[str, Any]:
    """Return a row as JSON fields; days as text."""
    fields = asdict(price)
    return {key: str(value) if isinstance(value, date) else value for key, value in fields.items()}


def period(price: Price) -> str:
    """Return the days on which a row holds, in words."""
    if price.since and price.until:
        return f"{price.since} to {price.until}"
    if price.since:
        return f"from {price.since}"
    return f"to {price.until}" if price.until else "always"
