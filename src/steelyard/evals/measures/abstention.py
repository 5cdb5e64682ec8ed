"""Does an arm know what the documents don't tell? For questions where that is known.

A failure is neither an answer nor a refusal: it counts as 0, and as the worst confidence.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from steelyard.core.evaluation import Better, Outcome, Question, Values
from steelyard.evals.measures.measure import (
    NOT_APPLICABLE,
    Meaning,
    SetMeasure,
    declined,
    known_answerable,
    of_answers,
    only_retrieves,
)

# Shape suffixes: P answerable questions, U unanswerable ones.
Floats = NDArray[np.float64]

FAMILIES = (
    Meaning(
        "answered",
        "answered",
        "share of the answerable questions that are answered, rightly or not",
        "0 or 1",
        Better.HIGHER,
        "-",
    ),
    Meaning(
        "abstained",
        "abstained",
        "share of the unanswerable questions that are declined",
        "0 or 1",
        Better.HIGHER,
        "-",
    ),
    Meaning(
        "abstention",
        "abstention",
        "share of all questions rightly answered or declined: the accuracy of that choice",
        "0 or 1",
        Better.HIGHER,
        "-",
    ),
    Meaning(
        "AUROC",
        "AUROC",
        "how often an answerable question has more confidence than an unanswerable one, ties "
        "half; a question's own value can lie outside 0 to 1",
        "0 to 1",
        Better.HIGHER,
        "DeLong et al. 1988, as influence values",
    ),
)


def _answered(question: Question, outcome: Outcome) -> float:
    if known_answerable(question) is not True:
        return NOT_APPLICABLE
    return float(_tells(outcome))


def _abstained(question: Question, outcome: Outcome) -> float:
    if known_answerable(question) is not False:
        return NOT_APPLICABLE
    return float(declined(outcome))


def _abstention(question: Question, outcome: Outcome) -> float:
    answerable = known_answerable(question)
    if answerable is None:
        return NOT_APPLICABLE
    return float(_tells(outcome) if answerable else declined(outcome))


def _tells(outcome: Outcome) -> bool:
    return not outcome.error and outcome.answer is not None and outcome.answer.answerable


def auroc_values(questions: Sequence[Question], outcomes: Sequence[Outcome]) -> Values:
    """Return (N,) values whose mean is the AUROC and whose spread is the AUROC's own.

    DeLong's placement value of an answerable question is the share of unanswerable ones that
    have less confidence (ties half), of an unanswerable one the share of answerable ones that
    have more. Their mean is the AUROC too, but resampled as they are they make intervals half as
    wide as they should be: the two classes are averaged each for itself. So each distance from
    the AUROC is scaled by N over the size of its class; the variance of the mean then is
    DeLong's, and a bootstrap or a paired test of these values is right. The mean of a part of
    the values is not that part's AUROC.

    NaN where it is not known whether a question is answerable, and everywhere if all known
    ones are alike.
    """
    values = np.full(len(questions), NOT_APPLICABLE)
    if only_retrieves(outcomes):
        return values
    known = np.array([known_answerable(question) for question in questions], dtype=object)
    scores = np.array([_confidence(*pair) for pair in zip(questions, outcomes, strict=True)])
    positive, negative = known == True, known == False  # noqa: E712  # elementwise
    scores_P, scores_U = scores[positive], scores[negative]
    if not len(scores_P) or not len(scores_U):
        return values
    placed_P = _share_below(scores_P, scores_U)
    placed_U = 1 - _share_below(scores_U, scores_P)
    auroc, num_known = placed_P.mean(), len(scores_P) + len(scores_U)
    values[positive] = auroc + (placed_P - auroc) * num_known / len(scores_P)
    values[negative] = auroc + (placed_U - auroc) * num_known / len(scores_U)
    return values


def _share_below(scores: Floats, others: Floats) -> Floats:
    """Return for each score the share of `others` below it, ties half."""
    ordered = np.sort(others)
    left = np.searchsorted(ordered, scores, side="left")
    right = np.searchsorted(ordered, scores, side="right")
    return np.asarray((left + right) / (2 * len(others)), np.float64)


def _confidence(question: Question, outcome: Outcome) -> float:
    """Return how sure the arm is that it can answer; a failure loses to everything."""
    answer = outcome.answer
    if outcome.error or answer is None:
        return -np.inf if known_answerable(question) else np.inf
    confidence: float | None = getattr(answer, "confidence", None)
    return float(answer.answerable) if confidence is None else confidence


MEASURES = (
    SetMeasure("answered", of_answers(_answered)),
    SetMeasure("abstained", of_answers(_abstained)),
    SetMeasure("abstention", of_answers(_abstention)),
    SetMeasure("AUROC", auroc_values),
)
