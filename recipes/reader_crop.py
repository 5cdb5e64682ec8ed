"""Parts of passages as a reader meets them: whole sentences around a place, in a row of its own."""

import random
from collections.abc import Sequence
from typing import Any

from steelyard.core.sentences import split_sentences
from steelyard.core.words import content_stems

ROOM = 420  # characters of a context, about 90 tokens: what a served window holds

Place = tuple[int, int]


def crop(rng: random.Random, text: str, keep: Place) -> Place:
    """Return a run of whole sentences around `keep`, grown at random to at most `ROOM`."""
    spans = split_sentences(text)
    low = max((n for n, (start, _) in enumerate(spans) if start <= keep[0]), default=0)
    high = next((n for n, (_, end) in enumerate(spans) if end >= keep[1]), len(spans) - 1)
    high = max(high, low)
    while True:
        steps = []
        if low > 0 and spans[high][1] - spans[low - 1][0] <= ROOM:
            steps.append(-1)
        if high + 1 < len(spans) and spans[high + 1][1] - spans[low][0] <= ROOM:
            steps.append(1)
        if not steps:
            return min(spans[low][0], keep[0]), max(spans[high][1], keep[1])
        if rng.choice(steps) < 0:
            low -= 1
        else:
            high += 1


def most_shared(question: str, text: str) -> Place:
    """Return the sentence that shares most words with the question, the first of equals."""
    asked = set(content_stems(question))
    spans = split_sentences(text)
    shared = [len(asked & set(content_stems(text[start:end]))) for start, end in spans]
    return spans[max(range(len(spans)), key=lambda n: (shared[n], -n))]


def row(
    question: str,
    text: str,
    window: Place,
    answers: Sequence[tuple[str, int]],
    title: str,
    origin: str,
) -> dict[str, Any]:
    """Return a row of the part of `text` in the window, with the answers that it holds whole."""
    start, end = window
    held = [(said, at - start) for said, at in answers if at >= start and at + len(said) <= end]
    context = text[start:end]
    assert all(context[at : at + len(said)] == said for said, at in held)
    return {
        "question": question,
        "context": context,
        "answers": held,
        "title": title,
        "origin": origin,
    }
