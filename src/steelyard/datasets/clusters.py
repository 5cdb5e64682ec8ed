"""What questions share their errors with: a document, its title, a conversation."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Question, QuestionSet, SetDocument

BY = ("auto", "document", "title", "none")
# From so many documents a title on, a set is a collection of passages: squad2 has 29, policyqa
# 27, pages of reports 52; sets of whole documents have 1.0 to 1.1.
PASSAGES_PER_TITLE = 3.0


def clusters(questions: QuestionSet, by: str = "auto") -> NDArray[np.int64]:
    """Return each question's cluster, (N,), numbered from 0 in the order of first appearance.

    `document`: `Question.cluster` as it is. `title`: documents with one title are one. `auto`:
    `title` where the set is a collection of passages, else `document`. `none`: each alone.

    Raises:
        InputError: no such way.
    """
    if by not in BY:
        raise InputError(f"cannot cluster by {by!r}: give one of {', '.join(BY)}")
    titles: Mapping[str, str] = {}
    if by == "title" or (by == "auto" and is_passages(questions.documents)):
        titles = {one.id: one.title for one in questions.documents if one.title}
    numbers: dict[tuple[str, str], int] = {}
    found = np.empty(len(questions.questions), np.int64)
    for n, question in enumerate(questions.questions):
        found[n] = numbers.setdefault(_key(question, by, titles), len(numbers))
    return found


def is_passages(documents: Sequence[SetDocument]) -> bool:
    """Tell whether titles name what the texts are passages of."""
    counted = Counter(one.title for one in documents if one.title)
    return bool(counted) and sum(counted.values()) >= PASSAGES_PER_TITLE * len(counted)


def sole_document(relevant: Iterable[str], titles: Mapping[str, str]) -> str:
    """Return the one document that all of `relevant` are, or are passages of; "": several."""
    listed = list(relevant)
    named = {titles.get(identity, "") or identity for identity in listed}
    return min(listed) if len(named) == 1 else ""


def _key(question: Question, by: str, titles: Mapping[str, str]) -> tuple[str, str]:
    if by == "none" or not question.cluster:
        return "question", question.id
    if question.cluster in titles:
        return "title", titles[question.cluster]
    return "cluster", question.cluster
