"""A question set → files: our own form, BEIR's, TREC's."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError
from steelyard.core.evaluation import GoldSpan, Question, QuestionSet, SetDocument
from steelyard.datasets.rows import default_filename
from steelyard.datasets.trec import write_qrels
from steelyard.infra.files import write_atomic

FORMS = ("steelyard", "beir", "trec")


def export_set(folder: Path, questions: QuestionSet, *, form: str = "steelyard") -> list[Path]:
    """Write a set into a folder in one of `FORMS`; return the files.

    Raises:
        InputError: no such form, a folder that holds one already, or what the form cannot hold.
    """
    writers = {"steelyard": write_set, "beir": write_beir, "trec": write_trec}
    if form not in writers:
        raise InputError(f"no form {form!r} to export to; give one of {', '.join(FORMS)}")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{str(folder)!r} is not empty; give a new folder")
    return writers[form](folder, questions)


def write_set(folder: Path, questions: QuestionSet) -> list[Path]:
    """Write our own form: `read_set` gives the same set again, with the same id."""
    rows = [question_row(question) for question in questions.questions]
    if not questions.documents:
        return [write_rows(folder / "questions.jsonl", rows)]
    written = [write_rows(folder / "corpus.jsonl", map(_document_row, questions.documents))]
    judged = [one for one in questions.questions if one.relevant]
    if judged and all(map(_fits_a_table, judged)):
        lines = _judgement_lines(judged)
        write_atomic(folder / "qrels.tsv", f"query_id\tdoc_id\trelevance\n{lines}".encode())
        written.append(folder / "qrels.tsv")
        rows = [{key: row[key] for key in row if key != "relevant"} for row in rows]
    return [*written, write_rows(folder / "queries.jsonl", rows)]


def write_beir(folder: Path, questions: QuestionSet) -> list[Path]:
    """Write BEIR's layout, with the judged questions as its part `test`."""
    judged = _judged(questions)
    if not questions.documents:
        raise InputError(
            f"{questions.name!r} has no documents of its own, and BEIR's layout needs them: "
            "export it --with-documents, or in another form"
        )
    documents = (
        {"_id": one.id, "title": one.title, "text": one.text} for one in questions.documents
    )
    for question in judged:
        if not _fits_a_table(question):
            raise InputError(f"an id of question {question.id!r} fits no table: rename it")
    qrels = folder / "qrels" / "test.tsv"
    write_atomic(qrels, f"query-id\tcorpus-id\tscore\n{_judgement_lines(judged)}".encode())
    rows = ({"_id": one.id, "text": one.text} for one in judged)
    return [
        write_rows(folder / "corpus.jsonl", documents),
        write_rows(folder / "queries.jsonl", rows),
        qrels,
    ]


def write_trec(folder: Path, questions: QuestionSet) -> list[Path]:
    """Write topics, judgements and, where the set has them, the documents as JSON lines."""
    judged = _judged(questions)
    topics, qrels = folder / "topics.tsv", folder / "qrels.txt"
    write_qrels(qrels, judged)
    lines = [f"{one.id}\t{' '.join(one.text.split())}\n" for one in judged]
    write_atomic(topics, "".join(lines).encode("utf-8"))
    if not questions.documents:
        return [topics, qrels]
    corpus = write_rows(folder / "corpus.jsonl", map(_document_row, questions.documents))
    return [topics, qrels, corpus]


def question_row(question: Question) -> dict[str, Any]:
    """Return a question as a row of our own form; what is empty is left out."""
    row: dict[str, Any] = {"id": question.id, "question": question.text}
    if question.answers or question.answerable is not None:
        row["answers"] = list(question.answers)
        row["answerable"] = question.answerable
    if question.relevant:
        row["relevant"] = dict(question.relevant)
    if question.spans:
        row["spans"] = [_span_row(span) for span in question.spans]
    if question.history:
        row["history"] = [{"role": one.role, "content": one.content} for one in question.history]
    named = {"type": question.type, "cluster": question.cluster}
    row |= {name: value for name, value in named.items() if value}
    if question.origin != "gold":
        row["origin"] = question.origin
    return row


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write JSON lines, whole or not at all; return the path."""
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows]
    write_atomic(path, "".join(lines).encode("utf-8"))
    return path


def _span_row(span: GoldSpan) -> dict[str, Any]:
    row: dict[str, Any] = {"document_id": span.document_id, "text": span.text}
    if span.start is not None:
        row |= {"start": span.start, "end": span.end}
    return row


def _document_row(document: SetDocument) -> dict[str, Any]:
    row = {"id": document.id, "title": document.title, "text": document.text}
    if document.filename != default_filename(document.id):
        row["filename"] = document.filename
    return row


def _fits_a_table(question: Question) -> bool:
    """Tell whether ids survive a file that is cut at tabs, and at the white space around."""
    ids = (question.id, *question.relevant)
    return all(one == one.strip() and not {"\t", "\n", "\r"} & set(one) for one in ids)


def _judgement_lines(judged: Iterable[Question]) -> str:
    return "".join(
        f"{question.id}\t{document}\t{grade}\n"
        for question in judged
        for document, grade in question.relevant.items()
    )


def _judged(questions: QuestionSet) -> list[Question]:
    judged = [one for one in questions.questions if one.relevant]
    if not judged:
        raise InputError(f"{questions.name!r} judges no document: there is nothing to export")
    return judged
