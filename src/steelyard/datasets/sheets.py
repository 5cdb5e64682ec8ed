"""A table as a spreadsheet saves it, its first line naming the columns → rows as of JSON lines."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steelyard.datasets.ledger import Ledger, Place
from steelyard.datasets.lines import Row, read_text

ENDINGS = (".csv", ".tsv")
SEPARATORS = "\t;,"  # the one that the first line has most of; spreadsheets write each
SEVERAL = ("answers", "documents", "evidence", "spans", "history")  # cells that may hold a list
BETWEEN = " | "
FLAGS = ("answerable", "is_impossible")
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def is_sheet(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(ENDINGS)


def read_sheet(path: Path, ledger: Ledger) -> Iterator[Row]:
    """Yield the table's rows without their empty cells; a row that is too wide is a fault."""
    text = read_text(path, ledger)
    first = text.lstrip().partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            ledger.fault(Place(path.name, begins), f"is no row of a table: {error}")
            return
        if cells is None:
            return
        place = Place(path.name, reader.line_num)
        if None in cells:
            ledger.fault(place, "has more cells than the first line has names; quote its commas")
            continue
        fields = {
            name.strip().lower(): cell for name, cell in cells.items() if cell and cell.strip()
        }
        yield Row(place, {name: _value(name, cell) for name, cell in fields.items()})


def _value(name: str, cell: str) -> Any:
    """Return what a cell means: JSON where it is written so, several texts, a flag, or a text."""
    if name in FLAGS:
        return WORDS.get(cell.strip().lower(), cell)
    if cell.lstrip()[:1] in ("[", "{") and (name in SEVERAL or name == "relevant"):
        try:
            return json.loads(cell)
        except ValueError:
            return cell  # brackets that are not JSON's
    if name in SEVERAL and BETWEEN in cell:
        return [part.strip() for part in cell.split(BETWEEN)]
    return cell
