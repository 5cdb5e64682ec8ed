"""Facts of tables: a row's name, a column's name, and the cell where they meet."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from steelyard.core.documents import BlockKind, Document
from steelyard.datasets.facts import Fact, Line, asked_about, is_name, is_value, label, plain

KIND = "table"
_SEPARATOR = re.compile(r"^[\s|:+-]+$")
_PAIR = re.compile(r"(?:^|; )([^:;|]{1,40}): ")
# A first column so called holds names of attributes; the other columns are the things.
_PROPERTY = frozenset({"property", "attribute", "characteristic", "parameter", "feature", ""})
_TELLING = frozenset({"description", "type", "default", "meaning", "required", "notes", "example"})
_ROLES = frozenset({"role", "position", "function", "office", "title", "job"})
_MIN_SHARE = 0.8  # of a first column's cells that must be distinct to name their rows


@dataclass(frozen=True, slots=True)
class Row:
    """`name` is the first cell; `cells` are the others by their column."""

    name: str
    cells: dict[str, str]
    line: Line


@dataclass(frozen=True, slots=True)
class Table:
    """`first` names the rows' column. `transposed`: rows are attributes, columns are things."""

    rows: tuple[Row, ...]
    first: str
    transposed: bool


def tables_of(document: Document) -> Iterator[Table]:
    """Yield the tables whose columns have names and whose rows do."""
    for block in document.blocks:
        if block.kind is BlockKind.TABLE:
            lines = _lines(document.text, block.start, block.end)
            table = _piped(lines) or _paired(lines)
            if table and _named(table):
                yield table


def facts(document: Document) -> Iterator[Fact]:
    """Yield a fact for each cell that answers a question which a person would ask."""
    for table in tables_of(document):
        for row in table.rows:
            for column, cell in row.cells.items():
                asked = question(table, row.name, column)
                if asked and is_value(cell):
                    thing, attribute = _sides(table, row.name, column)
                    yield Fact(KIND, asked, (cell,), row.line.start, row.line.end, thing, attribute)


def question(table: Table, row: str, column: str) -> str:
    """Return what a cell answers; "": nothing that a person would ask."""
    thing, attribute = _sides(table, row, column)
    if not is_name(thing) or len(attribute.split()) > 5 or " for " in attribute:
        return ""
    if attribute == "name" and table.first in _ROLES:
        return f"Who is the {thing}?"
    return asked_about(attribute, thing)


def _sides(table: Table, row: str, column: str) -> tuple[str, str]:
    """Return the thing and the attribute that meet in a cell."""
    return (plain(column), label(row)) if table.transposed else (row, label(column))


def _lines(text: str, start: int, end: int) -> list[Line]:
    found = []
    for raw in text[start:end].split("\n"):
        if raw.strip():
            found.append(Line(raw.strip(), start, start + len(raw.rstrip())))
        start += len(raw) + 1
    return found


def _piped(lines: list[Line]) -> Table | None:
    """Read `| a | b |` lines; a first line with a single filled cell is a caption."""
    rows = [
        (_cells(line.text), line)
        for line in lines
        if line.text.startswith("|") and not _SEPARATOR.match(line.text)
    ]
    while rows and sum(bool(cell) for cell in rows[0][0]) < 2:
        rows.pop(0)
    if len(rows) < 2:
        return None
    header = rows[0][0]
    if len(set(header)) < len(header):
        return None
    body = tuple(
        Row(cells[0], dict(zip(header[1:], cells[1:], strict=True)), line)
        for cells, line in rows[1:]
        if len(cells) == len(header)
    )
    first = header[0].lower()
    return Table(body, first, first in _PROPERTY and not any(map(_says_what, header[1:])))


def _says_what(column: str) -> bool:
    """Tell whether a column tells something of each property, so that it is no thing itself."""
    name = label(column)
    return bool(asked_about(name, "it")) or name in _TELLING


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [plain(cell.replace("\\|", "|")) for cell in re.split(r"(?<!\\)\|", inner)]


def _paired(lines: list[Line]) -> Table | None:
    """Read `key: value; key: value` lines, which is what a CSV file becomes."""
    counted = Counter(key for line in lines for key in set(_PAIR.findall(line.text)))
    keys = {key for key, times in counted.items() if times >= max(2, len(lines) // 2)}
    if len(keys) < 2:
        return None
    body: list[Row] = []
    first = ""
    for line in lines:
        found = [match for match in _PAIR.finditer(line.text) if match[1] in keys]
        ends = [*(match.start() for match in found[1:]), len(line.text)]
        cells = [
            (match[1], line.text[match.end() : end].strip())
            for match, end in zip(found, ends, strict=True)
        ]
        if cells:
            first = first or cells[0][0].lower()
            missing = dict.fromkeys(sorted(keys - {key for key, _ in cells}), "")
            body.append(Row(cells[0][1], dict(cells[1:]) | missing, line))
    return Table(tuple(body), first, transposed=False)


def _named(table: Table) -> bool:
    names = {row.name for row in table.rows}
    return len(names) >= _MIN_SHARE * len(table.rows) and any(map(is_name, names - {""}))
