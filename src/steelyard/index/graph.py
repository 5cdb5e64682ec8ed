"""The approximate half of dense search: an HNSW graph over codes of the first slots.

The codes (codes.py) only choose candidates; scores come from the f16 rows (rows.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from usearch.index import BatchMatches, Index

from steelyard.core.ranking import Vector
from steelyard.index.codes import CODINGS, Codes, Coding
from steelyard.index.options import IndexOptions
from steelyard.index.rows import Slots
from steelyard.index.twins import Twins, hashes_of

_BATCH_ROWS = 256  # between two looks at the stop signal
_SELF_CHECK_HITS = 8


class Damaged(Exception):
    """A file of the snapshot is torn, or is not the one expected: the index is rebuilt."""


class Graph:
    """Finds candidate slots. Not changed after it is published: `extended` works on a copy."""

    def __init__(
        self, index: Index, *, covers: int, loose: Slots, twins: Twins, options: IndexOptions
    ) -> None:
        self._index = index
        self._options = options
        self._coding = CODINGS[options.vectors]
        self.covers = covers  # slots below this are in the graph, a twin of one, or dead
        self.loose = loose  # slots that no walk finds, though they are in the graph: scan them
        self.twins = twins

    @classmethod
    def empty(cls, *, dim: int, options: IndexOptions) -> Graph:
        loose = np.empty(0, dtype=np.int64)
        return cls(
            _new_index(dim, options), covers=0, loose=loose, twins=Twins.none(), options=options
        )

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        dim: int,
        covers: int,
        loose: Slots,
        twins: Twins,
        options: IndexOptions,
    ) -> Graph:
        """Read a graph.

        Raises:
            Damaged: usearch cannot read the file, or it holds slots it should not.
        """
        index = _new_index(dim, options)
        try:
            index.load(path)
        except (RuntimeError, ValueError, OSError) as error:  # usearch has no class of its own
            raise Damaged(f"the graph {path.name!r} cannot be read: {error}") from error
        if index.ndim != dim or index.connectivity != options.connectivity or len(index) > covers:
            raise Damaged(
                f"the graph {path.name!r} has {index.ndim} dimensions, connectivity "
                f"{index.connectivity} and {len(index)} slots; expected {dim}, "
                f"{options.connectivity} and at most {covers}"
            )
        return cls(index, covers=covers, loose=loose, twins=twins, options=options)

    def __len__(self) -> int:
        return len(self._index) + len(self.twins.followers)

    @property
    def vectors(self) -> str:
        """The form of the vectors that it holds: see `IndexOptions.vectors`."""
        return self._options.vectors

    @property
    def least_walk(self) -> int:
        """How many candidates the cheapest walk that is worth it returns."""
        return self._options.expansion_search

    def pool(self, k: int) -> int:
        """Return how many of the best by code hold the k best."""
        return max(k * self._coding.oversampling, self._coding.least_pool)

    def save(self, path: Path) -> None:
        self._index.save(path)

    def candidates(self, vector: Vector, *, count: int) -> Slots:
        """Return some `count` slots near `vector` by their codes, and the twins of these."""
        if not len(self._index):
            return np.empty(0, dtype=np.int64)
        count = min(count, len(self._index))
        matches = self._index.search(self._coding.encode(vector), count, threads=1)
        return self.twins.with_followers(matches.keys.astype(np.int64))

    def extended(
        self,
        slots: Slots,
        vectors: NDArray[np.float16],
        *,
        covers: int,
        stopped: Callable[[], bool],
    ) -> Graph | None:
        """Return a copy that also holds `slots`, whose rows are in `vectors`; None if stopped.

        Costs a copy of the graph (1 µs a row) and about half a millisecond a new row.
        """
        encode = self._coding.encode
        hashes = [hashes_of(encode(vectors[some])) for some in _batches(slots)]
        joined = np.concatenate([self.twins.hashes[:0], *hashes])
        leaders = self.twins.leaders_of(joined, slots)
        leading = slots[leaders == slots]
        index = self._copy()
        for some in _batches(leading):
            if stopped():
                return None
            index.add(some.astype(np.uint64), encode(vectors[some]), threads=1)
        loose = [slots[:0]]
        for some in _batches(np.concatenate([self.loose, leading])):
            if stopped():
                return None
            loose.append(_unfound(index, some, encode(vectors[some])))
        return Graph(
            index,
            covers=covers,
            loose=np.concatenate(loose),
            twins=self.twins.joined(joined, slots, leaders),
            options=self._options,
        )

    def _copy(self) -> Index:
        if len(self._index):
            return self._index.copy()
        return _new_index(self._index.ndim, self._options)


def _new_index(dim: int, options: IndexOptions) -> Index:
    coding: Coding = CODINGS[options.vectors]
    return Index(
        ndim=dim,
        metric=coding.metric,
        dtype=coding.scalar,
        connectivity=options.connectivity,
        expansion_add=options.expansion_add,
        expansion_search=options.expansion_search,
    )


def _batches(slots: Slots) -> Iterator[Slots]:
    for start in range(0, len(slots), _BATCH_ROWS):
        yield slots[start : start + _BATCH_ROWS]


def _unfound(index: Index, slots: Slots, codes: Codes) -> Slots:
    """Return those of `slots` which a search for their own code does not find."""
    matches = index.search(codes, _SELF_CHECK_HITS, threads=1)
    keys = np.asarray(matches.keys).reshape(len(slots), -1)
    # usearch answers a batch of one as a single question, without counts.
    counts = matches.counts if isinstance(matches, BatchMatches) else [keys.shape[1]]
    hits = np.arange(keys.shape[1]) < np.asarray(counts)[:, None]
    found: NDArray[np.bool_] = ((keys == slots[:, None].astype(np.uint64)) & hits).any(axis=1)
    return slots[~found]
