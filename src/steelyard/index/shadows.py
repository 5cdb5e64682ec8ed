"""The dense and the lexical index as one: they follow the truth's log and change together."""

from __future__ import annotations

import logging
import shutil
import threading
from pathlib import Path
from typing import Self

import numpy as np

from steelyard.core.errors import SteelyardError
from steelyard.core.protocols import ChangeFeed
from steelyard.index import snapshot
from steelyard.index.dense import Dense, merge
from steelyard.index.graph import Damaged
from steelyard.index.options import IndexOptions
from steelyard.index.place import Place, claim
from steelyard.index.replay import LogTrimmed, replay, replay_everything
from steelyard.index.upkeep import Upkeep
from steelyard.index.view import View

_log = logging.getLogger(__name__)

_SAVE_EVERY = 32  # chunks for each change that a crash may have to replay


class Shadows:
    """Keeps a `View` in step with a `ChangeFeed`; every method is safe from any thread.

    Nothing here is precious: a missing, torn or outdated snapshot is rebuilt from the feed.
    """

    def __init__(self, place: Place, feed: ChangeFeed, *, fingerprint: str) -> None:
        """Use `open`."""
        self._place = place
        self._feed = feed
        self._fingerprint = fingerprint
        self._writing = threading.RLock()  # one writer: refresh, or the end of a merge
        self._saving = threading.Lock()
        self._upkeep = Upkeep(due=self._upkeep_due, job=self._keep_up)
        self._closed = False
        self._num_unsaved = 0  # changes and merged rows since the last snapshot

    @classmethod
    def open(
        cls,
        directory: Path,
        feed: ChangeFeed,
        *,
        dim: int,
        fingerprint: str,
        options: IndexOptions | None = None,
    ) -> Self:
        """Load the snapshot in `directory` and replay the feed, or rebuild from the feed.

        If another process has the directory open, this one works on a private copy and
        leaves no trace.

        Raises:
            SetupError: the disk is full, or nothing can be written anywhere.
        """
        place = claim(directory)
        try:
            shadows = cls(place, feed, fingerprint=fingerprint)
            shadows._start(dim=dim, options=options or IndexOptions())
        except BaseException:
            place.release()
            raise
        return shadows

    @property
    def owner(self) -> bool:
        """Whether this process keeps the snapshot; others read a copy of it."""
        return self._place.owner

    def view(self) -> View:
        return self._view

    def refresh(self) -> int:
        """Apply what the feed has beyond the view, publish, and return the new seq.

        If it fails, the view stays as it is and the next call tries again.

        Raises:
            SetupError: the disk is full.
        """
        with self._writing:
            assert not self._closed, "this index is closed"
            target = self._feed.last_seq()
            if target == self._view.seq:
                return target
            try:
                if target < self._view.seq:
                    raise LogTrimmed(f"the log ends at {target}, before {self._view.seq}")
                num_changes = self._replay(target)
            except LogTrimmed as reason:
                _log.warning("index_rebuilt reason=%s", reason)
                num_changes = self._rebuild()
            self._num_unsaved += num_changes
            seq = self._view.seq
        self._upkeep.nudge()
        return seq

    def save(self) -> None:
        """Write a snapshot, if this process owns the directory and anything changed.

        Raises:
            SetupError: the disk is full or not writable.
        """
        if not self._place.owner:
            return
        with self._saving:
            with self._writing:
                view, lexical, num_unsaved = self._view, self._lexical, self._num_unsaved
            if not num_unsaved:
                return
            try:
                snapshot.save(
                    self._place.directory,
                    view.dense_view,
                    lexical.directory,
                    seq=view.seq,
                    fingerprint=self._fingerprint,
                )
            except FileNotFoundError:
                if lexical is self._lexical:
                    raise
                return  # rebuilt meanwhile; the next save is due already
            with self._writing:
                self._num_unsaved -= num_unsaved

    def settle(self, *, timeout_s: float | None = None) -> bool:
        """Wait until no merge or snapshot is due; return whether that came to be in time."""
        return self._upkeep.settle(timeout_s=timeout_s)

    def close(self) -> None:
        """Stop the upkeep, save and let the directory go. Views in use stay valid."""
        with self._writing:
            if self._closed:
                return
            self._closed = True
        self._upkeep.stop()
        try:
            self.save()
        except SteelyardError as error:  # only the next start gets slower
            _log.warning("index_not_saved reason=%s", error)
        finally:
            self._lexical.close()
            self._place.release()

    def _start(self, *, dim: int, options: IndexOptions) -> None:
        self._options = options
        self._dim = dim
        try:
            loaded = snapshot.load(
                self._place.directory, dim=dim, fingerprint=self._fingerprint, options=options
            )
        except (FileNotFoundError, Damaged) as reason:  # the first: it is new
            _log.log(
                logging.WARNING if isinstance(reason, Damaged) else logging.DEBUG,
                "index_rebuilt reason=%s",
                reason,
            )
            snapshot.remove_unnamed(self._place.directory, keep=set())
            self._num_unsaved += self._rebuild()
        else:
            self._dense, self._lexical = loaded.dense, loaded.lexical
            self._publish(loaded.seq)
            snapshot.remove_unnamed(self._place.directory, keep=loaded.folders)
            self.refresh()
            self._check_against_truth()
        self._upkeep.nudge()

    def _replay(self, target: int) -> int:
        """Apply the log up to `target` and publish; return the number of changes.

        Raises:
            LogTrimmed: the log is too short, or the two indexes do not agree afterwards.
        """
        try:
            num_changes = replay(
                self._feed, self._dense, self._lexical, after=self._view.seq, target=target
            )
            self._lexical.commit()
        except BaseException:
            self._dense.revert()
            self._lexical.revert()
            raise
        self._dense.publish()
        num_dense, num_lexical = self._dense.view.num_live, self._lexical.view.num_chunks
        if num_dense != num_lexical:
            raise LogTrimmed(
                f"{num_dense} chunks are in the dense index, {num_lexical} in the other"
            )
        self._publish(target)
        return num_changes

    def _rebuild(self) -> int:
        """Make both indexes anew beside the old ones, and publish; return the chunk count."""
        dense = Dense(dim=self._dim, options=self._options)
        lexical = snapshot.new_lexical(self._place.directory, options=self._options)
        try:
            seq = replay_everything(self._feed, dense, lexical)
            lexical.commit()
        except BaseException:
            lexical.close()
            shutil.rmtree(lexical.directory, ignore_errors=True)
            raise
        dense.publish()
        former = getattr(self, "_lexical", None)
        self._dense, self._lexical = dense, lexical
        self._publish(seq)
        if former is not None:
            former.close()
            shutil.rmtree(former.directory, ignore_errors=True)
        return max(1, dense.view.num_live)

    def _publish(self, seq: int) -> None:
        """The one assignment by which a question sees both indexes change at once."""
        self._view = View(seq, self._fingerprint, self._dense.view, self._lexical.view)

    def _check_against_truth(self) -> None:
        """Rebuild if the replayed snapshot does not hold exactly the live chunks."""
        with self._writing:
            dense, lexical = self._dense.view, self._lexical.view
            seq, chunk_ids = self._feed.live_chunk_ids()
            moved_on = seq != self._view.seq  # then there is nothing to compare with
            if dense.num_live == lexical.num_chunks and (
                moved_on or np.array_equal(chunk_ids, dense.chunk_ids())
            ):
                return
            _log.warning("index_rebuilt reason=its chunks are not the live ones")
            self._num_unsaved += self._rebuild()

    def _upkeep_due(self) -> bool:
        return self._merge_due() or self._save_due()

    def _keep_up(self) -> None:
        """Merge, and save on the way: a killed first build of a large index goes on from there."""
        while self._upkeep_due() and not self._upkeep.stopped():
            if self._save_due():
                self.save()
            else:
                self._merge_once()

    def _merge_due(self) -> bool:
        dense = self._dense.view
        return dense.num_tail > self._options.tail_rows or dense.worn

    def _save_due(self) -> bool:
        # A snapshot holds everything: written after every few changes it would outweigh them.
        enough = max(self._options.save_after_changes, self._view.num_chunks // _SAVE_EVERY)
        return self.owner and self._num_unsaved >= enough

    def _merge_once(self) -> None:
        """Merge a part of the tail into the graph, unless this index is being closed."""
        dense = self._dense
        merged = merge(dense.view, options=self._options, stopped=self._upkeep.stopped)
        if merged is None:
            return
        with self._writing:
            if dense is self._dense:  # else it was rebuilt meanwhile
                before = dense.view.graph.covers
                dense.adopt(merged)
                self._publish(self._view.seq)
                self._num_unsaved += max(1, merged.graph.covers - before)
