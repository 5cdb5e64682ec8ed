"""From a reader's logits to spans: the best one inside each piece that may be quoted.

Shape suffixes: S tokens of a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.generate.candidates import Candidate
from steelyard.generate.windows import Window

MAX_SPAN_TOKENS = 30
_NOTHING = -1e9

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ReadSpan:
    """`passages[place].text[start:end]`; `margin` is by how many logits it beats "no answer"."""

    place: int
    start: int
    end: int
    margin: float


def best_spans(
    window: Window, logits_S2: Floats, *, nothing: float, found: Sequence[Candidate]
) -> dict[int, ReadSpan]:
    """Return the best span inside each of `found` that the window shows, by its number.

    `logits_S2` are those of the window's own tokens, `nothing` is the sum of the two logits that
    speak for no answer.
    """
    sums_SS = logits_S2[:, 0][:, None] + logits_S2[:, 1][None, :] - np.float32(nothing)
    tokens = np.arange(len(logits_S2))
    lengths_SS = tokens[None, :] - tokens[:, None]
    sums_SS[(lengths_SS < 0) | (lengths_SS >= MAX_SPAN_TOKENS)] = _NOTHING
    starts_S = window.tokens.starts[window.first : window.last]
    ends_S = window.tokens.ends[window.first : window.last]
    best: dict[int, ReadSpan] = {}
    for number, candidate in enumerate(found):
        if candidate.place != window.place:
            continue
        low = int(np.searchsorted(starts_S, candidate.start))
        high = int(np.searchsorted(ends_S, candidate.end, side="right"))
        if low >= high:
            continue
        block = sums_SS[low:high, low:high]
        first, last = divmod(int(block.argmax()), high - low)
        best[number] = ReadSpan(
            window.place,
            int(starts_S[low + first]),
            int(ends_S[low + last]),
            float(block[first, last]),
        )
    return best


def merged(read: Sequence[dict[int, ReadSpan]]) -> dict[int, ReadSpan]:
    """Return each candidate's best span over all windows; the earlier one of equals."""
    best: dict[int, ReadSpan] = {}
    for each in read:
        for number, span in each.items():
            if number not in best or span.margin > best[number].margin:
                best[number] = span
    return best
