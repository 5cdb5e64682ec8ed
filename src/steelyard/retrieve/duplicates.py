"""Leaving out passages that say what a better one says already."""

from collections.abc import Sequence

from steelyard.core.words import numbers
from steelyard.retrieve.excerpts import Excerpt

MAX_NEW = 0.1
"""Share of a passage's words and pairs of words that a better one may lack."""


def without_duplicates(excerpts: Sequence[Excerpt], asked: frozenset[str]) -> list[Excerpt]:
    """Return `excerpts`, best first, without those that a better one nearly or wholly holds.

    A few new words are let go, but never a number, a name, a negation, a heading or a word of
    the question (`asked`): with those, passages that look the same say different things.
    """
    kept: list[Excerpt] = []
    for each in excerpts:
        if not any(_holds(better, each, asked) for better in kept):
            kept.append(each)
    return kept


def _holds(better: Excerpt, lesser: Excerpt, asked: frozenset[str]) -> bool:
    one, other = lesser.reading, better.reading
    allowed = int(len(one.phrases) * MAX_NEW)
    # A text that lacks at most `allowed` of the phrases has one of any `allowed + 1` of them.
    if other.phrases.isdisjoint(one.rarest[: allowed + 1]):
        return False
    if len(one.phrases - other.phrases) > allowed:
        return False
    said = better.says
    return (
        not one.facts - other.facts - other.phrases
        and not numbers(lesser.chunk.title) - numbers(better.chunk.title) - other.facts
        and lesser.headings <= said
        and not (asked & lesser.says) - said
    )
