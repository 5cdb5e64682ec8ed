"""Judgements of documents: `qrels` of three columns with a header, or TREC's four without."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from steelyard.datasets.ledger import Ledger, Place, shown
from steelyard.datasets.lines import read_lines, read_rows
from steelyard.datasets.rows import RowReader

MAX_GRADE = 1_000_000


@dataclass(frozen=True, slots=True)
class Judgement:
    place: Place
    question_id: str
    document_id: str
    grade: int


def read_judgements(path: Path, ledger: Ledger) -> Iterator[Judgement]:
    """Yield the judgements of a file; malformed lines become faults.

    A line with a tab is cut at tabs, any other at white space. Four columns are TREC's, the
    second of them unused. Grades below 0 (TREC's junk) count as 0: judged, not relevant.
    """
    first = True
    for place, line in read_lines(path, ledger):
        columns = line.strip("\n").split("\t") if "\t" in line.strip() else line.split()
        columns = [column.strip() for column in columns]
        if len(columns) == 4:
            columns = [columns[0], *columns[2:]]
        header, first = first and len(columns) == 3 and _is_header(columns[2]), False
        if header:
            continue
        if len(columns) != 3 or not all(columns):
            ledger.fault(place, f"must have 3 or 4 columns, not {shown(line)}")
            continue
        grade = grade_of(columns[2], ledger, place)
        if grade is not None:
            yield Judgement(place, columns[0], columns[1], grade)


def read_document_judgements(path: Path, ledger: Ledger) -> Iterator[Judgement]:
    """Yield judgements of whole documents, by the name that is the title of their pages."""
    for row in read_rows(path, ledger):
        reader = RowReader(row, ledger)
        question = reader.identity(("query_id", "question_id"))
        document = reader.identity(("doc_name", "doc_id"))
        grade = grade_of(json.dumps(row.fields.get("relevance", 1)), ledger, row.place)
        if question is not None and document is not None and grade is not None:
            yield Judgement(row.place, question, document, grade)


def grade_of(text: str, ledger: Ledger, place: Place) -> int | None:
    """Return a grade as a whole number from 0; None: it is none, and the ledger says so."""
    number = _number(text)
    if number is None or not math.isfinite(number) or number > MAX_GRADE:
        ledger.fault(place, f"field 'relevance' must be a whole number, not {shown(text)}")
        return None
    if number != int(number):
        ledger.fault(
            place, f"field 'relevance' is {text}: round it as you mean it, grades are whole numbers"
        )
        return None
    if number < 0:
        ledger.count("judgements with a grade below 0 count as 0", place)
    elif not text.isdigit():
        ledger.count("grades written with a decimal point were read as whole numbers", place)
    return max(0, int(number))


def _is_header(column: str) -> bool:
    return column.replace("-", "_").isidentifier() and _number(column) is None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
