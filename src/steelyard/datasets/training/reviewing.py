"""Training rows before a person: decisions by a row's hash, whichever version holds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard.core.errors import InputError, NotFound
from steelyard.core.training import (
    Chat,
    Labelled,
    Preference,
    Reading,
    Retrieval,
    Span,
    TrainingRow,
    Turn,
)
from steelyard.datasets.decisions import (
    Decision,
    Verdict,
    append_decision,
    check_edit,
    read_decisions,
)
from steelyard.datasets.review import locked
from steelyard.datasets.training.canonical import sha256_of
from steelyard.datasets.training.check import check
from steelyard.datasets.training.versions import (
    FOLDER,
    LEAST_PREFIX,
    IndexedRow,
    Kept,
    Version,
    keep,
    read_index,
    read_kept,
)
from steelyard.infra.files import make_folder

REVIEWED, NOT_REJECTED = "reviewed", "not-rejected"
KEEPS = (REVIEWED, NOT_REJECTED)


@dataclass(frozen=True, slots=True)
class ReviewedRow:
    """A row of a version (`sha256`, `split`), `row` as the decision on it left it."""

    sha256: str
    split: str
    row: TrainingRow
    verdict: Verdict
    by: str = ""


def row_queue(home: Path, version: Version) -> tuple[ReviewedRow, ...]:
    """Return every row of a version with its verdict, in the version's order."""
    decisions = _decisions(home)
    rows = zip(read_index(home, version), read_kept(home, version), strict=True)
    return tuple(_reviewed(one, row, decisions) for one, row in rows)


def decide_rows(
    home: Path, version: Version, decisions: Sequence[Decision]
) -> tuple[ReviewedRow, ...]:
    """Write decisions on rows of a version down, and return these rows as they then are; all of
    them, or none. A row is named by its hash, or by how that begins.

    Raises:
        NotFound: the version has no such row.
        InputError: an edit that says nothing, or that does not fit the row.
    """
    kept = list(zip(read_index(home, version), read_kept(home, version), strict=True))
    wanted = []
    for decision in decisions:
        check_edit(decision)
        indexed, row = _named(decision.id, kept, version)
        whole = replace(decision, id=indexed.sha256)
        _edited(row, whole)
        wanted.append((whole, indexed, row))
    folder = home / FOLDER
    make_folder(folder)
    with locked(folder):
        for decision, _, _ in wanted:
            append_decision(folder, decision)
    now = _decisions(home)
    return tuple(_reviewed(indexed, row, now) for _, indexed, row in wanted)


def keep_reviewed(home: Path, version: Version, which: str, *, name: str = "") -> Kept:
    """Keep a version of what was accepted and edited (`reviewed`), or of all but what was
    rejected (`not-rejected`), each in the split in which it was. What was edited is accepted as
    it now is.

    Raises:
        InputError: no such way, or no row is left.
    """
    if which not in KEEPS:
        raise InputError(f"--keep {which!r} is not one of {', '.join(KEEPS)}")
    left_out = {Verdict.REJECT, *({Verdict.PENDING} if which == REVIEWED else ())}
    chosen = [one for one in row_queue(home, version) if one.verdict not in left_out]
    kept = keep(
        home,
        [one.row for one in chosen],
        name=name or version.name,
        recipe={"verb": "review", "keep": which},
        parents=[version.id],
        splits={sha256_of(one.row): one.split for one in chosen if one.split},
    )
    edits = [one for one in chosen if one.verdict is Verdict.EDIT]
    if edits:
        accepted = [Decision(sha256_of(one.row), Verdict.ACCEPT, one.by) for one in edits]
        decide_rows(home, kept.version, accepted)
    return kept


def _decisions(home: Path) -> Mapping[str, Decision]:
    return read_decisions(home / FOLDER)


def _reviewed(
    indexed: IndexedRow, row: TrainingRow, decisions: Mapping[str, Decision]
) -> ReviewedRow:
    decision = decisions.get(indexed.sha256)
    if decision is None:
        return ReviewedRow(indexed.sha256, indexed.split, row, Verdict.PENDING)
    now = _edited(row, decision)
    return ReviewedRow(indexed.sha256, indexed.split, now, decision.verdict, decision.by)


def _named(
    given: str, kept: Sequence[tuple[IndexedRow, TrainingRow]], version: Version
) -> tuple[IndexedRow, TrainingRow]:
    found = {
        one.sha256: (one, row)
        for one, row in kept
        if len(given) >= LEAST_PREFIX and one.sha256.startswith(given)
    }
    if len(found) > 1:
        raise InputError(f"{given!r} begins the hashes of {len(found)} rows: write more of it")
    for pair in found.values():
        return pair
    raise NotFound(
        f"version {version.name!r} has no row {given!r}; `steelyard data show {version.name}` "
        "shows their hashes"
    )


def _edited(row: TrainingRow, decision: Decision) -> TrainingRow:
    """Return a row with a decision's new words.

    Raises:
        InputError: they do not fit the row.
    """
    if decision.verdict is not Verdict.EDIT:
        return row
    example = _asking(row, decision.question)
    answers = decision.answers
    match example:
        case Reading() if decision.answerable is False:
            example = replace(example, answers=())
        case Reading() if answers:
            example = replace(
                example, answers=tuple(_span(example.context, one) for one in answers)
            )
        case Retrieval() if answers:
            example = replace(example, positives=answers)
        case Labelled() if answers:
            example = replace(example, label=answers[0])
        case Chat() if answers:
            *before, last = example.turns
            example = replace(example, turns=(*before, replace(last, content=answers[0])))
        case Preference() if answers:
            example = replace(example, preferred=(Turn("assistant", answers[0]),))
        case _ if decision.answerable is False:
            raise InputError(f"a row of kind {row.kind} cannot be unanswerable: edit its answer")
    faults: list[str] = []
    check(example, lambda field, problem: faults.append(f"{field} {problem}"))
    if faults:
        raise InputError(f"the row as edited: {'; '.join(faults)}")
    return replace(row, example=example)


def _asking(
    row: TrainingRow, question: str | None
) -> Chat | Preference | Retrieval | Reading | Labelled:
    example = row.example
    if question is None:
        return example
    match example:
        case Reading():
            return replace(example, question=question)
        case Retrieval():
            return replace(example, query=question)
        case Labelled():
            return replace(example, text=question)
        case _:
            raise InputError(
                f"what is asked in a row of kind {row.kind} is a whole prompt: reject the row, or "
                "edit its answer"
            )


def _span(context: str, text: str) -> Span:
    start = context.find(text)
    if start < 0:
        raise InputError(f"{text!r} does not stand in the row's context")
    return Span(text, start)
