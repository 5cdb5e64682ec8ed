"""Where the tokens of a document are, so that it is tokenised once and then only measured."""

import re
from array import array
from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from steelyard.core.protocols import Tokenizer

# A tokenizer is given this many characters at a time: its result takes some 200 bytes a token.
_WINDOW_CHARS = 65_536
# What lies between two token starts counts as one token for each so many characters: a tokenizer
# may see an endless word, or white space, as one token or none. The longest of the 30,522 word
# pieces of BERT has 18.
_MAX_TOKEN_CHARS = 24
_LAST_SPACE = re.compile(r"\s(?=\S*\Z)")
_SPACE_WINDOW = 256


class TokenMap:
    """The token starts of one text; counting and cutting cost a binary search."""

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self._text = text
        self._starts = array("q", _token_starts(text, tokenizer).tobytes())

    def count(self, start: int, end: int) -> int:
        """Return the number of tokens that begin in `text[start:end]`."""
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)

    def before(self, position: int, num_tokens: int) -> int:
        """Return where the token `num_tokens` before `position` starts; 0 before the first."""
        at = bisect_left(self._starts, position) - num_tokens
        return self._starts[at] if at >= 0 else 0

    def cut(self, start: int, end: int, num_tokens: int) -> int:
        """Return where to end a piece of at most `num_tokens` (1 or more) from `start`.

        The cut is at a space if one lies in the piece's second half, else between tokens. It is
        always beyond `start`, so one token of more characters than that goes whole.
        """
        first = bisect_left(self._starts, start)
        last = first + num_tokens
        if last >= len(self._starts) or self._starts[last] >= end:
            return end
        for at in range(last, first + (num_tokens + 1) // 2, -1):
            position = self._starts[at]
            if position > start and self._text[position - 1].isspace():
                return position
        while self._starts[last] <= start:  # several tokens may begin at one character
            last += 1
            if last == len(self._starts):
                return end
        return min(self._starts[last], end)


def _token_starts(text: str, tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Return the sorted starts of all tokens, wide gaps filled."""
    found: list[NDArray[np.int64]] = []
    begin = 0
    while begin < len(text):
        end = _window_end(text, begin)
        offsets = tokenizer.offsets(text[begin:end])
        found.append(np.fromiter((start for start, _ in offsets), np.int64, len(offsets)) + begin)
        begin = end
    starts = np.concatenate(found) if found else np.empty(0, np.int64)
    starts = np.maximum.accumulate(starts)
    edges = np.concatenate(([0], starts, [len(text)]))
    wide = np.flatnonzero(np.diff(edges) > _MAX_TOKEN_CHARS)
    filled = [
        np.arange(edges[at] + _MAX_TOKEN_CHARS, edges[at + 1], _MAX_TOKEN_CHARS) for at in wide
    ]
    return np.sort(np.concatenate([starts, *filled]).astype(np.int64))


def _window_end(text: str, begin: int) -> int:
    """Return where the window from `begin` ends: behind a space if there is one near."""
    end = begin + _WINDOW_CHARS
    if end >= len(text):
        return len(text)
    near = _LAST_SPACE.search(text[end - _SPACE_WINDOW : end])
    return end - _SPACE_WINDOW + near.end() if near else end
