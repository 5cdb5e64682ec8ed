"""Rated answers of the query log → questions: up gives gold, down asks a person for it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.core.chat import Citation
from steelyard.core.documents import Document
from steelyard.core.evaluation import GoldSpan, Question
from steelyard.core.marks import without_marks
from steelyard.core.words import fold
from steelyard.datasets.review import Made

ORIGIN = "log"


@dataclass(frozen=True, slots=True)
class RatedAnswer:
    """An answer that somebody rated; `comment` is what they said."""

    question: str
    text: str
    answerable: bool
    up: bool
    comment: str
    citations: Sequence[Citation]


def questions_of_log(
    answers: Sequence[RatedAnswer], documents: Mapping[str, Document]
) -> list[Made]:
    """Return one question for each that was rated, by its first answer here (the newest).

    An answer rated up is gold with what it cites, as far as the words still stand in the
    documents; an abstention rated up is an unanswerable question. One rated down has no gold.
    """
    made: dict[str, Made] = {}
    for answer in answers:
        key = fold(" ".join(answer.question.split()))
        if key and key not in made:
            made[key] = _approved(answer, documents) if answer.up else _doubted(answer)
    return list(made.values())


def _approved(answer: RatedAnswer, documents: Mapping[str, Document]) -> Made:
    spans = [span for one in answer.citations if (span := _span(one, documents))]
    text = " ".join(without_marks(answer.text).split())
    cited = list(dict.fromkeys(span.document_id for span in spans))
    question = Question(
        id=_id(answer.question),
        text=answer.question.strip(),
        answers=(text,) if answer.answerable and text else (),
        answerable=answer.answerable,
        relevant=dict.fromkeys(cited, 1) if answer.answerable else {},
        spans=tuple(dict.fromkeys(spans)) if answer.answerable else (),
        type="rated up",
        cluster=cited[0] if len(cited) == 1 else "",
        origin=ORIGIN,
    )
    return Made(question, ", ".join(documents[one].uri for one in cited), answer.comment)


def _doubted(answer: RatedAnswer) -> Made:
    question = Question(
        id=_id(answer.question), text=answer.question.strip(), type="rated down", origin=ORIGIN
    )
    given = " ".join(without_marks(answer.text).split())
    note = f"answered: {given}" + (f" | said: {answer.comment}" if answer.comment else "")
    return Made(question, "", note)


def _span(citation: Citation, documents: Mapping[str, Document]) -> GoldSpan | None:
    """Return a citation where it stands now; None: its words are gone."""
    document = documents.get(citation.document_id)
    if document is None or not citation.quote.strip():
        return None
    start = citation.start
    if document.text[start : citation.end] != citation.quote:
        start = document.text.find(citation.quote)
    end = start + len(citation.quote)
    return GoldSpan(document.id, citation.quote, start, end) if start >= 0 else None


def _id(question: str) -> str:
    return "l-" + hashlib.sha256(fold(" ".join(question.split())).encode()).hexdigest()[:12]
