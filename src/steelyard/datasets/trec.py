"""TREC's files of runs (six columns) and of judgements (four columns), out and in."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Question, Ranked
from steelyard.datasets.judgements import read_judgements
from steelyard.datasets.ledger import Ledger, shown
from steelyard.datasets.lines import read_lines
from steelyard.infra.files import write_atomic

TAG = "steelyard"
_COLUMNS = 6


def write_run(path: Path, rankings: Mapping[str, Sequence[Ranked]], *, tag: str = TAG) -> None:
    """Write rankings by question id as `question Q0 document rank score tag`, rank 1 first.

    trec_eval sorts by a score of 32 bits and breaks ties by document id, whatever the rank says.
    So a score that does not fall below the one before it is written as the next smaller number
    of 32 bits; every other is written as it is.

    Raises:
        InputError: an id has white space, which this form cannot hold, or a score is no number.
    """
    _check_ids([tag], "the tag")
    lines = []
    for question, ranking in rankings.items():
        _check_ids((question, *(one.document_id for one in ranking)), f"{path}: the id")
        for rank, (one, score) in enumerate(_falling(ranking), start=1):
            lines.append(f"{question} Q0 {one.document_id} {rank} {score} {tag}\n")
    write_atomic(path, "".join(lines).encode("utf-8"))


def read_run(path: Path) -> dict[str, tuple[Ranked, ...]]:
    """Return the rankings of a run, best first: by score as trec_eval does, then by rank.

    Raises:
        InputError: lines that are no run's, or a document ranked twice; all of them at once.
    """
    ledger = Ledger()
    rows: dict[str, dict[str, tuple[float, int]]] = defaultdict(dict)
    for place, line in read_lines(path, ledger):
        columns = line.split()
        score, rank = _number(columns[4:5]), _number(columns[3:4])
        if len(columns) != _COLUMNS or score is None or rank is None:
            ledger.fault(place, f"must be 'question Q0 document rank score tag', not {shown(line)}")
        elif columns[2] in rows[columns[0]]:
            ledger.fault(place, f"ranks {shown(columns[2])} for {shown(columns[0])} a second time")
        else:
            rows[columns[0]][columns[2]] = (-score, int(rank))
    ledger.check(str(path))
    return {
        question: tuple(
            Ranked(document, -found[document][0])
            for document in sorted(found, key=found.get)  # type: ignore[arg-type]
        )
        for question, found in rows.items()
    }


def write_qrels(path: Path, questions: Iterable[Question]) -> None:
    """Write judgements as `question 0 document grade`.

    Raises:
        InputError: an id has white space, which this form cannot hold.
    """
    lines = []
    for question in questions:
        _check_ids((question.id, *question.relevant), f"{path}: the id")
        for document, grade in question.relevant.items():
            lines.append(f"{question.id} 0 {document} {grade}\n")
    write_atomic(path, "".join(lines).encode("utf-8"))


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Return grades by question and document; three columns with a header are read too.

    Raises:
        InputError: malformed lines, or grades that contradict each other; all of them at once.
    """
    ledger = Ledger()
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for one in read_judgements(path, ledger):
        before = found[one.question_id].setdefault(one.document_id, one.grade)
        if before != one.grade:
            ledger.fault(
                one.place,
                f"grades {shown(one.document_id)} for {shown(one.question_id)} {one.grade}, "
                f"but an earlier line {before}",
            )
    ledger.check(str(path))
    return dict(found)


def _falling(ranking: Sequence[Ranked]) -> Iterator[tuple[Ranked, str]]:
    before = np.float32(np.inf)
    for one in ranking:
        with np.errstate(over="ignore"):
            score = np.float32(one.score)
        if not np.isfinite(score):
            raise InputError(f"the score {one.score} of {one.document_id!r} fits no run")
        written = repr(float(one.score))
        if not score < before:
            score = np.nextafter(before, np.float32(-np.inf))
            written = repr(float(str(score)))
        yield one, written
        before = score


def _check_ids(ids: Iterable[str], what: str) -> None:
    for identity in ids:
        if not identity or identity.split() != [identity]:
            raise InputError(f"{what} {identity!r} is empty or has white space: rename it")


def _number(columns: Sequence[str]) -> float | None:
    try:
        number = float(columns[0])
    except (ValueError, IndexError):
        return None
    return number if math.isfinite(number) else None
