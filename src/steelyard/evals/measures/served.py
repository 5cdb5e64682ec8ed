"""Agreement with what was served: for questions of the query log, where no gold is known.

What was served may be wrong. Agreement says how much changes, `agree_up` and `agree_down` whether
it changes what people liked or what they did not.
"""

from collections.abc import Callable

from steelyard.core.evaluation import SERVED, Better, Outcome, Question
from steelyard.evals.measures import words
from steelyard.evals.measures.measure import (
    FAILED,
    NOT_APPLICABLE,
    Meaning,
    SetMeasure,
    declined,
    of_answers,
)

FAMILIES = (
    Meaning(
        "agree_F1",
        "agree_F1",
        "overlap in words with the answer that was served; 1 if both decline, 0 if one does",
        "0 to 1",
        Better.HIGHER,
        "words as in F1",
    ),
    Meaning(
        "agree_sources",
        "agree_sources",
        "documents cited both then and now, as a share of those cited at all",
        "0 to 1",
        Better.HIGHER,
        "Jaccard",
    ),
    Meaning(
        "agree_up",
        "agree_up",
        "agree_F1 with the answers that were rated up",
        "0 to 1",
        Better.HIGHER,
        "words as in F1",
    ),
    Meaning(
        "agree_down",
        "agree_down",
        "agree_F1 with the answers that were rated down: less is better",
        "0 to 1",
        Better.LOWER,
        "words as in F1",
    ),
)


def _of_served(
    score: Callable[[Question, Outcome], float],
) -> Callable[[Question, Outcome], float]:
    """Return `score` for questions of the log, and no value for what was served itself."""

    def scored(question: Question, outcome: Outcome) -> float:
        is_served = outcome.answer is not None and outcome.answer.id == question.id
        if question.origin != SERVED or question.answerable is None or is_served:
            return NOT_APPLICABLE
        return score(question, outcome)

    return scored


def _f1(question: Question, outcome: Outcome) -> float:
    if outcome.error or outcome.answer is None:
        return FAILED
    if not question.answers:
        return float(declined(outcome))
    if declined(outcome):
        return 0.0
    return max(words.f1(outcome.answer.text, served) for served in question.answers)


def _sources(question: Question, outcome: Outcome) -> float:
    if not question.relevant:
        return NOT_APPLICABLE
    if outcome.error or outcome.answer is None:
        return FAILED
    then = set(question.relevant)
    now = {citation.document_id for citation in outcome.answer.citations}
    return len(then & now) / len(then | now)


def _rated(rating: str, *, failed: float) -> Callable[[Question, Outcome], float]:
    def score(question: Question, outcome: Outcome) -> float:
        if question.type != f"rated {rating}":
            return NOT_APPLICABLE
        return failed if outcome.error else _f1(question, outcome)

    return score


MEASURES = (
    SetMeasure("agree_F1", of_answers(_of_served(_f1))),
    SetMeasure("agree_sources", of_answers(_of_served(_sources))),
    SetMeasure("agree_up", of_answers(_of_served(_rated("up", failed=FAILED)))),
    SetMeasure(
        "agree_down",
        # A failure is no way to disagree with a bad answer.
        of_answers(_of_served(_rated("down", failed=1.0))),
        better=Better.LOWER,
    ),
)
