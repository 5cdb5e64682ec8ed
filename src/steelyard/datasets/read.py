"""Any usual form of a question set → one `QuestionSet`, its faults counted or refused."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Question, QuestionSet
from steelyard.datasets.decisions import under_review
from steelyard.datasets.draft import Draft, read_draft
from steelyard.datasets.gold import Gold
from steelyard.datasets.identity import content_id
from steelyard.datasets.layouts import lay_out
from steelyard.datasets.ledger import Ledger
from steelyard.datasets.review import decided
from steelyard.datasets.rows import DraftQuestion


def read_set(
    path: str | Path,
    *,
    part: str = "",
    limit: int | None = None,
    seed: int = 0,
    unreviewed: bool = False,
) -> QuestionSet:
    """Return the question set of a folder or a file; see docs/data.md for the forms.

    `part` keeps one BEIR part, or the questions of one `split` or `type`. `limit` keeps a sample
    that depends on `seed` and the questions' ids alone, in the set's order; documents all stay.
    Of a set under review only what was accepted is read, with `unreviewed` what is pending too.

    Raises:
        InputError: nothing to read, or rows with which a result would lie: all faults at once.
    """
    where = Path(path)
    if limit is not None and limit < 1:
        raise InputError(f"a limit of {limit} questions leaves none; give at least 1")
    ledger = Ledger()
    draft = read_draft(lay_out(where), ledger, part=part)
    gold = Gold(draft, ledger)
    ledger.check(str(where))
    draft = _decided(draft, where, ledger, unreviewed=unreviewed)
    kept = draft.questions if draft.judged_only else _of_part(draft.questions, part, where)
    questions = [gold.question(one) for one in kept]
    if draft.judged_only:
        questions = _judged(questions, ledger)
    if not questions:
        raise InputError(f"{where} has no question left to ask; write one a line")
    chosen = _sample(questions, limit, seed)
    return QuestionSet(
        name=_name(where, part),
        id=content_id(chosen, draft.documents),
        questions=tuple(chosen),
        documents=draft.documents,
        notes=ledger.notes(),
    )


def _decided(draft: Draft, where: Path, ledger: Ledger, *, unreviewed: bool) -> Draft:
    folder = where if where.is_dir() else where.parent
    if draft.documents or not under_review(folder):
        return draft
    kept = decided(draft.questions, folder, unreviewed=unreviewed)
    if draft.questions and not kept:
        raise InputError(
            f"none of the {len(draft.questions)} questions of {folder.name!r} is accepted yet: "
            f"run `steelyard data review {folder.name}`, or take them --unreviewed"
        )
    if left := len(draft.questions) - len(kept):
        ledger.note(f"{left:,} of {len(draft.questions):,} questions are rejected or undecided")
    return replace(draft, questions=tuple(kept))


def _of_part(questions: Sequence[DraftQuestion], part: str, where: Path) -> Sequence[DraftQuestion]:
    if not part:
        return questions
    kept = [one for one in questions if part in (one.split, one.type)]
    if not kept:
        there = sorted({name for one in questions for name in (one.split, one.type) if name})
        raise InputError(f"{where} has no part {part!r}; it has {', '.join(there[:20]) or 'none'}")
    return kept


def _judged(questions: Sequence[Question], ledger: Ledger) -> list[Question]:
    kept = [one for one in questions if one.relevant]
    for one in questions:
        if not one.relevant:
            ledger.count("questions without a judgement in this part were left out", one.id)
    return kept


def _sample(questions: Sequence[Question], limit: int | None, seed: int) -> Sequence[Question]:
    if limit is None or limit >= len(questions):
        return questions

    def rank(question: Question) -> bytes:
        return hashlib.sha256(f"{seed}\0{question.id}".encode()).digest()

    chosen = {one.id for one in sorted(questions, key=rank)[:limit]}
    return [one for one in questions if one.id in chosen]


def _name(where: Path, part: str) -> str:
    path = where.resolve()
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".json")
    if stem in ("questions", "queries"):  # says nothing: its folder does
        stem = path.parent.name or stem
    return f"{stem}/{part}" if part else stem
