"""Cutting a passage to the sentences around what the question is about."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from steelyard.retrieve.excerpts import Excerpt

NEAR_BEST = 0.5
"""A sentence with this share of the best one's weight is kept with all that lies between."""
MARGIN = 1  # sentences kept on either side: an answer often stands beside the words asked for


def trimmed(excerpts: Sequence[Excerpt], asked: frozenset[str]) -> list[Excerpt]:
    """Return each excerpt as one span of its sentences; whole, if none has a word of `asked`.

    A sentence weighs what the words weigh that it shares with the question, rare ones more.
    Words of the title and the headings tell its sentences apart no longer, so they don't count.
    """
    weights = _weights(excerpts, asked)
    return [_trimmed(each, weights) for each in excerpts]


def _weights(excerpts: Sequence[Excerpt], asked: frozenset[str]) -> dict[str, float]:
    """Return a weight per word: its rarity among all sentences."""
    sentences = [words for each in excerpts for words in each.reading.words]
    counts = Counter(word for words in sentences for word in words & asked)
    return {
        word: math.log(1 + (len(sentences) + 0.5) / (count + 0.5)) for word, count in counts.items()
    }


def _trimmed(excerpt: Excerpt, weights: Mapping[str, float]) -> Excerpt:
    reading, text = excerpt.reading, excerpt.chunk.text
    known = excerpt.above
    scores = [sum(weights.get(word, 0.0) for word in words - known) for words in reading.words]
    if not any(scores):
        return excerpt
    near = [i for i, score in enumerate(scores) if score >= NEAR_BEST * max(scores)]
    first, last = max(0, near[0] - MARGIN), min(len(scores) - 1, near[-1] + MARGIN)
    first = _with_lead(reading.sentences, text, first)
    if first == 0 and last == len(scores) - 1:
        return excerpt
    return excerpt.cut(reading.sentences[first][0], reading.sentences[last][1])


def _with_lead(sentences: Sequence[tuple[int, int]], text: str, first: int) -> int:
    """Return where a span must begin so that rows keep the row with the columns' names, and
    list items what announces them."""
    while first > 0 and (
        (_is_row(text, sentences[first]) and _is_row(text, sentences[first - 1]))
        or text[sentences[first - 1][1] - 1] == ":"
    ):
        first -= 1
    return first


def _is_row(text: str, span: tuple[int, int]) -> bool:
    return text.startswith("|", span[0])
