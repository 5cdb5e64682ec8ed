"""The page's data in compressed blocks: an index for the list, the rest read when it is opened.

Every block is a `<script type="application/octet-stream">` with base64 of gzip of JSON. Question
i lies in block i // QUESTIONS of kind `q`, passage j in block j // PASSAGES of kind `p`; a
passage that several arms or questions show is there once.
"""

import base64
import gzip
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from steelyard.core.chat import Passage
from steelyard.core.errors import NotFound
from steelyard.core.evaluation import (
    ArmFigures,
    Better,
    Outcome,
    Question,
    QuestionSet,
    Report,
    SetDocument,
)
from steelyard.evals.report.figures import better_of, is_quality, unit_of
from steelyard.evals.report.pieces import answer_pieces, gold_places, quote_places
from steelyard.evals.report.verdicts import baseline_of
from steelyard.evals.report.wire import interval_json

QUESTIONS = 40
PASSAGES = 64
RANKED = 10  # documents of a ranking that are shown; judged ones are shown wherever they rank
TITLE_LENGTH = 160  # characters of a question in the list
EXCERPT_LENGTH = 240  # characters of a document of which only the rank is known
DIGITS = 5

Outcomes = Mapping[str, Sequence[Outcome]]


def block(name: str, value: object) -> str:
    """Return a value as one block of the page."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    packed = gzip.compress(text.encode("utf-8", "replace"), compresslevel=6, mtime=0)
    encoded = base64.b64encode(packed).decode("ascii")
    return f'<script type="application/octet-stream" id="{name}">{encoded}</script>\n'


def index(report: Report, questions: QuestionSet) -> dict[str, Any]:
    """Return what the list and the plots need: ids, short texts, values."""
    by_id = {question.id: question for question in questions.questions}
    asked = [by_id.get(identity, Question(identity, identity)) for identity in report.question_ids]
    return {
        "arms": [_arm(arm) for arm in report.arms],
        "baseline": baseline_of(report),
        "measures": [
            {
                "name": name,
                "lower": better_of(name) is Better.LOWER,
                "quality": is_quality(name),
                "unit": unit_of(name),
            }
            for name in report.measures
        ],
        "ids": list(report.question_ids),
        "texts": [" ".join(question.text.split())[:TITLE_LENGTH] for question in asked],
        "types": [question.type for question in asked],
        "values": [
            [_rounded(report.values.get(arm.name, {}).get(m)) for m in report.measures]
            for arm in report.arms
        ],
        "block": QUESTIONS,
        "passages": PASSAGES,
    }


def _arm(arm: ArmFigures) -> dict[str, Any]:
    return {
        "name": arm.name,
        "figures": {name: interval_json(found) for name, found in arm.figures.items()},
        "failed": list(arm.failures),
    }


def _rounded(values: Any) -> list[float | None]:
    if values is None:
        return []
    return [float(f"{v:.{DIGITS}g}") if math.isfinite(v) else None for v in values.tolist()]


def data_blocks(report: Report, questions: QuestionSet, outcomes: Outcomes) -> Iterator[str]:
    """Yield the blocks of questions and, as soon as one is full, of passages."""
    by_id = {question.id: question for question in questions.questions}
    shelf = Shelf(questions, outcomes)
    by_arm = {arm: {one.question_id: one for one in found} for arm, found in outcomes.items()}
    rows: list[dict[str, Any]] = []
    for place, identity in enumerate(report.question_ids):
        question = by_id.get(identity, Question(identity, identity))
        arms = [by_arm.get(arm.name, {}).get(identity) for arm in report.arms]
        rows.append(
            _question(question) | {"arms": [outcome_json(question, o, shelf) for o in arms]}
        )
        if len(rows) == QUESTIONS or place + 1 == len(report.question_ids):
            yield block(f"q{place // QUESTIONS}", rows)
            rows = []
        yield from shelf.full_blocks()
    yield from shelf.last_block()


def shown_documents(questions: QuestionSet, outcomes: Outcomes) -> tuple[SetDocument, ...]:
    """Return the set's documents that a report shows, cut to what it shows of them."""
    relevant = {question.id: question.relevant for question in questions.questions}
    wanted = {
        outcome.ranking[place].document_id
        for found in outcomes.values()
        for outcome in found
        for place in _shown_places(outcome, relevant.get(outcome.question_id, {}))
    }
    return tuple(
        replace(document, text=document.text[: 2 * EXCERPT_LENGTH])
        for document in questions.documents
        if document.id in wanted
    )


def _shown_places(outcome: Outcome, relevant: Mapping[str, int]) -> list[int]:
    """Return which places of a ranking are shown: its beginning, and judged documents below it."""
    return [
        place
        for place, ranked in enumerate(outcome.ranking)
        if place < RANKED or ranked.document_id in relevant
    ]


def item_json(
    report: Report, questions: QuestionSet, question_id: str, outcomes: Outcomes
) -> dict[str, Any]:
    """Return one question with every arm's outcome, its values, and the passages they show.

    Raises:
        NotFound: the report has no such question.
    """
    if question_id not in report.question_ids:
        raise NotFound(f"run {report.id!r} has no question {question_id!r}")
    asked = Question(question_id, question_id)
    asked = next((one for one in questions.questions if one.id == question_id), asked)
    place, shelf = report.question_ids.index(question_id), Shelf(questions, outcomes)
    arms = []
    for arm in report.arms:
        outcome = next((o for o in outcomes[arm.name] if o.question_id == question_id), None)
        values = {m: _finite(float(v[place])) for m, v in report.values[arm.name].items()}
        found = outcome_json(asked, outcome, shelf) or {}
        arms.append({"name": arm.name, "values": values, **found})
    return _question(asked) | {"arms": arms, "passages": shelf.rows()}


def _question(question: Question) -> dict[str, Any]:
    return {
        "id": question.id,
        "text": question.text,
        "answers": list(question.answers),
        "answerable": question.answerable,
        "type": question.type,
        "origin": question.origin,
        "cluster": question.cluster,
        "history": [[turn.role, turn.content] for turn in question.history],
        "gold": [[span.document_id, span.text] for span in question.spans],
        "relevant": dict(question.relevant),
    }


def outcome_json(
    question: Question, outcome: Outcome | None, shelf: "Shelf"
) -> dict[str, Any] | None:
    if outcome is None:
        return None
    found: dict[str, Any] = {
        "error": outcome.error,
        "wall": _finite(outcome.wall_ms),
        "cost": None if outcome.cost_usd is None else _finite(outcome.cost_usd),
        "degraded": list(outcome.degraded),
        "timings": {stage: _finite(ms) for stage, ms in outcome.timings_ms.items()},
        "ranked": [
            [shelf.document(outcome.ranking[place].document_id), place + 1]
            for place in _shown_places(outcome, question.relevant)
        ],
    }
    answer = outcome.answer
    if answer is not None:
        found |= {
            "answer": answer_pieces(answer),
            "answerable": answer.answerable,
            "cache": answer.cache,
            "model": answer.usage.model,
            "tokens": [answer.usage.prompt_tokens, answer.usage.completion_tokens],
            "sources": [
                {
                    "n": source.n,
                    "at": shelf.passage(source),
                    "gold": gold_places(source, question),
                    "quotes": quote_places(source, answer.citations),
                }
                for source in answer.sources
            ],
        }
    return found


def _finite(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


class Shelf:
    """Passages and documents, each once, numbered in the order of their first use."""

    def __init__(self, questions: QuestionSet, outcomes: Outcomes) -> None:
        self._documents = {document.id: document for document in questions.documents}
        # Of documents that the set does not hold, answers tell the titles.
        self._titles = {
            source.document_id: source.title
            for found in outcomes.values()
            for outcome in found
            if outcome.answer is not None
            for source in outcome.answer.sources
        }
        self._places: dict[object, int] = {}
        self._waiting: list[dict[str, Any]] = []
        self._written = 0

    def passage(self, source: Passage) -> int:
        key = (source.document_id, source.start, source.text)
        if key not in self._places:
            # No address: a report is passed on, and whose folders these are is nobody's business.
            self._add(key, {
                "document": source.document_id, "title": source.title,
                "heading": list(source.heading), "page": source.page, "text": source.text,
            })  # fmt: skip
        return self._places[key]

    def document(self, identity: str) -> int:
        if identity not in self._places:
            known = self._documents.get(identity)
            title = self._titles.get(identity, "") if known is None else known.title
            text = "" if known is None else known.text
            cut = " ".join(text[: 2 * EXCERPT_LENGTH].split())[:EXCERPT_LENGTH]
            excerpt = cut + ("…" if len(cut) < len(text.strip()) else "")
            self._add(identity, {"document": identity, "title": title, "text": excerpt})
        return self._places[identity]

    def _add(self, key: object, row: dict[str, Any]) -> None:
        self._places[key] = len(self._places)
        self._waiting.append(row)

    def rows(self) -> list[dict[str, Any]]:
        """Return what is not yet in a block."""
        return self._waiting

    def full_blocks(self) -> Iterator[str]:
        while len(self._waiting) >= PASSAGES:
            yield block(f"p{self._written}", self._waiting[:PASSAGES])
            self._waiting = self._waiting[PASSAGES:]
            self._written += 1

    def last_block(self) -> Iterator[str]:
        if self._waiting:
            yield block(f"p{self._written}", self._waiting)
