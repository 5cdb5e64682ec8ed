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
    holders: dict[object, list[int]] = {}  # phrase → places in `kept`
    for each in excerpts:
        phrases = each.reading.phrases
        allowed = int(len(phrases) * MAX_NEW)
        # A passage that lacks at most `allowed` phrases has one of any `allowed + 1`.
        probes = list(phrases)[: allowed + 1]
        places = sorted({place for probe in probes for place in holders.get(probe, ())})
        if any(_holds(kept[place], each, allowed, asked) for place in places):
            continue
        for phrase in phrases:
            holders.setdefault(phrase, []).append(len(kept))
        kept.append(each)
    return kept


def _holds(better: Excerpt, lesser: Excerpt, allowed: int, asked: frozenset[str]) -> bool:
    one, other = lesser.reading, better.reading
    if len(one.phrases - other.phrases) > allowed:
        return False
    said = better.says
    return (
        not one.facts - other.facts - other.phrases
        and not numbers(lesser.chunk.title) - numbers(better.chunk.title) - other.facts
        and lesser.headings <= said
        and not (asked & lesser.says) - said
    )
