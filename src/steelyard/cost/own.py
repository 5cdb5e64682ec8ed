"""The user's own rows: `prices.toml` in the home, read, added to and taken from."""

import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError, NotFound, SetupError
from steelyard.core.prices import Price
from steelyard.cost.rows import Rows, fold, read_own
from steelyard.infra.files import explained, make_folder, write_atomic

FILE_NAME = "prices.toml"
_HEAD = "# Prices of our own, which win over the built-in ones: see `steelyard prices --help`.\n"
_ROW = re.compile(r"^[ \t]*\[\[[ \t]*price[ \t]*\]\]", re.MULTILINE)


def own_rows(home: Path, *, units: Mapping[str, str]) -> tuple[Price, ...]:
    """Return the rows of a home's `prices.toml`; () without the file.

    `units` are those of our rows, by the folded item: a row in another one would be multiplied
    wrongly.

    Raises:
        SetupError: the file cannot be read, or rows are wrong; all of them at once.
    """
    rows = _checked(_text(home), units)
    if rows.faults:
        raise SetupError(
            f"{home / FILE_NAME} is wrong:\n  " + "\n  ".join(rows.faults) + "\nedit the file, "
            "then run `steelyard prices check`"
        )
    return rows.prices


def add_row(home: Path, row: Mapping[str, Any], *, units: Mapping[str, str]) -> Price:
    """Append a row, given by the keys of the file, and return it; the rest stays as it is.

    Raises:
        InputError: the row is wrong, or holds on a day on which another one does.
        SetupError: the file is wrong as it is, or cannot be written.
    """
    before = own_rows(home, units=units)
    lines = [f"{key} = {_toml(value)}" for key, value in row.items() if value is not None]
    text = _text(home) or _HEAD
    text = f"{text.rstrip()}\n\n[[price]]\n" + "\n".join(lines) + "\n"
    rows = _checked(text, units)
    if rows.faults:
        place = f"price {len(before) + 1} ({row['item']}): "
        raise InputError("; ".join(one.removeprefix(place) for one in rows.faults))
    make_folder(home)
    with explained(home / FILE_NAME):
        write_atomic(home / FILE_NAME, text.encode())
    return rows.prices[-1]


def remove_rows(home: Path, item: str, *, units: Mapping[str, str]) -> tuple[Price, ...]:
    """Take all rows of an item out of the file, and return them; the rest stays as it is.

    Raises:
        NotFound: the file has no row of the item.
        SetupError: the file is wrong as it is, or written in a way that we do not edit.
    """
    before = own_rows(home, units=units)
    gone = tuple(one for one in before if fold(one.item) == fold(item))
    if not gone:
        own = ", ".join(sorted({one.item for one in before})) or "nothing yet"
        raise NotFound(f"{home / FILE_NAME} has no row of {item!r}; it prices {own}")
    text = _text(home)
    starts = [found.start() for found in _ROW.finditer(text)]
    pieces = [text[start:end] for start, end in zip(starts, [*starts[1:], None], strict=False)]
    kept = [piece for piece, one in zip(pieces, before, strict=False) if one not in gone]
    after = "".join((text[: starts[0]], *kept)) if starts else ""
    rest = Rows(tuple(one for one in before if one not in gone))
    if len(starts) != len(before) or _checked(after, units) != rest:
        raise SetupError(f"{home / FILE_NAME} is written too freely to edit; remove the rows there")
    with explained(home / FILE_NAME):
        write_atomic(home / FILE_NAME, after.encode())
    return gone


def _text(home: Path) -> str:
    path = home / FILE_NAME
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise SetupError(f"{path} cannot be read: {error}; repair or remove the file") from error


def _checked(text: str, units: Mapping[str, str]) -> Rows:
    rows = read_own(text, today=date.today())
    strange = tuple(
        f"{one.item}: its unit is {units[fold(one.item)]}, not {one.unit}"
        for one in rows.prices
        if units.get(fold(one.item), one.unit) != one.unit
    )
    return Rows(faults=rows.faults + strange) if strange or rows.faults else rows


def _toml(value: object) -> str:
    """Return a text, number or day as TOML has it."""
    if isinstance(value, date):
        return value.isoformat()
    # JSON's strings are TOML's; its numbers too, but for what is none, which the reader refuses.
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")
