"""Answers as their words: what SQuAD's and ROUGE's scorers compare, without citation marks."""

import re
import string
from collections import Counter
from functools import lru_cache

from steelyard.core.marks import without_marks

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# As rouge-score for ASCII; it drops every other character. A script without spaces: one each.
_ROUGE_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
_REMEMBERED = 32_768  # texts: gold answers are the same for every arm, an answer for each measure


@lru_cache(_REMEMBERED)
def squad_words(text: str) -> tuple[str, ...]:
    """Return the words that SQuAD compares: lower case, no punctuation, no articles.

    Source: Rajpurkar et al. 2018, the evaluation script of SQuAD 2.0, `normalize_answer`.
    """
    plain = without_marks(text) if "[" in text or "【" in text else text
    return tuple(_ARTICLES.sub(" ", plain.lower().translate(_PUNCTUATION)).split())


@lru_cache(_REMEMBERED)
def rouge_words(text: str) -> tuple[str, ...]:
    """Return lower-cased runs of letters and digits."""
    plain = without_marks(text) if "[" in text or "【" in text else text
    return tuple(_ROUGE_WORD.findall(plain.lower()))


def exact(answer: str, gold: str) -> float:
    """Return 1 if both have the same words in the same order."""
    return float(squad_words(answer) == squad_words(gold))


def f1(answer: str, gold: str) -> float:
    """Return the harmonic mean of precision and recall of the words, each counted.

    Two texts without words agree. Source: as `squad_words`, `compute_f1`.
    """
    left, right = squad_words(answer), squad_words(gold)
    if not left or not right:
        return float(left == right)
    counts = Counter(right)
    common = sum(min(count, left.count(word)) for word, count in counts.items() if word in left)
    return _harmonic(common, len(left), len(right))


def contains(answer: str, gold: str) -> float:
    """Return 1 if the words of `gold` stand in `answer`, one after the other."""
    return float(f" {' '.join(squad_words(gold))} " in f" {' '.join(squad_words(answer))} ")


def rouge_l(answer: str, gold: str) -> float:
    """Return the F-measure of the longest common subsequence of words.

    Source: Lin 2004, with precision and recall weighed alike, as in rouge-score.
    """
    left, right = rouge_words(answer), rouge_words(gold)
    if not left or not right:
        return 0.0
    return _harmonic(_common_subsequence(left, right), len(left), len(right))


def _harmonic(common: int, num_left: int, num_right: int) -> float:
    return 2 * common / (num_left + num_right)


def _common_subsequence(left: tuple[str, ...], right: tuple[str, ...]) -> int:
    """Return the length of the longest common subsequence, a whole column at a step.

    Source: Hyyrö 2004, bit-parallel LCS; the bits are the places of the longer text.
    """
    short, long = sorted((left, right), key=len)
    places = dict.fromkeys(short, 0)
    for place, word in enumerate(long):
        if word in places:
            places[word] |= 1 << place
    full = (1 << len(long)) - 1
    column = full
    for word in short:
        matches = column & places[word]
        column = ((column + matches) | (column - matches)) & full
    return len(long) - column.bit_count()
