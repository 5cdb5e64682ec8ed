"""Who may read what: access classes, and what a query is allowed to find."""

import sqlite3
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import InputError
from steelyard.core.ranking import Allowed, Principal, Query
from steelyard.infra.sqlite import Database
from steelyard.store.codec import dump, dump_groups, load_groups
from steelyard.store.filter_fields import Condition
from steelyard.store.filters import compile_filter
from steelyard.store.matching import Matching, all_matching, brought_up

K = TypeVar("K")
V = TypeVar("V")

_CACHED_CLASS_SETS = 1024
_CACHED_FILTERS = 16
_CACHED_CONDITIONS = 256


@dataclass(frozen=True, slots=True)
class AccessClass:
    """All documents of one collection that the same groups may read; fixed for ever."""

    collection: str
    groups: frozenset[str]


class Access:
    """Decides visibility; by default nothing is visible.

    Results are kept per sequence number: whatever changes what can be seen moves that number,
    and the log says which chunks changed, so a filter's result is brought up to date by those.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._classes: dict[int, AccessClass] = {}
        self._conditions: OrderedDict[str, Condition] = OrderedDict()
        self._seq = -1
        self._live: frozenset[int] = frozenset()
        self._class_sets: OrderedDict[tuple[str, frozenset[str]], frozenset[int] | None]
        self._class_sets = OrderedDict()
        self._filtered: OrderedDict[tuple[str, str], Matching] = OrderedDict()

    def allowed(self, query: Query) -> Allowed:
        """Return what a query may find: classes by access, chunk ids if it has a filter.

        Raises:
            InputError: the filter is malformed (code `bad_filter`).
        """
        condition = self.condition(query)
        with self._database.snapshot() as connection:
            seq = int(connection.execute("SELECT seq FROM home").fetchone()[0])
            classes = self._class_set(connection, seq, query)
            if condition is None:
                return Allowed(classes=classes)
            chunk_ids = self._matching(connection, seq, query, condition)
            return Allowed(classes=classes, chunk_ids=chunk_ids)

    def condition(self, query: Query) -> Condition | None:
        """Return the query's filter as SQL over `documents AS d`; None without a filter."""
        if not query.filter:
            return None
        key = _filter_key(query)
        with self._lock:
            if (known := self._conditions.get(key)) is not None:
                return known
        condition = compile_filter(query.filter)
        with self._lock:
            _remember(self._conditions, key, condition, limit=_CACHED_CONDITIONS)
        return condition

    def readable(self, connection: sqlite3.Connection, class_id: int, principal: Principal) -> bool:
        """Tell whether a principal's groups reach a class that a reader has seen."""
        known = self._classes.get(class_id) or self._definitions(connection)[class_id]
        return not known.groups.isdisjoint(principal.groups)

    def groups_of(self, connection: sqlite3.Connection, class_id: int) -> tuple[str, ...]:
        known = self._classes.get(class_id) or self._definitions(connection)[class_id]
        return tuple(sorted(known.groups))

    def readable_classes(
        self, connection: sqlite3.Connection, principal: Principal, *, collection: str | None
    ) -> list[int]:
        """Return every class that the principal's groups reach, live or not."""
        return [
            class_id
            for class_id, known in self._definitions(connection).items()
            if collection in (None, known.collection)
            and not known.groups.isdisjoint(principal.groups)
        ]

    def _definitions(self, connection: sqlite3.Connection) -> dict[int, AccessClass]:
        """Load classes made since the last look; only from readers, who see what is committed."""
        newest = max(self._classes, default=0)
        rows = connection.execute(
            "SELECT class, collection, groups FROM classes WHERE class > ?", (newest,)
        ).fetchall()
        if rows:
            # A new dict instead of a changed one: other threads may be walking the old one.
            fresh = {row[0]: AccessClass(row[1], frozenset(load_groups(row[2]))) for row in rows}
            with self._lock:
                self._classes = self._classes | fresh
        return self._classes

    def _class_set(
        self, connection: sqlite3.Connection, seq: int, query: Query
    ) -> frozenset[int] | None:
        key = (query.collection, query.principal.groups)
        with self._lock:
            if self._seq == seq and key in self._class_sets:
                return self._class_sets[key]
        live = self._live_classes(connection, seq)
        definitions = self._definitions(connection)
        readable = frozenset(
            class_id
            for class_id in live
            if definitions[class_id].collection == query.collection
            and not definitions[class_id].groups.isdisjoint(query.principal.groups)
        )
        classes = None if live and readable == live else readable
        with self._lock:
            if self._seq == seq:
                _remember(self._class_sets, key, classes, limit=_CACHED_CLASS_SETS)
        return classes

    def _live_classes(self, connection: sqlite3.Connection, seq: int) -> frozenset[int]:
        with self._lock:
            if self._seq == seq:
                return self._live
        rows = connection.execute("SELECT class FROM classes WHERE num_chunks > 0").fetchall()
        live = frozenset(row[0] for row in rows)
        with self._lock:
            if self._seq < seq:
                self._seq, self._live = seq, live
                self._class_sets.clear()
        return live

    def _matching(
        self, connection: sqlite3.Connection, seq: int, query: Query, condition: Condition
    ) -> NDArray[np.int64]:
        key = (query.collection, _filter_key(query))
        with self._lock:
            known = self._filtered.get(key)
        if known is not None and known.seq == seq:
            return known.chunk_ids
        matching = None
        if known is not None:
            matching = brought_up(connection, known, seq, condition, collection=query.collection)
        if matching is None:
            chunk_ids = all_matching(connection, condition, collection=query.collection)
            matching = Matching(seq, chunk_ids)
        with self._lock:
            if known is None or known.seq < seq:
                _remember(self._filtered, key, matching, limit=_CACHED_FILTERS)
        return matching.chunk_ids


def class_of(connection: sqlite3.Connection, collection: str, groups: tuple[str, ...]) -> int:
    """Return the class of a collection and its groups, made if new; inside a write."""
    named = (collection, dump_groups(groups))
    connection.execute(
        "INSERT INTO classes (collection, groups) VALUES (?, ?) ON CONFLICT DO NOTHING", named
    )
    row = connection.execute(
        "SELECT class FROM classes WHERE collection = ? AND groups = ?", named
    ).fetchone()
    return int(row[0])


def may_manage(connection: sqlite3.Connection, class_id: int, principal: Principal) -> bool:
    """Tell whether a principal may change documents of a class; inside a write."""
    if principal.operator:
        return True
    row = connection.execute("SELECT groups FROM classes WHERE class = ?", (class_id,)).fetchone()
    return not principal.groups.isdisjoint(load_groups(row[0]))


def _filter_key(query: Query) -> str:
    try:
        return dump(query.filter)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"The filter is not JSON ({error})", code="bad_filter") from error


def _remember(cache: OrderedDict[K, V], key: K, value: V, *, limit: int) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > limit:
        cache.popitem(last=False)
