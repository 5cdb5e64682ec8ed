"""Kept answers of this process, bounded by number, bytes and age."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from steelyard.cache.entry import Entry, Near
from steelyard.cache.options import CacheOptions
from steelyard.cache.question import normalised
from steelyard.cache.rows import Rows
from steelyard.core.ranking import Vector

_SWEEPS = 32  # expired entries that nobody asks for are removed so often in a time to live


@dataclass(frozen=True, slots=True)
class CacheStats:
    """`entries` and `bytes` now; the rest counted since the start."""

    entries: int
    bytes: int
    evictions: int
    expired: int


_Key = tuple[str, str]  # scope, normalised question


class AnswerCache:
    """Least recently served goes first. Safe to call from any thread; nothing blocks long.

    Whether a found entry may be served (same meaning, same sources) is its caller's business,
    who then says `validated` or `drop`.
    """

    def __init__(
        self, options: CacheOptions | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.options = options or CacheOptions()
        self._clock = clock
        self._max_bytes = self.options.max_mb * 1_000_000
        self._lock = threading.RLock()
        self._entries: OrderedDict[_Key, Entry] = OrderedDict()
        self._rows: dict[str, Rows] = {}
        self._bytes = 0
        self._evictions = 0
        self._expired = 0
        self._swept_at = clock()
        self._listener: Callable[[Entry], None] | None = None

    def exact(self, scope: str, question: str) -> Entry | None:
        """Return the entry of a question written the same in `scope`; None: there is none."""
        key = (scope, normalised(question))
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or self._is_over(key, entry):
                return None
            self._entries.move_to_end(key)
            return entry

    def peek(self, scope: str, question: str) -> Entry | None:
        """Return what `exact` would, without counting it as use."""
        key = (scope, normalised(question))
        with self._lock:
            entry = self._entries.get(key)
            return None if entry is None or self._is_over(key, entry) else entry

    def holds(self, scope: str) -> bool:
        """Tell whether any entry of `scope` could be found by its vector."""
        with self._lock:
            return scope in self._rows

    def nearest(self, scope: str, vector: Vector, *, at_least: float, limit: int) -> list[Near]:
        """Return up to `limit` entries of `scope` with a cosine of `at_least`, best first."""
        with self._lock:
            rows = self._rows.get(scope)
            if rows is None or vector.shape != (rows.dim,):
                return []
            near = []
            for question, cosine in rows.nearest(vector, at_least=at_least, limit=limit):
                key = (scope, question)
                entry = self._entries[key]
                if not self._is_over(key, entry):
                    near.append(Near(entry, cosine))
            return near

    def put(self, entry: Entry) -> None:
        """Keep an answer made here, instead of an older one to the same question."""
        if self.adopt(entry) and self._listener is not None:
            self._listener(entry)

    def adopt(self, entry: Entry) -> bool:
        """Keep an answer without telling the listener; False: it is too old or too large."""
        key = (entry.scope, normalised(entry.question))
        with self._lock:
            now = self._clock()
            entry = replace(entry, created_at=min(entry.created_at, now))
            if now - entry.created_at >= self.options.ttl_s or not self._fits(entry):
                return False
            self._sweep(now)
            self._remove(key)
            self._entries[key] = entry
            self._bytes += entry.size_bytes
            self._set_row(key, entry)
            while len(self._entries) > self.options.max_entries or self._bytes > self._max_bytes:
                self._remove(next(iter(self._entries)))
                self._evictions += 1
            return True

    def validated(self, entry: Entry, snapshot: int) -> Entry:
        """Note that `entry` was served and found valid at `snapshot`; return it as kept now."""
        with self._lock:
            key = self._key_if_kept(entry)
            if key is None:
                return entry
            kept = self._entries[key]
            if snapshot > kept.snapshot:
                self._bytes -= kept.size_bytes
                kept = self._entries[key] = replace(kept, snapshot=snapshot)
                self._bytes += kept.size_bytes
            self._entries.move_to_end(key)
            return kept

    def drop(self, entry: Entry) -> None:
        """Forget an answer found invalid; a newer one to the same question stays."""
        with self._lock:
            key = self._key_if_kept(entry)
            if key is not None:
                self._remove(key)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._rows.clear()
            self._bytes = 0

    def stats(self) -> CacheStats:
        with self._lock:
            return CacheStats(len(self._entries), self._bytes, self._evictions, self._expired)

    def newest(self, limit: int) -> list[Entry]:
        """Return up to `limit` kept entries, the last served first."""
        with self._lock:
            return list(islice(reversed(self._entries.values()), limit))

    def listen(self, listener: Callable[[Entry], None] | None) -> None:
        """Call `listener` with every entry that `put` keeps, on the thread that puts it."""
        self._listener = listener

    def _fits(self, entry: Entry) -> bool:
        row = 0 if entry.vector is None else Rows.least_bytes(entry.vector.size)
        return entry.size_bytes + row <= self._max_bytes

    def _set_row(self, key: _Key, entry: Entry) -> None:
        """Make the entry findable by its vector, unless that is of another space."""
        vector = entry.vector
        if vector is None or vector.ndim != 1 or not np.isfinite(vector).all():
            return
        scope, question = key
        rows = self._rows.get(scope)
        if rows is None:
            rows = self._rows[scope] = Rows(len(vector))
            self._bytes += rows.nbytes
        if rows.dim == len(vector):
            before = rows.nbytes
            rows.set(question, vector)
            self._bytes += rows.nbytes - before

    def _remove(self, key: _Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._bytes -= entry.size_bytes
        scope, question = key
        rows = self._rows.get(scope)
        if rows is None:
            return
        before = rows.nbytes
        rows.discard(question)
        if len(rows) == 0:
            del self._rows[scope]
            self._bytes -= before
        else:
            self._bytes += rows.nbytes - before

    def _is_over(self, key: _Key, entry: Entry) -> bool:
        """Tell whether the entry's time is over, and remove it then."""
        if self._clock() - entry.created_at < self.options.ttl_s:
            return False
        self._remove(key)
        self._expired += 1
        return True

    def _sweep(self, now: float) -> None:
        if abs(now - self._swept_at) < self.options.ttl_s / _SWEEPS:
            return
        self._swept_at = now
        for key, entry in list(self._entries.items()):
            self._is_over(key, entry)

    def _key_if_kept(self, entry: Entry) -> _Key | None:
        key = (entry.scope, normalised(entry.question))
        kept = self._entries.get(key)
        return key if kept is not None and kept.answer.id == entry.answer.id else None
