"""The questions' vectors of one scope, contiguous, so that a look-up is one product."""

import numpy as np
from numpy.typing import NDArray

from steelyard.core.ranking import Vector

# Shape suffixes: C capacity, N used rows, D dimensions.
_LEAST_ROWS = 4


class Rows:
    """A growing and shrinking matrix whose rows belong to keys; removal moves the last row."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._matrix_CD = np.empty((_LEAST_ROWS, dim), np.float32)
        self._keys: list[str] = []
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def nbytes(self) -> int:
        return self._matrix_CD.nbytes

    @staticmethod
    def least_bytes(dim: int) -> int:
        return _LEAST_ROWS * dim * 4

    def set(self, key: str, vector: Vector) -> None:
        place = self._places.get(key)
        if place is None:
            place = len(self._keys)
            if place == len(self._matrix_CD):
                self._resize(2 * place)
            self._keys.append(key)
            self._places[key] = place
        self._matrix_CD[place] = vector

    def discard(self, key: str) -> None:
        place = self._places.pop(key, None)
        if place is None:
            return
        last = self._keys.pop()
        if last != key:
            self._keys[place] = last
            self._places[last] = place
            self._matrix_CD[place] = self._matrix_CD[len(self._keys)]
        if _LEAST_ROWS < len(self._matrix_CD) >= 4 * len(self._keys):
            self._resize(len(self._matrix_CD) // 2)

    def nearest(self, vector: Vector, *, at_least: float, limit: int) -> list[tuple[str, float]]:
        """Return up to `limit` keys and cosines, best first; equal ones in order of key."""
        # Row by row: a product of the whole would wake the maths library's threads, which takes
        # 8 ms where the cores are busy, against 0.5.
        cosines_N: NDArray[np.float32] = np.vecdot(self._matrix_CD[: len(self._keys)], vector)
        found = np.flatnonzero(cosines_N >= at_least)
        if len(found) > limit:
            worst = np.partition(cosines_N[found], len(found) - limit)[len(found) - limit]
            found = found[cosines_N[found] >= worst]
        named = [(self._keys[place], float(cosines_N[place])) for place in found.tolist()]
        return sorted(named, key=lambda one: (-one[1], one[0]))[:limit]

    def _resize(self, capacity: int) -> None:
        bigger_CD = np.empty((capacity, self.dim), np.float32)
        used = len(self._keys)
        bigger_CD[:used] = self._matrix_CD[:used]
        self._matrix_CD = bigger_CD
