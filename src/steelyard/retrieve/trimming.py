"""Leaving out the last sentences of a passage, where they say nothing about the question."""

import re
from collections.abc import Sequence

from steelyard.retrieve.excerpts import Excerpt

MARGIN = 1  # sentences kept behind the last of those: an answer often follows what was asked for
_STRUCTURED = re.compile(r"^(?:[ \t]*(?:[|>]|[-*+•][ \t]|\d{1,3}[.)][ \t]|```|~~~)|    )", re.M)


def trimmed(excerpts: Sequence[Excerpt], asked: frozenset[str]) -> list[Excerpt]:
    """Return `excerpts`, best first, without closing sentences that don't concern `asked`.

    A sentence does if it shares a word with the question that title and headings lack: those
    hold for all of a text alike. The best excerpt, lists, tables and code stay whole, and so
    does a text that shares no word. A text keeps its beginning: that says what "it" and "they"
    are further on.
    """
    return [*excerpts[:1], *(_trimmed(each, asked - each.above) for each in excerpts[1:])]


def _trimmed(excerpt: Excerpt, asked: frozenset[str]) -> Excerpt:
    reading, text = excerpt.reading, excerpt.chunk.text
    if asked.isdisjoint(reading.stems) or _STRUCTURED.search(text):
        return excerpt
    final = len(reading.words) - 1
    last = max((i for i, words in enumerate(reading.words) if words & asked), default=final)
    last = min(last + MARGIN, final)
    while last < final and text[reading.sentences[last][1] - 1] == ":":
        last += 1
    return excerpt if last == final else excerpt.cut(reading.sentences[last][1])
