"""Which of many short texts share at least half of their characters' runs with a text: exactly.

A text that shares a share s of a set of n runs has at least m = ceil(s n) of them, so it lacks at
most n - m, and of the rarest n - m + l of the set it has at least l. Only those rarest runs are
looked up, and most are rare. Source: Bayardo, Ma & Srikant, WWW 2007 (prefix filtering).
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

# Shape suffixes: G runs of characters in texts asked about, V different runs that are looked up,
# P pairs of a run and a held text that has it, N held texts.
RUN_CHARS = 3
_BITS = 21  # of a character's code: three fit into 63
_CODE = (1 << _BITS) - 1
_WIDEST = 400_000  # counters at once: 3 MB, which a core's cache nearly holds


class Overlaps:
    """Held texts by their rarest runs of three characters; a text is words joined by spaces."""

    def __init__(self, texts: Sequence[str], *, share: float) -> None:
        """`share` is the Jaccard similarity from which a text is near."""
        sets = [set(_runs(text).tolist()) for text in texts]
        common = Counter(run for one in sets for run in one)
        self._share = share
        self._sizes_N = np.array([len(one) for one in sets], np.int64)
        self._met_N = np.ones(len(texts), np.int64)
        self._unlisted_N = np.zeros(len(texts), np.int64)
        pairs: list[tuple[int, int]] = []
        for n, one in enumerate(sets):
            least = math.ceil(share * len(one))
            self._met_N[n] = max(1, least // 4)
            self._unlisted_N[n] = least - self._met_N[n]
            rarest = sorted(one, key=lambda run: (common[run], run))
            pairs += [(run, n) for run in rarest[: len(one) - self._unlisted_N[n]]]
        pairs.sort()
        runs_P = np.array([run for run, _ in pairs], np.int64)
        self._held_P = np.array([n for _, n in pairs], np.int64)
        self._vocabulary_V, first_V = np.unique(runs_P, return_index=True)
        self._starts_V = np.append(first_V, len(pairs))

    def near(self, texts: Sequence[str]) -> Iterator[NDArray[np.int64]]:
        """Yield, a text, the numbers of held texts that may be near it: every one that is."""
        block = max(1, _WIDEST // max(1, len(self._sizes_N)))
        for begin in range(0, len(texts), block):
            yield from self._near(texts[begin : begin + block])

    def _near(self, texts: Sequence[str]) -> Iterator[NDArray[np.int64]]:
        num_held = len(self._sizes_N)
        if not len(self._vocabulary_V):
            yield from (np.zeros(0, np.int64) for _ in texts)
            return
        owners_G, runs_G, sizes = _sets(texts)
        at_G = np.searchsorted(self._vocabulary_V, runs_G)
        at_G[at_G == len(self._vocabulary_V)] = 0
        small = sizes * self._share <= self._sizes_N.max()  # no held text is near a longer one
        known = (self._vocabulary_V[at_G] == runs_G) & small[owners_G]
        at_G, owners_G = at_G[known], owners_G[known]
        lengths_G = self._starts_V[at_G + 1] - self._starts_V[at_G]
        ends_G = np.cumsum(lengths_G)
        total = int(ends_G[-1]) if len(ends_G) else 0
        places = np.repeat(self._starts_V[at_G] - (ends_G - lengths_G), lengths_G)
        held = self._held_P[places + np.arange(total)]
        cells = np.repeat(owners_G * num_held, lengths_G) + held
        counts = np.bincount(cells, minlength=len(texts) * num_held).reshape(-1, num_held)
        near, held = np.nonzero(counts >= self._met_N)
        # J >= s where both have at least s / (1 + s) of what the two have together.
        both = (sizes[near] + self._sizes_N[held]) * (self._share / (1 + self._share)) - 1e-6
        proved = counts[near, held] + self._unlisted_N[held] >= both
        near, held = near[proved], held[proved]
        yield from np.split(held, np.searchsorted(near, np.arange(1, len(texts))))


def _sets(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return each text's different runs: whose each is, the runs, and how many a text has."""
    runs = _runs(" \0 ".join(texts))
    ends = np.cumsum([len(text) + 3 for text in texts])
    owners = np.searchsorted(ends, np.arange(len(runs)), side="right")
    apart = (runs >> 2 * _BITS != 0) & (runs >> _BITS & _CODE != 0) & (runs & _CODE != 0)
    runs, owners = runs[apart], owners[apart]  # those with a NUL are of two texts
    order = np.lexsort((runs, owners))
    runs, owners = runs[order], owners[order]
    first = np.ones(len(runs), bool)
    first[1:] = (runs[1:] != runs[:-1]) | (owners[1:] != owners[:-1])
    return owners[first], runs[first], np.bincount(owners[first], minlength=len(texts))


def _runs(text: str) -> NDArray[np.int64]:
    """Return the runs of a text with a space put around it, one number each, in order."""
    codes = np.frombuffer(f" {text} ".encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)
    return (codes[:-2] << 2 * _BITS) | (codes[1:-1] << _BITS) | codes[2:]
