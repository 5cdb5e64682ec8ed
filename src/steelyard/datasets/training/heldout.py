"""Rows that were held out, as a question set: what was learnt is weighed on what was not."""

import hashlib
from collections.abc import Sequence

from steelyard.core.errors import InputError
from steelyard.core.evaluation import GoldSpan, Question, QuestionSet, SetDocument
from steelyard.core.training import Reading, Retrieval, TrainingRow
from steelyard.datasets.identity import content_id

MAX_DOCUMENTS = 5_000
_ID_CHARS = 16


def held_out_set(
    name: str, rows: Sequence[TrainingRow], others: Sequence[TrainingRow] = ()
) -> QuestionSet:
    """Return the questions of retrieval or reader rows, asked of all their passages; those of
    `others` stand among the documents, so that there is something to be confused with.

    Errors are shared within a passage: two questions of one are one cluster.

    Raises:
        InputError: no row, rows of a kind that asks nothing, or passages that are only named.
    """
    texts: dict[str, str] = {}
    questions = [_question(row, number, texts) for number, row in enumerate(rows)]
    if not questions:
        raise InputError(
            "nothing was held out to weigh it on: split the version (`steelyard data split`) "
            "before training, or name questions by --data SET"
        )
    for row in others:
        for text in _passages(row):
            if len(texts) < MAX_DOCUMENTS:
                texts.setdefault(_id_of(text), text)
    documents = tuple(SetDocument(identity, "", text) for identity, text in sorted(texts.items()))
    return QuestionSet(name, content_id(questions, documents), tuple(questions), documents)


def _question(row: TrainingRow, number: int, texts: dict[str, str]) -> Question:
    example = row.example
    for text in _passages(row):
        texts[_id_of(text)] = text
    if isinstance(example, Retrieval):
        relevant = [_id_of(text) for text in example.positives]
        return Question(
            f"q{number}", example.query, relevant=dict.fromkeys(relevant, 1), cluster=relevant[0]
        )
    assert isinstance(example, Reading)  # `_passages` refuses the others
    document = _id_of(example.context)
    return Question(
        f"q{number}",
        example.question,
        answers=tuple(dict.fromkeys(span.text for span in example.answers)),
        answerable=bool(example.answers),
        relevant={document: 1} if example.answers else {},
        spans=tuple(
            GoldSpan(document, span.text, span.start, span.start + len(span.text))
            for span in example.answers
        ),
        cluster=example.title or document,
    )


def _passages(row: TrainingRow) -> tuple[str, ...]:
    example = row.example
    if isinstance(example, Reading):
        return (example.context,)
    if isinstance(example, Retrieval):
        named = [text for text in example.positives if not any(map(str.isspace, text))]
        if named:
            raise InputError(
                f"a held-out row names its passage ({named[0]!r}) and does not hold it, so there "
                "is nothing to search in; name questions by --data SET"
            )
        return (*example.positives, *example.negatives)
    raise InputError(
        f"rows of kind {row.kind.value} ask nothing of documents; name questions by --data SET"
    )


def _id_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_ID_CHARS]
