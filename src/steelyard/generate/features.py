"""What speaks for a sentence as the answer to a question, in numbers.

Shape suffixes: C candidates, D dimensions of an embedding, F features.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from steelyard.core.ranking import Matrix, Vector
from steelyard.core.words import bigrams, content_stems, names, stem, stems
from steelyard.generate.candidates import Candidate
from steelyard.generate.cues import Wanted, holds, wanted

Features = NDArray[np.float64]  # (C, F)

SENTENCE_FEATURES = (
    "cosine",  # of question and sentence
    "passage_cosine",  # of question and the mean of its passage's sentences
    "neighbours_cosine",  # the better of the sentences before and behind
    "recall",  # share of the question's words, by rarity, in the sentence
    "context_recall",  # the same with the sentence before and the headings above it
    "heading_recall",  # the same in the headings alone
    "pairs",  # share of the question's neighbouring words that are neighbours here
    "holds_wanted",  # a date for "when", a number for "how many", ...
    "lacks_wanted",
    "names_missing",  # share of the question's names in neither sentence nor context
    "rank",  # 1 / place of the passage among those found
    "first",  # opens its passage
    "short",  # fewer than 4 content words
    "length",  # logarithm of the number of words
    "asks",  # is a question itself
    "news",  # content words that the question lacks, 10 or more = 1
)


def sentence_features(
    question: str, question_D: Vector, found: Sequence[Candidate], vectors_CD: Matrix
) -> Features:
    """Return one row per candidate, in the order of `SENTENCE_FEATURES`."""
    weights = word_weights(question, found)
    asked_pairs = bigrams(stems(question))
    kind = wanted(question)
    asked_names = {stem(name) for name in names(question)}
    content = set(content_stems(question))
    cosines_C = (vectors_CD @ question_D).astype(np.float64)
    passage_C, neighbours_C = _around(found, vectors_CD, question_D, cosines_C)
    rows = []
    for i, each in enumerate(found):
        around = each.words | each.before | each.context
        has_wanted = holds(each.text, kind, question=question)
        own = content_stems(each.text)
        missing = sum(name not in around for name in asked_names) / max(1, len(asked_names))
        pairs = len(asked_pairs & bigrams(stems(each.text))) / max(1, len(asked_pairs))
        rows.append(
            (
                cosines_C[i],
                passage_C[i],
                neighbours_C[i],
                _recall(weights, each.words),
                _recall(weights, around),
                _recall(weights, each.context),
                pairs,
                float(has_wanted and kind is not Wanted.ANYTHING),
                float(not has_wanted),
                missing,
                1 / (1 + each.place),
                float(each.order == 0),
                float(len(own) < 4),
                math.log(2 + len(each.words)),
                float(each.text.rstrip().endswith("?")),
                min(len(set(own) - content), 10) / 10,
            )
        )
    return np.array(rows, np.float64).reshape(len(rows), len(SENTENCE_FEATURES))


def word_weights(question: str, found: Sequence[Candidate]) -> dict[str, float]:
    """Return the weights of the question's content words, summing to 1: rare ones say more."""
    counts = Counter(word for each in found for word in each.words)
    weights = {
        word: math.log(1 + (len(found) + 0.5) / (counts[word] + 0.5))
        for word in content_stems(question)
    }
    total = sum(weights.values())
    return {word: weight / total for word, weight in weights.items()}


def _recall(weights: dict[str, float], words: frozenset[str]) -> float:
    return sum(weight for word, weight in weights.items() if word in words)


def _around(
    found: Sequence[Candidate], vectors_CD: Matrix, question_D: Vector, cosines_C: Features
) -> tuple[Features, Features]:
    """Return per candidate the cosine of its passage's mean, and of its better neighbour."""
    places_C = np.array([each.place for each in found])
    passage_C = np.zeros(len(found))
    neighbours_C = np.zeros(len(found))
    for place in np.unique(places_C):
        members = np.flatnonzero(places_C == place)
        mean_D = vectors_CD[members].mean(axis=0)
        length = float(np.linalg.norm(mean_D))
        passage_C[members] = float(mean_D @ question_D) / length if length > 0 else 0.0
        padded = np.concatenate(([0.0], cosines_C[members], [0.0]))
        neighbours_C[members] = np.maximum(padded[:-2], padded[2:])
    return passage_C, neighbours_C
