"""Outcomes and answers for tests, with everything that a test does not speak of left plain."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from steelyard.core.chat import Answer, Citation, Span, Usage
from steelyard.core.evaluation import Outcome, Question, Ranked, Values
from steelyard.evals.measures import parse_measure


def ranking(*documents: str) -> tuple[Ranked, ...]:
    return tuple(Ranked(document, 1.0 / rank) for rank, document in enumerate(documents, 1))


def answer(
    text: str = "",
    *,
    answerable: bool = True,
    citations: Sequence[Citation] = (),
    unsupported: Sequence[tuple[int, int]] = (),
    usage: Usage | None = None,
    degraded: tuple[str, ...] = (),
) -> Answer:
    return Answer(
        id="a",
        text=text,
        answerable=answerable,
        citations=tuple(citations),
        unsupported=tuple(Span(*span) for span in unsupported),
        sources=(),
        usage=usage or Usage(),
        cache="",
        bundle="",
        snapshot=0,
        degraded=degraded,
    )


def said(text: str, **fields: Any) -> Outcome:
    return Outcome("q", answer=answer(text, **fields))


def refused() -> Outcome:
    return Outcome("q", answer=answer("The documents don't tell.", answerable=False))


def failed(**fields: Any) -> Outcome:
    return Outcome("q", error="timed out", **fields)


def cited(document: str, start: int, quote: str) -> Citation:
    return Citation(1, document, document, 1, start, start + len(quote), quote)


def values(name: str, *pairs: tuple[Question, Outcome]) -> Values:
    return parse_measure(name).values([one for one, _ in pairs], [one for _, one in pairs])


def value(name: str, question: Question, outcome: Outcome) -> float:
    return float(values(name, (question, outcome))[0])


@pytest.fixture(scope="session")
def random_set() -> tuple[list[Question], list[Outcome]]:
    """Return 300 questions and their outcomes: ties, grades, unjudged documents, questions
    without judgements or without a relevant document, empty rankings, failures."""
    random = Random(4)
    documents = [f"d{number:02}" for number in range(40)]
    questions, outcomes = [], []
    for number in range(300):
        judged = random.sample(documents, random.choice((0, 1, 3, 8, 20)))
        grades = (0,) if random.random() < 0.1 else (0, 0, 1, 1, 2, 3)
        relevant = {document: random.choice(grades) for document in judged}
        questions.append(Question(f"q{number}", "?", answers=("x",), relevant=relevant))
        found = random.sample(documents, random.choice((0, 1, 5, 10, 30)))
        scores = sorted((random.randrange(5) / 4 for _ in found), reverse=True)
        error = "timed out" if random.random() < 0.05 else ""
        outcomes.append(
            Outcome(
                f"q{number}",
                ranking=tuple(map(Ranked, found, scores)),
                answer=None if error else answer(random.choice("xy")),
                wall_ms=random.random(),
                error=error,
            )
        )
    return questions, outcomes
