"""The truth as an index follows it: a log of chunks that came and went."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from steelyard.core.documents import Chunk
from steelyard.core.errors import Overloaded
from steelyard.core.protocols import Change, IndexRows
from steelyard.infra.sqlite import Database
from steelyard.store.codec import load_heading
from steelyard.store.matching import expand_ranges
from steelyard.store.records import Span
from steelyard.store.schema import Clock

KEPT_CHANGES = 200_000
_ROWS_AT_ONCE = 2_000

_ROWS = """
SELECT c.chunk_id, d.class, d.title, c.heading, c.text, e.vector
FROM json_each(?) AS asked
CROSS JOIN chunks AS c ON c.chunk_id = asked.value
CROSS JOIN documents AS d ON d.key = c.document
CROSS JOIN embeddings AS e ON e.key = c.embedding
"""
# The vector of the same text by another embedder is found by the text's hash.
_ROWS_BY = """
SELECT c.chunk_id, d.class, d.title, c.heading, c.text,
       CASE WHEN e.embedder = ? THEN e.vector ELSE
           (SELECT n.vector FROM embeddings AS n WHERE n.embedder = ? AND n.sha256 = e.sha256) END
FROM json_each(?) AS asked
CROSS JOIN chunks AS c ON c.chunk_id = asked.value
CROSS JOIN documents AS d ON d.key = c.document
CROSS JOIN embeddings AS e ON e.key = c.embedding
"""
_EMBEDDER = "SELECT key, dim FROM embedders WHERE fingerprint = ?"
_SPANS = "SELECT collection, id, first_chunk, num_chunks FROM documents WHERE num_chunks > 0"
_SPANS_OF = """
SELECT DISTINCT d.collection, d.id, d.first_chunk, d.num_chunks FROM json_each(?) AS asked
CROSS JOIN chunks AS c ON c.chunk_id = asked.value
CROSS JOIN documents AS d ON d.key = c.document
"""


class Feed:
    """A `ChangeFeed`. Inside one transaction chunks that come precede those that go."""

    def __init__(self, database: Database, *, kept_changes: int = KEPT_CHANGES) -> None:
        self._database = database
        self._kept_changes = kept_changes

    def last_seq(self) -> int:
        with self._database.reading() as connection:
            return int(connection.execute("SELECT seq FROM home").fetchone()[0])

    def changes(self, *, after: int, limit: int) -> list[Change] | None:
        """Return the log after `after`, oldest first.

        None when it does not reach back so far, or when `after` lies ahead of it: then it was
        another file's number. The index must be rebuilt.
        """
        with self._database.snapshot() as connection:
            seq, floor = connection.execute("SELECT seq, floor FROM home").fetchone()
            if after == seq:
                return []
            if not floor <= after < seq:
                return None
            rows = connection.execute(
                "SELECT seq, chunk_id, added FROM log WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            )
            return [Change(seq, chunk_id, bool(added)) for seq, chunk_id, added in rows]

    def live_chunk_ids(self) -> tuple[int, NDArray[np.int64]]:
        with self._database.snapshot() as connection:
            seq = int(connection.execute("SELECT seq FROM home").fetchone()[0])
            ranges = connection.execute(
                "SELECT first_chunk, num_chunks FROM documents WHERE num_chunks > 0"
            ).fetchall()
        return seq, expand_ranges(np.array(ranges, dtype=np.int64).reshape(-1, 2))

    def rows(self, chunk_ids: Sequence[int]) -> IndexRows:
        """Return the rows of those of `chunk_ids` that are still live, in the order given."""
        found: list[tuple[int, int, str, str | None, str, bytes]] = []
        with self._database.snapshot() as connection:
            dim = _dim(connection)
            for batch in _batches(chunk_ids):
                found += connection.execute(_ROWS, (json.dumps(batch),))
        return _index_rows(found, dim)

    def by(self, fingerprint: str) -> "VectorFeed":
        """Return the same feed with the vectors of one embedder, whichever is the home's."""
        return VectorFeed(self._database, self, fingerprint)

    def spans(self, chunk_ids: Sequence[int] | None = None) -> list[Span]:
        """Return the documents that these live chunks belong to, or all, by their chunks."""
        with self._database.snapshot() as connection:
            if chunk_ids is None:
                rows = connection.execute(_SPANS).fetchall()
            else:
                rows = []
                for batch in _batches(chunk_ids):
                    rows += connection.execute(_SPANS_OF, (json.dumps(batch),))
        found = dict.fromkeys(Span(*row) for row in rows)
        return sorted(found, key=lambda span: span.first_chunk)

    def record(
        self,
        connection: sqlite3.Connection,
        clock: Clock,
        *,
        added: Iterable[int],
        removed: Iterable[int],
    ) -> None:
        """Append a write's changes, inside its transaction, and drop what is too old."""
        steps = [(chunk_id, 1) for chunk_id in added] + [(chunk_id, 0) for chunk_id in removed]
        connection.executemany(
            "INSERT INTO log (seq, chunk_id, added) VALUES (?, ?, ?)",
            [(clock.seq + n, chunk_id, was) for n, (chunk_id, was) in enumerate(steps, start=1)],
        )
        clock.seq += len(steps)
        oldest = clock.seq - self._kept_changes
        if connection.execute("DELETE FROM log WHERE seq <= ?", (oldest,)).rowcount:
            connection.execute("UPDATE home SET floor = max(floor, ?)", (oldest,))


class VectorFeed:
    """A `ChangeFeed` whose rows have the vectors of one embedder, and never another's."""

    def __init__(self, database: Database, feed: Feed, fingerprint: str) -> None:
        self._database = database
        self._fingerprint = fingerprint
        self.last_seq = feed.last_seq
        self.changes = feed.changes
        self.live_chunk_ids = feed.live_chunk_ids

    def rows(self, chunk_ids: Sequence[int]) -> IndexRows:
        """Return the rows of those of `chunk_ids` that are still live, in the order given.

        Raises:
            Overloaded: some have no vector by this embedder yet (code `unembedded`).
        """
        found: list[tuple[int, int, str, str | None, str, bytes]] = []
        with self._database.snapshot() as connection:
            key, dim = connection.execute(_EMBEDDER, (self._fingerprint,)).fetchone() or (-1, 1)
            for batch in _batches(chunk_ids):
                found += connection.execute(_ROWS_BY, (key, key, json.dumps(batch)))
        missing = sum(row[5] is None for row in found)
        if missing:
            raise Overloaded(
                f"{missing} of {len(found)} chunks have no vector by {self._fingerprint!r} yet",
                code="unembedded",
            )
        return _index_rows(found, dim)


def _index_rows(
    found: Sequence[tuple[int, int, str, str | None, str, bytes]], dim: int
) -> IndexRows:
    return IndexRows(
        chunk_ids=np.array([row[0] for row in found], dtype=np.int64),
        classes=np.array([row[1] for row in found], dtype=np.int32),
        texts=[embedded_text(title, heading, text) for _, _, title, heading, text, _ in found],
        vectors=np.frombuffer(b"".join(row[5] for row in found), np.float16).reshape(-1, dim),
    )


def embedded_text(title: str, heading: str | None, text: str) -> str:
    """Return what the embedder and the lexical index see of a stored chunk."""
    chunk = Chunk(ordinal=0, start=0, end=len(text), text=text, heading=load_heading(heading))
    return chunk.embedded_text(title)


def _dim(connection: sqlite3.Connection) -> int:
    """Return the width of the home's vectors; 1 while there is none, so that 0 rows reshape."""
    row = connection.execute(
        "SELECT e.dim FROM home JOIN embedders AS e ON e.key = home.embedder"
    ).fetchone()
    return int(row[0]) if row else 1


def _batches(chunk_ids: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(chunk_ids), _ROWS_AT_ONCE):
        yield [int(chunk_id) for chunk_id in chunk_ids[start : start + _ROWS_AT_ONCE]]
