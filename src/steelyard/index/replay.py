"""Applying the truth's log, or all of the truth, to both indexes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from steelyard.core.protocols import Change, ChangeFeed, IndexRows
from steelyard.index.dense import Dense
from steelyard.index.lexical import Lexical

_MAX_CHANGES = 8192  # read at once
_MAX_ROWS = 512  # rows fetched at once: texts and vectors of some 2 MB


class LogTrimmed(Exception):
    """The log cannot bring the indexes to the truth's state: they must be rebuilt."""


def replay(feed: ChangeFeed, dense: Dense, lexical: Lexical, *, after: int, target: int) -> int:
    """Apply the log from `after` (excluded) to `target`; return how many steps.

    Applying a step twice does no harm. The caller publishes, or reverts if this raises.

    Raises:
        LogTrimmed: the log does not reach back to `after`.
    """
    num_changes = 0
    while after < target:
        changes = feed.changes(after=after, limit=_MAX_CHANGES)
        if changes is None:
            raise LogTrimmed(f"the log does not reach back to {after}")
        changes = [change for change in changes if change.seq <= target]
        if not changes:
            break
        _apply(feed, changes, dense, lexical)
        num_changes += len(changes)
        after = changes[-1].seq
    return num_changes


def replay_everything(feed: ChangeFeed, dense: Dense, lexical: Lexical) -> int:
    """Add every live chunk to two empty indexes; return the sequence number to go on from."""
    seq, chunk_ids = feed.live_chunk_ids()
    for start in range(0, len(chunk_ids), _MAX_ROWS):
        rows = _sorted(feed.rows(chunk_ids[start : start + _MAX_ROWS].tolist()))
        dense.add(rows)
        lexical.add(rows, fresh=True)
    return seq


def _apply(feed: ChangeFeed, changes: Sequence[Change], dense: Dense, lexical: Lexical) -> None:
    """Apply the last word of `changes` on each chunk."""
    added = {change.chunk_id: change.added for change in changes}
    wanted = sorted(chunk_id for chunk_id, is_added in added.items() if is_added)
    gone = {chunk_id for chunk_id, is_added in added.items() if not is_added}
    for start in range(0, len(wanted), _MAX_ROWS):
        batch = wanted[start : start + _MAX_ROWS]
        rows = _sorted(feed.rows(batch))
        gone.update(set(batch).difference(rows.chunk_ids.tolist()))  # went since
        dense.add(rows)
        lexical.add(rows)
    if gone:
        dense.remove(np.fromiter(gone, dtype=np.int64, count=len(gone)))
        lexical.remove(gone)


def _sorted(rows: IndexRows) -> IndexRows:
    order: NDArray[np.intp] = np.argsort(rows.chunk_ids, kind="stable")
    if np.array_equal(order, np.arange(len(order))):
        return rows
    return IndexRows(
        chunk_ids=rows.chunk_ids[order],
        classes=rows.classes[order],
        texts=[rows.texts[position] for position in order.tolist()],
        vectors=rows.vectors[order],
    )
