"""Rows and columns as text that a search finds by column name: CSV, TSV, and others' tables."""

import csv
import io
from collections.abc import Iterable, Sequence

from steelyard.core.documents import BlockKind
from steelyard.parse.draft import Composer, Draft, one_line

_DELIMITERS = ",;\t|"
_MAX_PIPE_ROWS = 12  # a longer table outgrows a chunk, and its header would stay behind
_ROWS_PER_BLOCK = 50
_SAMPLE_LINES = 30
_FIELD_CHARS = 1 << 28

csv.field_size_limit(_FIELD_CHARS)

Row = Sequence[str]


def parse(text: str, *, delimiter: str | None = None) -> Draft:
    """Return one line `column: value; column: value` for each row, 50 rows a block.

    The delimiter is the one that cuts the first lines most evenly. Without a header row the
    values stand alone.
    """
    rows = read_rows(text, delimiter or guess_delimiter(text))
    composer = Composer()
    add_records(composer, rows)
    header = rows[0] if rows and _has_header(rows) else []
    columns = [one_line(cell) for cell in header if cell.strip()]
    return composer.draft(metadata={"columns": columns, "rows": max(len(rows) - 1, 0)})


def read_rows(text: str, delimiter: str) -> list[list[str]]:
    """Return the rows that hold anything; quotes that never close cost their line only."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        plain = csv.reader(text.split("\n"), delimiter=delimiter, quoting=csv.QUOTE_NONE)
        rows = list(plain)
    return [row for row in rows if any(cell.strip() for cell in row)]


def guess_delimiter(text: str) -> str:
    """Return the delimiter that most of the first lines agree on; a comma if none does."""
    lines = [line for line in text[:65536].split("\n")[:_SAMPLE_LINES] if line.strip()]
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        counts = [line.count(delimiter) for line in lines]
        usual = max(set(counts), key=counts.count) if counts else 0
        score = usual and counts.count(usual) / len(counts) * (1 + min(usual, 50) / 1000)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def add_table(composer: Composer, rows: Sequence[Row], *, page: int | None = None) -> None:
    """Append a table whole: as pipe rows if short, as `column: value` lines if long."""
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if len(rows) > _MAX_PIPE_ROWS and _has_header(rows):
        add_records(composer, rows, page=page)
        return
    lines = [f"| {' | '.join(one_line(cell).replace('|', '/') for cell in row)} |" for row in rows]
    if len(lines) > 1 and len(rows[0]) > 1:
        lines.insert(1, "|" + " --- |" * len(rows[0]))
    composer.add(BlockKind.TABLE, "\n".join(lines), page=page)


def add_records(composer: Composer, rows: Sequence[Row], *, page: int | None = None) -> None:
    """Append one line for each row, each readable alone."""
    if not rows:
        return
    with_header = _has_header(rows)
    header = [one_line(cell) for cell in rows[0]] if with_header else []
    body = rows[1:] if with_header else rows
    if not body:
        composer.add(BlockKind.TABLE, "; ".join(header), page=page)
    for start in range(0, len(body), _ROWS_PER_BLOCK):
        lines = (_record(header, row) for row in body[start : start + _ROWS_PER_BLOCK])
        composer.add(BlockKind.TABLE, "\n".join(line for line in lines if line), page=page)


def _record(header: Row, row: Row) -> str:
    return "; ".join(_cells(header, row))


def _cells(header: Row, row: Row) -> Iterable[str]:
    for index, cell in enumerate(row):
        value = one_line(cell)
        name = header[index] if index < len(header) else ""
        if value:
            yield f"{name}: {value}" if name else value


def _has_header(rows: Sequence[Row]) -> bool:
    """Tell whether the first row names columns: distinct words, no numbers, nearly all filled."""
    names = [cell.strip() for cell in rows[0]]
    filled = [name for name in names if name]
    if len(rows) < 2 or not filled or len(filled) < 0.6 * max(map(len, rows[:20])):
        return False
    return len(set(filled)) == len(filled) and not any(_is_number(name) for name in filled)


def _is_number(text: str) -> bool:
    digits = text.strip(" +-$€£%").replace(",", "").replace(".", "").replace("/", "")
    return digits.isdigit() and not (len(digits) == 4 and digits[:2] in ("19", "20"))
