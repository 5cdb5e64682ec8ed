"""What people decided about a set's questions: one JSON line each, only ever appended."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from steelyard.core.errors import InputError
from steelyard.datasets.ledger import Ledger
from steelyard.datasets.lines import read_rows
from steelyard.datasets.rows import RowReader
from steelyard.infra.files import explained

FILE = "decisions.jsonl"


class Verdict(StrEnum):
    """What became of a question; `PENDING` takes an earlier decision back."""

    PENDING = "pending"
    ACCEPT = "accept"
    EDIT = "edit"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Decision:
    """`question`, `answers` and `answerable` are those of an edit; None leaves what was there."""

    id: str
    verdict: Verdict
    by: str = ""
    at: float = 0.0
    question: str | None = None
    answers: tuple[str, ...] | None = None
    answerable: bool | None = None


def under_review(folder: Path) -> bool:
    """Tell whether only decided questions of the folder are to be asked."""
    return (folder / FILE).is_file()


def read_decisions(folder: Path) -> dict[str, Decision]:
    """Return the newest decision on each question; a line that a crash tore is left out.

    Raises:
        InputError: the file was changed by hand into something else.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    ledger = Ledger()
    found = {one.id: one for one in _decisions(path, ledger)}
    if not path.read_bytes().endswith(b"\n") and ledger.num_faults == 1:
        return found  # the last line, half written
    ledger.check(str(path))
    return found


def append_decision(folder: Path, decision: Decision) -> None:
    """Write a decision down; once this returns, a crash cannot undo it.

    What a crash left of a half written one before it goes. One writer at a time.
    """
    row = {key: value for key, value in asdict(decision).items() if value is not None}
    line = json.dumps(row | {"at": round(decision.at or time.time(), 3)}, ensure_ascii=False)
    path = folder / FILE
    with explained(path), path.open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(line.encode("utf-8") + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _decisions(path: Path, ledger: Ledger) -> Iterator[Decision]:
    for row in read_rows(path, ledger):
        reader = RowReader(row, ledger)
        identity = reader.identity(("id",))
        name = reader.string(("verdict",)) or ""
        if name not in set(Verdict):
            reader.fault("verdict", f"must be one of {', '.join(Verdict)}, not {name!r}")
        answers = row.fields.get("answers")
        found = None if answers is None else tuple(reader.strings("answers"))
        if reader.sound and identity is not None:
            yield Decision(
                id=identity,
                verdict=Verdict(name),
                by=reader.string(("by",)) or "",
                at=float(row.fields.get("at") or 0.0) if _is_time(row.fields.get("at")) else 0.0,
                question=reader.string(("question",)),
                answers=found,
                answerable=reader.flag("answerable"),
            )


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_edit(decision: Decision) -> None:
    """Refuse an edit that says nothing, or an answer to what cannot be answered.

    Raises:
        InputError: says which part to give.
    """
    parts = (decision.question, decision.answers, decision.answerable)
    if decision.verdict is not Verdict.EDIT:
        if any(part is not None for part in parts):
            raise InputError(f"{decision.verdict} changes nothing; use edit to give new words")
        return
    if all(part is None for part in parts):
        raise InputError("an edit needs a new question, an answer, or that it is unanswerable")
    if decision.question is not None and not decision.question.strip():
        raise InputError("the new question is empty; reject it instead")
    if decision.answers is not None and not all(one.strip() for one in decision.answers):
        raise InputError("an answer is empty; leave it out")
    if decision.answers and decision.answerable is False:
        raise InputError("an unanswerable question has no answers; give one or the other")
