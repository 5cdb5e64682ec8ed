"""The index's own rows: chunk id, access class and vector of every slot, in slot order.

Shape suffixes: N slots, D dimensions, M chosen rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from usearch.compiled import MetricKind
from usearch.index import search

from steelyard.core.ranking import Hit, Ranking, Vector

# Rows copied together for an exact scan: 8,192 rows of 384 f16 values are 6 MB, which stays
# in the second and third level caches while the kernel reads it back.
_BLOCK_ROWS = 8192
_GROWTH = 1.25
_MIN_CAPACITY = 1024
# Rows fetched beyond k, so that equal scores at the border are ordered by chunk id.
TIE_MARGIN = 8
_FEW = 16  # fewer than one slot in so many: look each id up
_MAX_SPREAD = 8  # bytes of lookup table a value; beyond it, search

Slots = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rows:
    """The first N slots at one moment; later appends never touch them."""

    chunk_ids: NDArray[np.int64]  # (N,)
    classes: NDArray[np.int32]  # (N,)
    vectors: NDArray[np.float16]  # (N, D), unit length
    ascending: bool  # chunk ids grow with the slot, as they do unless one came back

    def __len__(self) -> int:
        return len(self.chunk_ids)

    def holding(self, chunk_ids: NDArray[np.int64]) -> Mask:
        """Mark the slots whose chunk is among `chunk_ids` (sorted, unique)."""
        if not len(self) or not len(chunk_ids):
            return np.zeros(len(self), dtype=np.bool_)
        if not self.ascending:
            return among(self.chunk_ids, chunk_ids)
        mask = np.zeros(len(self), dtype=np.bool_)
        if len(chunk_ids) < len(self) // _FEW:
            slots = np.minimum(np.searchsorted(self.chunk_ids, chunk_ids), len(self) - 1)
            mask[slots[self.chunk_ids[slots] == chunk_ids]] = True
            return mask
        ends = [int(chunk_ids[0]), int(chunk_ids[-1]) + 1]
        first, stop = np.searchsorted(self.chunk_ids, ends).tolist()
        within = self.chunk_ids[first:stop]
        if len(within):
            mask[first:stop] = _marked(within, chunk_ids)
        return mask

    def nearest(self, vector: Vector, slots: Slots, *, k: int) -> Ranking:
        """Return the k best of `slots` (ascending, unique) by exact cosine (f16 rows, f32 sums)."""
        wanted = min(k + TIE_MARGIN, len(slots))
        while wanted:
            found, scores = self._scan(vector.astype(np.float16), slots, wanted)
            ranking = ranked(self.chunk_ids[found], scores, k=k)
            cut_a_tie = len(scores) > k and scores.min() == ranking.hits[-1].score
            if not cut_a_tie or wanted == len(slots):
                return ranking
            wanted = min(wanted * 4, len(slots))
        return Ranking()

    def _scan(
        self, vector: NDArray[np.float16], slots: Slots, wanted: int
    ) -> tuple[Slots, NDArray[np.float32]]:
        """Return the best `wanted` slots and their scores, in no order."""
        best_slots, best_scores = slots[:0], np.empty(0, dtype=np.float32)
        for block in _blocks(slots):
            first, last = int(block[0]), int(block[-1])
            unbroken = last - first + 1 == len(block)  # then no copy is needed
            rows_MD = self.vectors[first : last + 1] if unbroken else self.vectors[block]
            matches = search(
                rows_MD, vector, min(wanted, len(block)), MetricKind.IP, exact=True, threads=1
            )
            found = block[matches.keys.astype(np.int64)]
            best_slots = np.concatenate([best_slots, found])
            best_scores = np.concatenate([best_scores, 1.0 - matches.distances])
            if len(best_slots) > wanted:
                top = np.argpartition(-best_scores, wanted - 1)[:wanted]
                best_slots, best_scores = best_slots[top], best_scores[top]
        return best_slots, best_scores


def _blocks(slots: Slots) -> Iterator[Slots]:
    """Cut ascending slots into blocks; the unbroken end, where the newest are, stands alone."""
    offsets = slots - np.arange(len(slots))
    end = int(np.searchsorted(offsets, offsets[-1]))
    for part in (slots[:end], slots[end:]):
        for start in range(0, len(part), _BLOCK_ROWS):
            yield part[start : start + _BLOCK_ROWS]


def among(values: NDArray[np.int64], chunk_ids: NDArray[np.int64]) -> Mask:
    """Mark the values that are among `chunk_ids` (sorted, unique, not empty)."""
    low, high = int(chunk_ids[0]), int(chunk_ids[-1])
    if high - low < _MAX_SPREAD * len(values):
        inside = (values >= low) & (values <= high)
        return inside & _table(chunk_ids, low, high)[np.where(inside, values - low, 0)]
    places = np.minimum(np.searchsorted(chunk_ids, values), len(chunk_ids) - 1)
    found: Mask = chunk_ids[places] == values
    return found


def _marked(values: NDArray[np.int64], chunk_ids: NDArray[np.int64]) -> Mask:
    """Mark the values (ascending, unique, not empty) that are among `chunk_ids`."""
    low, high = int(values[0]), int(values[-1])
    if high - low >= _MAX_SPREAD * len(values):
        return among(values, chunk_ids)
    first, stop = np.searchsorted(chunk_ids, [low, high + 1]).tolist()
    table = _table(chunk_ids[first:stop], low, high)
    return table if len(table) == len(values) else table[values - low]


def _table(chunk_ids: NDArray[np.int64], low: int, high: int) -> Mask:
    """Return for each number from `low` to `high` whether it is one of `chunk_ids`."""
    table = np.zeros(high - low + 1, dtype=np.bool_)
    table[chunk_ids - low] = True
    return table


class RowStore:
    """Rows that only grow; a view of the first N stays true while more are appended."""

    def __init__(self, *, dim: int) -> None:
        self._size = 0
        self._ascending = True
        self._chunk_ids = np.empty(0, dtype=np.int64)
        self._classes = np.empty(0, dtype=np.int32)
        self._vectors = np.empty((0, dim), dtype=np.float16)

    def __len__(self) -> int:
        return self._size

    def append(
        self,
        chunk_ids: NDArray[np.int64],
        classes: NDArray[np.int32],
        vectors: NDArray[np.float16],
    ) -> None:
        size = self._size + len(chunk_ids)
        self._grow(size)
        if len(chunk_ids):
            joined = np.concatenate([self._chunk_ids[self._size - 1 : self._size], chunk_ids])
            self._ascending = self._ascending and bool(np.all(joined[1:] > joined[:-1]))
        self._chunk_ids[self._size : size] = chunk_ids
        self._classes[self._size : size] = classes
        self._vectors[self._size : size] = vectors
        self._size = size

    def view(self) -> Rows:
        size = self._size
        return Rows(
            self._chunk_ids[:size], self._classes[:size], self._vectors[:size], self._ascending
        )

    def revert(self, rows: Rows) -> None:
        """Forget what was appended after the view `rows`."""
        self._size, self._ascending = len(rows), rows.ascending

    def _grow(self, size: int) -> None:
        """Make room; fresh pages cost no memory before they are written."""
        if size <= len(self._chunk_ids):
            return
        capacity = max(_MIN_CAPACITY, int(size * _GROWTH))
        old = self.view()
        self._chunk_ids = np.empty(capacity, dtype=np.int64)
        self._classes = np.empty(capacity, dtype=np.int32)
        self._vectors = np.empty((capacity, old.vectors.shape[1]), dtype=np.float16)
        self._chunk_ids[: self._size] = old.chunk_ids
        self._classes[: self._size] = old.classes
        self._vectors[: self._size] = old.vectors


def ranked(chunk_ids: NDArray[np.int64], scores: NDArray[np.float32], *, k: int) -> Ranking:
    """Return the k best by score; equal scores are ordered by chunk id."""
    order = np.lexsort((chunk_ids, -scores))[:k]
    return Ranking(
        tuple(
            Hit(chunk_id, score)
            for chunk_id, score in zip(
                chunk_ids[order].tolist(), scores[order].tolist(), strict=True
            )
        )
    )
