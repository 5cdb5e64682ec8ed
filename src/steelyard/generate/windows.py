"""What a span reader sees: runs of whole sentences of the passages, short enough for one run.

Shape suffixes: T tokens of a passage.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steelyard.core.chat import Passage
from steelyard.core.sentences import split_sentences
from steelyard.core.words import content_stems, stems
from steelyard.infra.bert import PlacedTokens

_WORTH_OF_RANK = 0.5  # of the first passage, in shares of the question's words


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `[first, last)` of `passages[place]`; `tokens` are all of that passage's."""

    place: int
    tokens: PlacedTokens
    first: int
    last: int

    @property
    def start(self) -> int:
        """Return the first character, in the passage's text."""
        return int(self.tokens.starts[self.first])

    @property
    def end(self) -> int:
        return int(self.tokens.ends[self.last - 1])


def windows(
    passages: Sequence[Passage], *, tokenise: Callable[[str], PlacedTokens], room: int
) -> list[Window]:
    """Return windows of at most `room` (>= 1) tokens that together hold every token, in order.

    One begins with the last sentence of the one before it where both fit, so that no two
    neighbours are only ever seen apart. A sentence that is longer than a window is cut.
    """
    found: list[Window] = []
    for place, passage in enumerate(passages):
        tokens = tokenise(passage.text)
        pieces = _pieces(passage.text, tokens, room=room)
        at = 0
        while at < len(pieces):
            first = pieces[at][0]
            until = at + 1
            while until < len(pieces) and pieces[until][1] - first <= room:
                until += 1
            found.append(Window(place, tokens, first, pieces[until - 1][1]))
            again = (
                until - at > 1
                and until < len(pieces)
                and pieces[until][1] - pieces[until - 1][0] <= room
            )
            at = until - 1 if again else until
    return found


def promising(
    question: str, passages: Sequence[Passage], found: Sequence[Window], *, limit: int
) -> list[Window]:
    """Return the `limit` windows with most of the question's words, rare ones first; best first.

    A better passage counts for more; ties go to the earlier window.
    """
    words = [frozenset(stems(passages[one.place].text[one.start : one.end])) for one in found]
    counts = Counter(word for each in words for word in each)
    weights = {
        word: math.log(1 + (len(found) + 0.5) / (counts[word] + 0.5))
        for word in content_stems(question)
    }
    total = sum(weights.values()) or 1.0

    def worth(n: int) -> float:
        share = sum(weight for word, weight in weights.items() if word in words[n]) / total
        return share + _WORTH_OF_RANK / (1 + found[n].place)

    order = sorted(range(len(found)), key=lambda n: (-worth(n), n))
    return [found[n] for n in order[:limit]]


def _pieces(text: str, tokens: PlacedTokens, *, room: int) -> list[tuple[int, int]]:
    """Return the tokens of each sentence as `[first, last)`, long sentences cut."""
    num_tokens = len(tokens.ids)
    ends = [end for _, end in split_sentences(text)]
    pieces: list[tuple[int, int]] = []
    first = 0
    for n, end in enumerate(ends):
        last = first
        while last < num_tokens and (tokens.starts[last] < end or n == len(ends) - 1):
            last += 1
        pieces += [(cut, min(cut + room, last)) for cut in range(first, last, room)]
        first = last
    return pieces
