"""What a measure is made of, and what every measure asks of a question and its outcome."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from steelyard.core.evaluation import Better, Outcome, Question, Reduce, Values

NOT_APPLICABLE = float("nan")
FAILED = 0.0  # a question without a result counts, in every measure of quality, as this

Score = Callable[[Question, Outcome], float]
ScoreAll = Callable[[Sequence[Question], Sequence[Outcome]], Values]


@dataclass(frozen=True, slots=True)
class SetMeasure:
    """A `Measure` by its function of all pairs at once; two with one name are equal."""

    name: str
    score: ScoreAll = field(repr=False, compare=False)
    reduce: Reduce = Reduce.MEAN
    better: Better = Better.HIGHER
    quality: bool = True

    def __str__(self) -> str:
        return self.name

    def values(self, questions: Sequence[Question], outcomes: Sequence[Outcome]) -> Values:
        assert len(questions) == len(outcomes), (len(questions), len(outcomes))
        return self.score(questions, outcomes)


@dataclass(frozen=True, slots=True)
class Meaning:
    """How a family of measures is written (`k`, `STAGE`: a number, a name to put there), and
    what it says. `example` can be parsed."""

    form: str
    example: str
    meaning: str
    range: str
    better: Better
    source: str


def each(score: Score) -> ScoreAll:
    """Return the measure of all pairs that `score` is for one."""

    def scores(questions: Sequence[Question], outcomes: Sequence[Outcome]) -> Values:
        pairs = zip(questions, outcomes, strict=True)
        return np.fromiter((score(*pair) for pair in pairs), np.float64, len(questions))

    return scores


def of_answers(score: Score) -> ScoreAll:
    """Return `score` over an arm that answers; one that only retrieves has no value at all.

    `score` sees the failed outcomes too: what it gives without an answer says whether the
    measure applies to the question.
    """
    scores = each(score)

    def values(questions: Sequence[Question], outcomes: Sequence[Outcome]) -> Values:
        if only_retrieves(outcomes):
            return np.full(len(questions), NOT_APPLICABLE)
        return scores(questions, outcomes)

    return values


def only_retrieves(outcomes: Sequence[Outcome]) -> bool:
    """Tell whether these are an arm's that gives no answers by design: none has one, and not
    because all of them failed."""
    return not any(outcome.answer for outcome in outcomes) and not all(
        outcome.error for outcome in outcomes
    )


def known_answerable(question: Question) -> bool | None:
    """Return whether the documents tell; gold answers say so where nothing else does."""
    if question.answerable is None and question.answers:
        return True
    return question.answerable


def declined(outcome: Outcome) -> bool:
    return not outcome.error and outcome.answer is not None and not outcome.answer.answerable
