"""Dense search: the graph for what is settled, exact scans for the newest and the filtered.

Shape suffixes: N slots, D dimensions, M chosen rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from steelyard.core.protocols import IndexRows
from steelyard.core.ranking import Allowed, Ranking, Vector
from steelyard.index.admitted import Admitted, Admitting, Memberships
from steelyard.index.graph import Graph
from steelyard.index.options import IndexOptions
from steelyard.index.planner import enough, narrowest, walks
from steelyard.index.rows import Mask, Rows, RowStore, Slots

# Dead slots stay in the graph and cost candidates; past this share it is built anew.
_MAX_DEAD_SHARE = 0.25
_STEP_SHARE = 1 / 8  # of the graph


@dataclass(frozen=True, slots=True)
class DenseView:
    """The live rows at one moment. Slots from `graph.covers` on are the tail: scanned."""

    rows: Rows
    live: Mask  # (N,)
    num_live: int
    graph: Graph
    _admitting: Admitting

    def search(self, vector: Vector, *, k: int, allowed: Allowed) -> Ranking:
        """Return the k nearest allowed chunks; fewer only if fewer are allowed."""
        admitted = self._admitting.by(allowed)
        mask = admitted.mask
        if self.graph.covers:
            num_total, wide = len(self.graph), self.graph.pool(k)
            least = narrowest(num_total, least=self.graph.least_walk)
            for count in walks(k=wide, num_allowed=admitted.num, num_total=num_total, least=least):
                near = self.graph.candidates(vector, count=count)
                near = near[mask[near]]
                if len(near) >= enough(wide):
                    return self.rows.nearest(vector, self._with_unwalked(near, mask), k=k)
        return self.rows.nearest(vector, admitted.slots(), k=k)

    def share(self, allowed: Allowed) -> float:
        """Return an upper bound of the share of the live chunks that `allowed` admits."""
        if not self.num_live:
            return 1.0
        share = 1.0
        if allowed.classes is not None:
            share = self._admitting.by(Allowed(classes=allowed.classes)).num / self.num_live
        if allowed.chunk_ids is not None:
            share = min(share, len(allowed.chunk_ids) / self.num_live)
        return share

    def chunk_ids(self) -> NDArray[np.int64]:
        """Return the live chunk ids, sorted."""
        return np.sort(self.rows.chunk_ids[self.live])

    @property
    def num_tail(self) -> int:
        return len(self.rows) - self.graph.covers

    @property
    def worn(self) -> bool:
        """Whether so many slots are dead that the rows should be packed anew."""
        num_dead = len(self.rows) - self.num_live
        return num_dead > max(_MAX_DEAD_SHARE * len(self.rows), self.graph.least_walk)

    def _with_unwalked(self, near: Slots, mask: Mask) -> Slots:
        """Return `near` and the allowed slots that no walk can find: the loose, and the tail."""
        loose = self.graph.loose
        walked = np.union1d(near, loose[mask[loose]])  # a loose one may be near all the same
        tail = np.flatnonzero(mask[self.graph.covers :]) + self.graph.covers
        return np.concatenate([walked, tail])


class Dense:
    """The writing side; calls must not overlap. `view` changes only by `publish` and `adopt`."""

    def __init__(self, *, dim: int, options: IndexOptions) -> None:
        self.dim = dim
        self._options = options
        self._store = RowStore(dim=dim)
        self._live = np.zeros(0, dtype=np.bool_)
        self._graph = Graph.empty(dim=dim, options=options)
        self._memberships = Memberships()
        self.view = self._view()

    @classmethod
    def restored(cls, rows: Rows, live: Mask, graph: Graph, *, options: IndexOptions) -> Dense:
        """Return a writer that goes on from a snapshot."""
        dense = cls(dim=rows.vectors.shape[1], options=options)
        dense._store.append(rows.chunk_ids, rows.classes, rows.vectors)
        dense._live, dense._graph = live, graph
        dense.publish()
        return dense

    def remove(self, chunk_ids: NDArray[np.int64]) -> None:
        """Let chunks go; unknown ones are no error, a replayed log names them."""
        if len(chunk_ids):
            self._live = self._live & ~self._store.view().holding(np.unique(chunk_ids))

    def add(self, rows: IndexRows) -> None:
        """Add chunks; one that is already here is replaced."""
        if not len(rows.chunk_ids):
            return
        assert rows.vectors.shape == (len(rows.chunk_ids), self.dim), rows.vectors.shape
        self.remove(rows.chunk_ids)
        self._store.append(rows.chunk_ids, rows.classes, rows.vectors)
        self._live = np.concatenate([self._live, np.ones(len(rows.chunk_ids), dtype=np.bool_)])

    def publish(self) -> DenseView:
        self.view = self._view()
        return self.view

    def revert(self) -> None:
        """Forget every change since the last `publish`."""
        self._store.revert(self.view.rows)
        self._live, self._graph = self.view.live, self.view.graph

    def adopt(self, merged: Merged) -> DenseView:
        """Publish a merge's result beside what was applied since it began."""
        assert len(self._store) == len(self.view.rows), "publish or revert first"
        if merged.kept is not None:
            rows, start = self.view.rows, merged.started_at
            store = merged.store
            store.append(rows.chunk_ids[start:], rows.classes[start:], rows.vectors[start:])
            self._store, self._memberships = store, Memberships()
            self._live = np.concatenate([self._live[:start][merged.kept], self._live[start:]])
        self._graph = merged.graph
        return self.publish()

    def _view(self) -> DenseView:
        rows, live = self._store.view(), self._live
        everything = Admitted(live)
        return DenseView(
            rows=rows,
            live=live,
            num_live=everything.num,
            graph=self._graph,
            _admitting=Admitting(rows, everything, self._memberships),
        )


@dataclass(frozen=True, slots=True)
class Merged:
    """A graph that covers more; with `kept`, over rows packed anew into `store`."""

    graph: Graph
    started_at: int = 0
    kept: Slots | None = None
    store: RowStore = field(default_factory=lambda: RowStore(dim=0))


def merge(view: DenseView, *, options: IndexOptions, stopped: Callable[[], bool]) -> Merged | None:
    """Bring the tail of `view` into a new graph; None if stopped. Slow: run it aside.

    A worn view is packed and its graph built anew. Otherwise at most `tail_rows`, or an eighth
    of the graph, are taken a call: a long tail shrinks in steps that questions profit from at
    once, and copying the graph for each step costs no more than ten copies in all.
    """
    if view.worn:
        return _packed(view, options=options, stopped=stopped)
    start = view.graph.covers
    step = max(options.tail_rows, int(start * _STEP_SHARE))
    end = min(len(view.rows), start + step)
    slots = np.flatnonzero(view.live[start:end]) + start
    graph = view.graph.extended(slots, view.rows.vectors, covers=end, stopped=stopped)
    return None if graph is None else Merged(graph)


def _packed(
    view: DenseView, *, options: IndexOptions, stopped: Callable[[], bool]
) -> Merged | None:
    rows, kept = view.rows, np.flatnonzero(view.live)
    store = RowStore(dim=rows.vectors.shape[1])
    store.append(rows.chunk_ids[kept], rows.classes[kept], rows.vectors[kept])
    packed = store.view()
    graph = Graph.empty(dim=rows.vectors.shape[1], options=options).extended(
        np.arange(len(packed)), packed.vectors, covers=len(packed), stopped=stopped
    )
    return None if graph is None else Merged(graph, started_at=len(rows), kept=kept, store=store)
