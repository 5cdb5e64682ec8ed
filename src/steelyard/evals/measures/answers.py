"""Measures of an answer's text against the gold answers; the best match of several counts.

They apply to questions that have gold answers. `EM` and `F1` also apply to unanswerable ones,
where declining is right, as SQuAD 2.0 counts. Declining what can be answered counts as 0, and so
does a failure.
"""

from collections.abc import Callable, Sequence

import numpy as np

from steelyard.core.chat import Answer
from steelyard.core.evaluation import Better, Outcome, Question, Values
from steelyard.evals.measures import words
from steelyard.evals.measures.measure import (
    FAILED,
    NOT_APPLICABLE,
    Meaning,
    Score,
    ScoreAll,
    SetMeasure,
    declined,
    known_answerable,
    of_answers,
)

Match = Callable[[str, str], float]  # of an answer's text and a gold answer's
Said = Callable[[Answer], str]

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
        "EM_short",
        "EM_short",
        "EM of the few words that the answer points out as such; answerable questions, and arms "
        "that point any out",
        "0 or 1",
        Better.HIGHER,
        _SQUAD,
    ),
    Meaning(
        "F1_short",
        "F1_short",
        "F1 of the same words",
        "0 to 1",
        Better.HIGHER,
        _SQUAD,
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


def _whole(answer: Answer) -> str:
    return answer.text


def _short(answer: Answer) -> str:
    return answer.short


def _matched(match: Match, said: Said = _whole) -> Score:
    """Return the score of an answerable question by `match`."""

    def score(question: Question, outcome: Outcome) -> float:
        golds = _golds(question)
        if question.answerable is False or not golds:
            return NOT_APPLICABLE
        if outcome.error or outcome.answer is None or not outcome.answer.answerable:
            return FAILED
        text = said(outcome.answer)
        return max(match(text, gold) for gold in golds)

    return score


def _or_declined(score: Score) -> Score:
    """Return `score`, and for an unanswerable question whether it was declined."""

    def either(question: Question, outcome: Outcome) -> float:
        if known_answerable(question) is False:
            return float(declined(outcome))
        return score(question, outcome)

    return either


def _of_short(match: Match) -> ScoreAll:
    """Score short answers; an arm that gives none by design has no value at all."""
    scores = of_answers(_matched(match, _short))

    def values(questions: Sequence[Question], outcomes: Sequence[Outcome]) -> Values:
        if not any(outcome.answer and outcome.answer.short for outcome in outcomes):
            return np.full(len(questions), NOT_APPLICABLE)
        return scores(questions, outcomes)

    return values


def _golds(question: Question) -> list[str]:
    """Return the gold answers that have words, as SQuAD's script does."""
    return [gold for gold in question.answers if words.squad_words(gold)]


MEASURES = (
    SetMeasure("EM", of_answers(_or_declined(_matched(words.exact)))),
    SetMeasure("F1", of_answers(_or_declined(_matched(words.f1)))),
    SetMeasure("contains", of_answers(_matched(words.contains))),
    SetMeasure("EM_short", _of_short(words.exact)),
    SetMeasure("F1_short", _of_short(words.f1)),
    SetMeasure("ROUGE-L", of_answers(_matched(words.rouge_l))),
)
