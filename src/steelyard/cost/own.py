"""The user's own rows: `prices.toml` in the home."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from steelyard.core.errors import SetupError
from steelyard.core.prices import Price
from steelyard.cost.rows import fold, read_own

FILE_NAME = "prices.toml"


def own_rows(home: Path, *, units: Mapping[str, str]) -> tuple[Price, ...]:
    """Return the rows of a home's `prices.toml`; () without the file.

    `units` are those of our rows, by the folded item: a row in another one would be multiplied
    wrongly.

    Raises:
        SetupError: the file cannot be read, or rows are wrong; all of them at once.
    """
    path = home / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise SetupError(f"{path} cannot be read: {error}; repair or remove the file") from error
    rows = read_own(text, today=date.today())
    faults = [
        *rows.faults,
        *(
            f"{one.item}: its unit is {units[fold(one.item)]}, not {one.unit}"
            for one in rows.prices
            if units.get(fold(one.item), one.unit) != one.unit
        ),
    ]
    if faults:
        raise SetupError(
            f"{path} is wrong:\n  " + "\n  ".join(faults) + "\nedit the file, then run "
            "`steelyard prices check`"
        )
    return rows.prices
