"""A set as its files give it, before its parts are compared with each other."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError
from steelyard.core.evaluation import SetDocument
from steelyard.datasets.judgements import (
    Judgement,
    read_document_judgements,
    read_judgements,
)
from steelyard.datasets.layouts import Laid, parts_of
from steelyard.datasets.ledger import Ledger, Place, shown
from steelyard.datasets.lines import Row, parse_json, read_lines, read_rows, read_text
from steelyard.datasets.rows import DraftQuestion, RowReader, document_of, question_of
from steelyard.datasets.sheets import is_sheet, read_sheet


@dataclass(frozen=True, slots=True)
class Draft:
    """`judged_only`: questions without a judgement belong to another part (BEIR's custom)."""

    documents: tuple[SetDocument, ...]
    questions: tuple[DraftQuestion, ...]
    judgements: tuple[Judgement, ...] = ()
    by_title: bool = False
    judged_only: bool = False


def read_draft(laid: Laid, ledger: Ledger, *, part: str) -> Draft:
    """Read every file of a layout; what is malformed goes to the ledger.

    Raises:
        InputError: a file cannot be read at all, or the layout has no such part.
    """
    files = laid.files
    if "squad" in files:
        return _squad(files["squad"], ledger)
    if "topics" in files:
        return _trec(files, ledger)
    judgements: Iterator[Judgement] = iter(())
    if "qrels" in files:
        judgements = read_judgements(files["qrels"], ledger)
    elif "document_qrels" in files:
        judgements = read_document_judgements(files["document_qrels"], ledger)
    elif "part_qrels" in files:
        judgements = read_judgements(_part_file(files["part_qrels"], part, ledger), ledger)
    return Draft(
        documents=_documents(files, ledger),
        questions=read_questions(_question_rows(files["queries"], ledger), ledger),
        judgements=tuple(judgements),
        by_title="document_qrels" in files,
        judged_only="part_qrels" in files,
    )


def _documents(files: Mapping[str, Path], ledger: Ledger) -> tuple[SetDocument, ...]:
    if "corpus" in files:
        rows = read_rows(files["corpus"], ledger)
    elif "collection" in files:
        rows = _pairs(files["collection"], ledger)
    else:
        return ()
    found = ((row.place, document_of(row, ledger)) for row in rows)
    return tuple(_distinct(((place, one) for place, one in found if one), "documents", ledger))


def read_questions(rows: Iterable[Row], ledger: Ledger) -> tuple[DraftQuestion, ...]:
    """Return the questions of rows, each id once."""
    found = (question_of(row, ledger, number=n) for n, row in enumerate(rows, start=1))
    pairs = ((one.place, one) for one in found if one is not None)
    return tuple(_distinct(pairs, "questions", ledger, same=_same_question))


def _same_question(one: DraftQuestion) -> object:
    return tuple(getattr(one, name) for name in DraftQuestion.__slots__ if name != "place")


def _distinct(
    items: Iterable[tuple[Place, Any]],
    what: str,
    ledger: Ledger,
    *,
    same: Callable[[Any], object] = lambda one: one,
) -> Iterator[Any]:
    """Yield what has a new id; an equal twin is counted, another one of that id is a fault."""
    known: dict[str, Any] = {}
    for place, one in items:
        before = known.setdefault(one.id, one)
        if before is one:
            yield one
        elif same(before) == same(one):
            ledger.count(f"{what} that stand there twice were read once", place)
        else:
            ledger.fault(place, f"field 'id': {shown(one.id)} is used before by another row")


def _part_file(default: Path, part: str, ledger: Ledger) -> Path:
    there = parts_of(default.parent.parent)
    if part and part not in there:
        raise InputError(f"no part {part!r} in {default.parent}: it has {', '.join(there)}")
    if not part and len(there) > 1:
        ledger.note(f"of the parts {', '.join(there)} this is {default.name}")
    return there[part] if part else default


def _trec(files: Mapping[str, Path], ledger: Ledger) -> Draft:
    return Draft(
        documents=_documents(files, ledger),
        questions=read_questions(_pairs(files["topics"], ledger), ledger),
        judgements=tuple(read_judgements(files["qrels"], ledger)),
        judged_only=True,
    )


def _pairs(path: Path, ledger: Ledger) -> Iterator[Row]:
    """Yield rows of `id`, tab, `text` (of three columns: `id`, `title`, `text`)."""
    for place, line in read_lines(path, ledger):
        columns = line.split("\t")
        if len(columns) not in (2, 3):
            ledger.fault(place, f"must be an id, a tab and a text, not {shown(line)}")
            continue
        names = ("id", "text") if len(columns) == 2 else ("id", "title", "text")
        yield Row(place, dict(zip(names, columns, strict=True)))


def _squad(path: Path, ledger: Ledger) -> Draft:
    """Read SQuAD's JSON (1.1 and 2.0); any other JSON is read as rows of questions."""
    place = Place(path.name)
    text = read_text(path, ledger)
    try:
        value = parse_json(text, ledger, place)
    except ValueError as error:
        value = None
        ledger.fault(place, f"is no JSON: {error}")
    articles = value.get("data") if isinstance(value, dict) else None
    if not isinstance(articles, list):
        if isinstance(value, list):
            return Draft((), read_questions(_question_rows(path, ledger), ledger))
        if value is not None:
            ledger.fault(place, "field 'data' must list articles, as SQuAD's does")
        return Draft((), ())
    rows = list(_paragraphs(articles, place, ledger))
    found = ((row.place, document_of(row, ledger)) for row, _ in rows)
    documents = tuple(_distinct(((at, one) for at, one in found if one), "documents", ledger))
    return Draft(documents, read_questions((row for _, some in rows for row in some), ledger))


def _paragraphs(
    articles: list[Any], place: Place, ledger: Ledger
) -> Iterator[tuple[Row, list[Row]]]:
    """Yield each paragraph as a row of a document, with the rows of its questions."""
    for a, article in enumerate(articles):
        at = Place(f"{place.file}: data[{a}]")
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            ledger.fault(at, "field 'paragraphs' must be a list")
            continue
        for p, paragraph in enumerate(paragraphs):
            here = Place(f"{at.file}.paragraphs[{p}]")
            qas = paragraph.get("qas", []) if isinstance(paragraph, dict) else None
            if not isinstance(qas, list):
                ledger.fault(here, "must hold 'context' and a list 'qas'")
                continue
            document = f"a{a}-p{p}"
            fields = {"id": document, "title": article.get("title", "")}
            if "context" in paragraph:
                fields["text"] = paragraph["context"]
            yield (
                Row(here, fields),
                [_qa(qa, document, here, n, ledger) for n, qa in enumerate(qas)],
            )


def _qa(qa: Any, document: str, place: Place, number: int, ledger: Ledger) -> Row:
    """Return a question's row in our fields: answers with their places become spans."""
    at = Place(f"{place.file}.qas[{number}]")
    fields = dict(qa) if isinstance(qa, dict) else {}
    answers = fields.get("answers", [])
    if not isinstance(answers, list) or not all(isinstance(one, dict) for one in answers):
        ledger.fault(at, "field 'answers' must list objects with 'text' and 'answer_start'")
        answers = []
    given = {
        "question": fields.get("question"),
        "doc_id": document,
        "answers": [one.get("text", "") for one in answers],
        "spans": [[one.get("text"), one.get("answer_start")] for one in answers],
        "is_impossible": fields.get("is_impossible"),
    }
    reader = RowReader(Row(at, fields), ledger)
    given["id"] = reader.identity(("id",), missing=f"{document}-q{number}")
    return Row(at, given)


def _question_rows(path: Path, ledger: Ledger) -> Iterator[Row]:
    return read_sheet(path, ledger) if is_sheet(path) else read_rows(path, ledger)
