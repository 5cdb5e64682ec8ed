"""Which part of a long passage a reranker sees, served or trained."""

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]


def best_window(passage_T: Ids, question: Ids, *, room: int) -> Ids:
    """Return the `room` (>= 1) tokens in a row that cover most of the question's tokens.

    A question token that the passage has n times counts 1 / n each time, so a window with
    many different ones beats a window that repeats one. Ties go to the earliest.
    """
    if len(passage_T) <= room:
        return passage_T
    found_T = np.isin(passage_T, question)
    _, places_T, counts = np.unique(passage_T, return_inverse=True, return_counts=True)
    weights_T = np.where(found_T, 1.0 / counts[places_T], 0.0)
    sums = np.concatenate([[0.0], np.cumsum(weights_T)])
    gains = sums[room:] - sums[:-room]
    # Sums in another order differ in the last bits: a later window must win by more than that.
    start = int(np.flatnonzero(gains >= gains.max() - 1e-9)[0])
    return passage_T[start : start + room]
