"""One training row as a person reads it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape

from steelyard.cli import show
from steelyard.core.training import (
    Chat,
    Labelled,
    Preference,
    Reading,
    Retrieval,
    TrainingRow,
    Turn,
)
from steelyard.datasets.training import Flag, flags_of, row_fields

SHORT_ID = 12
SHOWN_CHARS = 300


def show_row(sha256: str, row: TrainingRow, *, split: str = "", whole: bool = False) -> None:
    """Print a row: what is asked, what is learnt, where it is from, what is private in it."""
    head = " ".join(filter(None, (sha256[:SHORT_ID], split, row.kind.value)))
    show.out.print(f"[dim]{escape(head)}[/]")
    for name, text in _parts(row):
        line = text if whole else _short(text)
        show.out.print(f"  [bold]{escape(name)}[/] {escape(line)}")
    if said := _from(row):
        show.out.print(f"  [dim]{escape(said)}[/]")
    for flag in flags_of(row):
        show.out.print(f"  [yellow]private:[/] {escape(_private(flag))}")


def row_json(sha256: str, row: TrainingRow, *, split: str = "") -> dict[str, Any]:
    private = [{"field": one.field, "what": one.found.what} for one in flags_of(row)]
    return {"row": sha256, "split": split, **row_fields(row), "private": private}


def _parts(row: TrainingRow) -> Iterator[tuple[str, str]]:
    match row.example:
        case Chat(turns, _):
            yield from _said(turns)
        case Preference(turns, preferred, rejected, _):
            yield from _said(turns)
            yield from (("preferred:", turn.content) for turn in preferred)
            yield from (("to this:", turn.content) for turn in rejected)
        case Retrieval(query, positives, negatives):
            yield "query:", query
            yield from (("+", text) for text in positives)
            yield from (("-", text) for text in negatives)
        case Reading(question, context, answers, title):
            yield "question:", question
            yield from (("answer:", span.text) for span in answers)
            if not answers:
                yield "answer:", "none: the text does not tell"
            start = max(0, answers[0].start - SHOWN_CHARS // 2) if answers else 0
            yield f"in {title}:" if title else "in:", context[start:]
        case Labelled(text, label):
            yield f"{label}:", text


def _said(turns: Sequence[Turn]) -> Iterator[tuple[str, str]]:
    for turn in turns:
        calls = "; ".join(f"{call.name}({call.arguments})" for call in turn.tool_calls)
        ignored = " (not learnt)" if turn.role == "assistant" and not turn.weight else ""
        yield f"{turn.role}{ignored}:", turn.content or calls


def _from(row: TrainingRow) -> str:
    where = row.provenance
    at = "" if where.at is None else f"{datetime.fromtimestamp(where.at, UTC):%Y-%m-%d %H:%M}"
    place = f"{where.file}:{where.line}" if where.file else where.id
    known = (where.origin, place, ", ".join(where.documents), where.user, at, where.licence)
    return " | ".join(part for part in known if part)


def _private(flag: Flag) -> str:
    return f"field {flag.field!r}, {flag.found.what}"


def _short(text: str) -> str:
    """Return a text on one line, both its ends if it is long."""
    line = " ".join(text.split())
    if len(line) <= SHOWN_CHARS:
        return line
    half = SHOWN_CHARS // 2
    return f"{line[:half]} … {line[-half:]}"
