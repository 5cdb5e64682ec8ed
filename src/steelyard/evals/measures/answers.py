"""Measures of an answer's text against the gold answers; the best match of several counts.

They apply to questions that have gold answers. `EM` and `F1` also apply to unanswerable ones,
where declining is right, as SQuAD 2.0 counts. Declining what can be answered counts as 0, and so
does a failure.
"""

from collections.abc import Callable

from steelyard.core.evaluation import Better, Outcome, Question
from steelyard.evals.measures import words
from steelyard.evals.measures.measure import (
    FAILED,
    NOT_APPLICABLE,
    Meaning,
    Score,
    SetMeasure,
    declined,
    known_answerable,
    of_answers,
)

Match = Callable[[str, str], float]  # of an answer's text and a gold answer's

_SQUAD = "Rajpurkar et al. 2018, SQuAD 2.0's script"

FAMILIES = (
    Meaning(
        "EM",
        "EM",
        "1 if the answer has the words of a gold answer (no case, punctuation, articles), "
        "or is declined and should be",
        "0 or 1",
        Better.HIGHER,
        _SQUAD,
    ),
    Meaning(
        "F1",
        "F1",
        "overlap in words with the nearest gold answer; declining counts as in EM",
        "0 to 1",
        Better.HIGHER,
        _SQUAD,
    ),
    Meaning(
        "contains",
        "contains",
        "1 if a gold answer stands in the answer word for word; answerable questions only",
        "0 or 1",
        Better.HIGHER,
        "words as in EM",
    ),
    Meaning(
        "ROUGE-L",
        "ROUGE-L",
        "F-measure of the longest common subsequence of words; answerable questions only",
        "0 to 1",
        Better.HIGHER,
        "Lin 2004; as rouge-score without its stemmer",
    ),
)


def _matched(match: Match) -> Score:
    """Return the score of an answerable question by `match`."""

    def score(question: Question, outcome: Outcome) -> float:
        golds = _golds(question)
        if question.answerable is False or not golds:
            return NOT_APPLICABLE
        if outcome.error or outcome.answer is None or not outcome.answer.answerable:
            return FAILED
        text = outcome.answer.text
        return max(match(text, gold) for gold in golds)

    return score


def _or_declined(score: Score) -> Score:
    """Return `score`, and for an unanswerable question whether it was declined."""

    def either(question: Question, outcome: Outcome) -> float:
        if known_answerable(question) is False:
            return float(declined(outcome))
        return score(question, outcome)

    return either


def _golds(question: Question) -> list[str]:
    """Return the gold answers that have words, as SQuAD's script does."""
    return [gold for gold in question.answers if words.squad_words(gold)]


MEASURES = (
    SetMeasure("EM", of_answers(_or_declined(_matched(words.exact)))),
    SetMeasure("F1", of_answers(_or_declined(_matched(words.f1)))),
    SetMeasure("contains", of_answers(_matched(words.contains))),
    SetMeasure("ROUGE-L", of_answers(_matched(words.rouge_l))),
)
