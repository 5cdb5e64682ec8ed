"""Which slots a question may see, worked out once a view instead of once a question.

At a million slots a mask is a megabyte: making one, counting it and listing it would cost a
question more than the walk through the graph.

Shape suffixes: N slots.
"""

from __future__ import annotations

import numpy as np

from steelyard.core.ranking import Allowed
from steelyard.index.rows import Mask, Rows, Slots

_MAX_KEPT = 16  # one byte a slot each; a server knows few distinct principals at once


class Admitted:
    """A set of slots: as a mask (N,), as their number, and listed when a scan needs it."""

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self.num = int(np.count_nonzero(mask))
        self._slots: Slots | None = None

    def slots(self) -> Slots:
        """Return the slots, ascending."""
        if self._slots is None:
            self._slots = np.flatnonzero(self.mask)
        return self._slots


class Memberships:
    """Which slots belong to a set of access classes, live or not.

    A slot never changes its class, so every view of one row store extends what the former
    ones found out.
    """

    def __init__(self) -> None:
        self._masks: dict[frozenset[int], Mask] = {}

    def of(self, classes: frozenset[int], rows: Rows) -> Mask:
        known = self._masks.get(classes, np.zeros(0, dtype=np.bool_))
        if len(known) < len(rows):
            wanted = np.fromiter(classes, dtype=np.int32, count=len(classes))
            known = np.concatenate([known, np.isin(rows.classes[len(known) :], wanted)])
            if classes in self._masks or len(self._masks) < _MAX_KEPT:
                self._masks[classes] = known
        return known[: len(rows)]  # another thread may have seen a newer view


class Admitting:
    """What one view admits by each `Allowed`. Threads may work one out twice, at no harm."""

    def __init__(self, rows: Rows, everything: Admitted, memberships: Memberships) -> None:
        self._rows = rows
        self._everything = everything
        self._memberships = memberships
        self._by_class: dict[frozenset[int], Admitted] = {}
        # By identity: the truth hands out one array for a filter until its answer changes. The
        # array is kept too, so that no other can take its place in memory.
        self._by_ids: dict[tuple[frozenset[int] | None, int], tuple[object, Admitted]] = {}

    def by(self, allowed: Allowed) -> Admitted:
        if allowed.chunk_ids is None:
            return self._classes(allowed.classes)
        key = (allowed.classes, id(allowed.chunk_ids))
        if (kept := self._by_ids.get(key)) is not None and kept[0] is allowed.chunk_ids:
            return kept[1]
        mask = self._classes(allowed.classes).mask & self._rows.holding(allowed.chunk_ids)
        admitted = Admitted(mask)
        if len(self._by_ids) < _MAX_KEPT and not allowed.chunk_ids.flags.writeable:
            self._by_ids[key] = (allowed.chunk_ids, admitted)
        return admitted

    def _classes(self, classes: frozenset[int] | None) -> Admitted:
        if classes is None:
            return self._everything
        if (kept := self._by_class.get(classes)) is not None:
            return kept
        admitted = Admitted(self._everything.mask & self._memberships.of(classes, self._rows))
        if len(self._by_class) < _MAX_KEPT:
            self._by_class[classes] = admitted
        return admitted
