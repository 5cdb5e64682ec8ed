"""The review queue: what was made for a set and waits for a person, and what came of it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError, NotFound
from steelyard.core.evaluation import Question
from steelyard.core.words import fold
from steelyard.datasets.decisions import (
    FILE,
    Decision,
    Verdict,
    append_decision,
    check_edit,
    read_decisions,
    under_review,
)
from steelyard.datasets.draft import read_questions
from steelyard.datasets.ledger import Ledger
from steelyard.datasets.lines import read_rows
from steelyard.datasets.rows import DraftQuestion
from steelyard.datasets.write import question_row, write_rows
from steelyard.infra.files import FileLock, make_folder, write_atomic

QUESTIONS = "questions.jsonl"
FOLDER = "questions"  # of a home: one folder a set
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOCK = ".lock"
_LOCK_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A question as the decision on it left it. `quotes` are its gold words, `source` where they
    are from, `note` what a person said when it came up."""

    id: str
    question: str
    answers: tuple[str, ...]
    answerable: bool | None
    verdict: Verdict
    type: str
    origin: str
    source: str
    quotes: tuple[str, ...]
    note: str
    by: str
    has_gold: bool


@dataclass(frozen=True, slots=True)
class SetSummary:
    """A set of a home and how many of its questions stand where."""

    name: str
    path: Path
    num_questions: int
    by_verdict: Mapping[Verdict, int]


@dataclass(frozen=True, slots=True)
class Made:
    """A question to be added: where it is from and why, for who reviews it."""

    question: Question
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Added:
    """How many questions were new, and how many the set had already."""

    path: Path
    num_added: int
    num_known: int


def set_folder(home: Path, name: str) -> Path:
    """Return where a home keeps the set of that name.

    Raises:
        InputError: no name for a folder.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is no name for a set: use up to 64 letters, digits, '.', '_' or '-'"
        )
    return home / FOLDER / name


def find_set(home: Path, place: str) -> Path:
    """Return the folder or file that `place` names: a path, or the name of a home's set.

    Raises:
        NotFound: neither is there; names the sets of the home.
    """
    path = Path(place)
    if path.exists():
        return path
    if NAME.fullmatch(place) and (home / FOLDER / place / QUESTIONS).is_file():
        return home / FOLDER / place
    there = ", ".join(file.parent.name for file in sorted((home / FOLDER).glob(f"*/{QUESTIONS}")))
    raise NotFound(
        f"no question set {place!r}: it is no path, and this home keeps {there or 'none'}"
    )


def is_set(home: Path, place: str) -> bool:
    """Tell whether `place` names a path or a home's set."""
    try:
        find_set(home, place)
    except NotFound:
        return False
    return True


def list_sets(home: Path) -> tuple[SetSummary, ...]:
    """Return the sets that a home keeps, by name.

    Raises:
        InputError: the questions of one cannot be read.
    """
    folders = sorted((home / FOLDER).glob(f"*/{QUESTIONS}"))
    return tuple(_summary(file.parent) for file in folders)


def add_questions(folder: Path, made: Sequence[Made]) -> Added:
    """Add questions to a set under review; one that asks the same as a known one is left out.

    Decisions stay as they are. Either all are added or, after a crash, none.
    """
    make_folder(folder)
    with locked(folder):
        known = [row.fields for row in _rows(folder)]
        ids = {str(row.get("id")) for row in known}
        asked = {fold(str(row.get("question"))) for row in known}
        new: list[dict[str, Any]] = []
        for one in made:
            text = fold(one.question.text)
            if one.question.id not in ids and text not in asked:
                ids.add(one.question.id)
                asked.add(text)
                new.append(_made_row(one))
        if not under_review(folder):
            write_atomic(folder / FILE, b"")
        if new or not known:
            write_rows(folder / QUESTIONS, [*known, *new])
    return Added(folder, len(new), len(made) - len(new))


def queue(folder: Path) -> tuple[ReviewItem, ...]:
    """Return every question of a set with its verdict, in the order it was made.

    Raises:
        NotFound: there is no set.
        InputError: its files cannot be read.
    """
    decisions = read_decisions(folder)
    ledger = Ledger()
    rows = _rows(folder)
    if not rows and not (folder / QUESTIONS).is_file():
        raise NotFound(
            f"no question set at {str(folder)!r}; make one by `steelyard data questions`"
        )
    drafts = read_questions(iter(rows), ledger)
    ledger.check(str(folder / QUESTIONS))
    extra = {str(row.fields.get("id", f"q{n}")): row.fields for n, row in enumerate(rows, start=1)}
    return tuple(_item(draft, decisions.get(draft.id), extra.get(draft.id, {})) for draft in drafts)


def decide(folder: Path, decision: Decision) -> ReviewItem:
    """Write one decision down and return the question as it then is.

    Raises:
        NotFound: the set has no such question.
        InputError: an edit that says nothing, or accepting what has no gold to measure by.
    """
    check_edit(decision)
    with locked(folder):
        items = {item.id: item for item in queue(folder)}
        if decision.id not in items:
            raise NotFound(f"{folder.name!r} has no question {decision.id!r}")
        before = items[decision.id]
        golden = before.has_gold or decision.answers or decision.answerable is False
        if decision.verdict in (Verdict.ACCEPT, Verdict.EDIT) and not golden:
            raise InputError(
                f"{decision.id!r} has no gold to measure by: edit it and give an answer, or say "
                "that it is unanswerable"
            )
        append_decision(folder, decision)
    return next(item for item in queue(folder) if item.id == decision.id)


def decided(
    drafts: Sequence[DraftQuestion], folder: Path, *, unreviewed: bool
) -> list[DraftQuestion]:
    """Return the questions that may be asked, as they were edited; those of origin `gold` may
    be, unless they were rejected. `unreviewed` keeps the others on which nobody decided too, if
    they have gold.
    """
    decisions = read_decisions(folder)
    kept = []
    for draft in drafts:
        decision = decisions.get(draft.id)
        verdict = _verdict(draft, decision)
        pending = verdict is Verdict.PENDING and unreviewed and _has_gold(draft)
        if pending or verdict in (Verdict.ACCEPT, Verdict.EDIT):
            kept.append(_edited(draft, decision))
    return kept


def _verdict(draft: DraftQuestion, decision: Decision | None) -> Verdict:
    """Return what was decided; what people wrote themselves is accepted until they say no."""
    if decision is not None:
        return decision.verdict
    return Verdict.ACCEPT if draft.origin == "gold" else Verdict.PENDING


def _edited(draft: DraftQuestion, decision: Decision | None) -> DraftQuestion:
    if decision is None or decision.verdict is not Verdict.EDIT:
        return draft
    text = draft.text if decision.question is None else decision.question.strip()
    if decision.answerable is False:
        return replace(
            draft, text=text, answers=(), answerable=False, documents=(), grades={}, spans=()
        )
    if decision.answers:
        return replace(draft, text=text, answers=decision.answers, answerable=True)
    return replace(draft, text=text)


def _item(draft: DraftQuestion, decision: Decision | None, row: Mapping[str, Any]) -> ReviewItem:
    now = _edited(draft, decision)
    return ReviewItem(
        id=now.id,
        question=now.text,
        answers=now.answers,
        answerable=now.answerable,
        verdict=_verdict(draft, decision),
        type=now.type,
        origin=now.origin,
        source=str(row.get("source", "")),
        quotes=tuple(span.text for span in now.spans),
        note=str(row.get("note", "")),
        by=decision.by if decision else "",
        has_gold=_has_gold(now),
    )


def _has_gold(draft: DraftQuestion) -> bool:
    positive = any(grade > 0 for grade in draft.grades.values())
    return bool(draft.answers or draft.documents or positive) or draft.answerable is False


def _made_row(made: Made) -> dict[str, Any]:
    row = question_row(made.question)
    row |= {"source": made.source} if made.source else {}
    return row | ({"note": made.note} if made.note else {})


def _rows(folder: Path) -> list[Any]:
    path = folder / QUESTIONS
    if not path.is_file():
        return []
    ledger = Ledger()
    rows = list(read_rows(path, ledger))
    ledger.check(str(path))
    return rows


def _summary(folder: Path) -> SetSummary:
    counted = dict.fromkeys(Verdict, 0)
    items = queue(folder)
    for item in items:
        counted[item.verdict] += 1
    return SetSummary(folder.name, folder, len(items), counted)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one writer in at a time; readers need no lock, both files change in single steps."""
    lock = FileLock(folder / _LOCK)
    lock.acquire(timeout_s=_LOCK_TIMEOUT_S)
    try:
        yield
    finally:
        lock.release()
