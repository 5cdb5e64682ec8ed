"""Two embedders at once: the vectors of a second one are kept in step until the home is its."""

import json
import sqlite3
import time
from collections.abc import Mapping

from steelyard.core.errors import InputError, Overloaded
from steelyard.infra.sqlite import Database
from steelyard.store.embeddings import REPOINT, UNEMBEDDED, register_embedder
from steelyard.store.records import ClaimedEmbedder, HeldEmbedder, Switch

_HELD = "SELECT fingerprint, dim, options, place FROM embedders WHERE key = ?"
_STATE = "SELECT other, flipped, started_at FROM switch"
_DROP = """
DELETE FROM embeddings WHERE key IN (
    SELECT e.key FROM embeddings AS e JOIN embedders AS m ON m.key = e.embedder
    WHERE m.fingerprint = ? AND m.key <> (SELECT embedder FROM home)
      AND m.key NOT IN (SELECT other FROM switch)
    LIMIT ?)
"""


class Switching:
    """A home has one embedder or two. What is written meanwhile may bring vectors by both; what
    lacks one is found by `unembedded`, and no flip happens before nothing lacks one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def home_embedder(self) -> HeldEmbedder | None:
        """Return the embedder that the home is searched by; None before the first claim."""
        with self._database.snapshot() as connection:
            key = _home(connection)
            return None if key is None else _held(connection, key)

    def switch(self) -> Switch | None:
        """Return the two embedders; None while there is one."""
        with self._database.snapshot() as connection:
            row = connection.execute(_STATE).fetchone()
            key = _home(connection)
            if row is None or key is None:
                return None
            home, other = _held(connection, key), _held(connection, row[0])
            return Switch(home, other, flipped=bool(row[1]), started_at=row[2])

    def num_unembedded(self, fingerprint: str) -> int:
        """Return how many live chunks an embedder has no vector of; reads all of them."""
        with self._database.reading() as connection:
            return _num_missing(connection, fingerprint)

    def begin_switch(
        self, fingerprint: str, dim: int, *, options: Mapping[str, object], place: str
    ) -> Switch:
        """Keep an embedder's vectors in step, to follow the home's; one that is under way goes on,
        and the one before may follow again.

        Raises:
            InputError: it is the home's already (code `is_home`), or another one stands beside it
                (`switching`).
        """
        with self._database.writing() as connection:
            key = register_embedder(connection, ClaimedEmbedder(fingerprint, dim))
            row = connection.execute(_STATE).fetchone()
            if key == _home(connection):
                raise InputError(f"the home is {fingerprint!r}'s already", code="is_home")
            if row is not None and row[0] != key:
                other = _held(connection, row[0]).fingerprint
                raise InputError(
                    f"{other!r} stands beside the home's embedder; run `steelyard embedder "
                    f"{'confirm' if row[1] else 'cancel'}` first",
                    code="switching",
                )
            connection.execute("UPDATE switch SET flipped = 0")
            if row is None:
                connection.execute(
                    "UPDATE embedders SET options = ?, place = ? WHERE key = ?",
                    (json.dumps(options, sort_keys=True), place, key),
                )
                connection.execute(
                    "INSERT INTO switch (one, other, flipped, started_at) VALUES (1, ?, 0, ?)",
                    (key, time.time()),
                )
        found = self.switch()
        assert found is not None
        return found

    def flip_embedder(self) -> Switch:
        """Let the home and the other embedder change places, in one transaction.

        No chunk changes, so the log goes on, and each one's index stays as good as it is.

        Raises:
            InputError: there is no second embedder.
            Overloaded: chunks lack a vector by it (code `unembedded`); nothing was changed.
        """
        with self._database.writing() as connection:
            row = connection.execute(_STATE).fetchone()
            if row is None:
                raise InputError("there is no second embedder; run `steelyard embedder switch`")
            held = _held(connection, row[0])
            if missing := _num_missing(connection, held.fingerprint):
                raise Overloaded(
                    f"{missing} chunks have no vector by {held.fingerprint!r} yet",
                    code="unembedded",
                )
            connection.execute(REPOINT, (row[0],))
            connection.execute("UPDATE switch SET other = (SELECT embedder FROM home), flipped = 1")
            connection.execute("UPDATE home SET embedder = ?", (row[0],))
        found = self.switch()
        assert found is not None
        return found

    def end_switch(self) -> HeldEmbedder | None:
        """Keep the home's embedder alone; return the one that is let go, None: there was none."""
        with self._database.writing() as connection:
            row = connection.execute(_STATE).fetchone()
            connection.execute("DELETE FROM switch")
            return None if row is None else _held(connection, row[0])

    def drop_vectors(self, fingerprint: str, *, limit: int) -> int:
        """Remove up to `limit` vectors of an embedder that no chunk needs; return how many."""
        with self._database.writing(durable=False) as connection:
            return int(connection.execute(_DROP, (fingerprint, limit)).rowcount)


def _home(connection: sqlite3.Connection) -> int | None:
    key = connection.execute("SELECT embedder FROM home").fetchone()[0]
    return None if key is None else int(key)


def _held(connection: sqlite3.Connection, key: int) -> HeldEmbedder:
    fingerprint, dim, options, place = connection.execute(_HELD, (key,)).fetchone()
    return HeldEmbedder(fingerprint, dim, json.loads(options) if options else None, place)


def _num_missing(connection: sqlite3.Connection, fingerprint: str) -> int:
    sql = f"SELECT count(*) FROM ({UNEMBEDDED})"
    return int(connection.execute(sql, (-1, fingerprint, -1)).fetchone()[0])
