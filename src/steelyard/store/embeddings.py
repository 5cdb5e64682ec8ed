"""Vectors by what was embedded and by whom; which embedder the home belongs to."""

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import SetupError
from steelyard.infra.sqlite import Database
from steelyard.store.feed import embedded_text
from steelyard.store.records import ClaimedEmbedder, KeptTokens, UnembeddedChunk
from steelyard.store.tokens import prune_tokens, put_tokens

MAX_SPARE_EMBEDDINGS = 200_000
_HASHES_AT_ONCE = 500
_UNIT_TOLERANCE = 0.01  # int8 encoders and float16 stay well below it

_CACHED = """
SELECT e.sha256, e.vector FROM embeddings AS e
JOIN embedders AS m ON m.key = e.embedder
WHERE m.fingerprint = ? AND e.sha256 IN ({marks})
"""
UNEMBEDDED = """
SELECT c.chunk_id, d.title, c.heading, c.text
FROM chunks AS c
CROSS JOIN documents AS d ON d.key = c.document
CROSS JOIN embeddings AS old ON old.key = c.embedding
WHERE c.chunk_id > ? AND NOT EXISTS (
    SELECT 1 FROM embeddings AS new JOIN embedders AS m ON m.key = new.embedder
    WHERE m.fingerprint = ? AND new.sha256 = old.sha256)
ORDER BY c.chunk_id LIMIT ?
"""
_SECOND = """
SELECT e.key, e.fingerprint FROM switch AS s JOIN embedders AS e ON e.key = s.other
"""
REPOINT = """
UPDATE chunks SET embedding = (
    SELECT new.key FROM embeddings AS old
    JOIN embeddings AS new ON new.sha256 = old.sha256 AND new.embedder = ?
    WHERE old.key = chunks.embedding)
"""
# Vectors of a newer embedder are spared: they may belong to a re-embedding under way. So are
# those of a second embedder that is kept in step.
_PRUNE = """
DELETE FROM embeddings WHERE key IN (
    SELECT key FROM embeddings
    WHERE key NOT IN (SELECT embedding FROM chunks)
      AND embedder <= (SELECT embedder FROM home)
      AND embedder NOT IN (SELECT other FROM switch)
    ORDER BY key DESC LIMIT -1 OFFSET ?)
"""


@dataclass(frozen=True, slots=True)
class Targets:
    """Where a write's vectors go: to the home's embedder (`key`), and to a second one (its key and
    fingerprint), if there is one. `by` is whose vectors the writer has."""

    by: str
    home: ClaimedEmbedder
    key: int
    second: tuple[int, str] | None

    def of(self, vectors: Mapping[str, NDArray[np.floating]]) -> NDArray[np.floating]:
        """Return the vectors by the home's embedder.

        Raises:
            SetupError: there are none: the home was given to another embedder (`other_embedder`).
        """
        found = vectors.get(self.home.fingerprint)
        if found is None:
            raise _other_embedder(self.home, ClaimedEmbedder(self.by, vectors[self.by].shape[1]))
        return found


class Embeddings:
    """The cache of vectors, which outlives the chunks that use it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._claimed: ClaimedEmbedder | None = None

    def embedder(self) -> ClaimedEmbedder | None:
        """Return the embedder whose vectors the home holds; None before the first claim."""
        with self._database.reading() as connection:
            return _embedder(connection)

    def claim_embedder(
        self, fingerprint: str, dim: int, *, options: Mapping[str, object] | None = None
    ) -> None:
        """Bind the home, and this process's writes, to an embedder; the first claim decides.

        `options` are what it was opened with, and are kept.

        Raises:
            SetupError: the home belongs to another one (code `other_embedder`).
        """
        wanted = ClaimedEmbedder(fingerprint, dim)
        owner = self.embedder()
        if owner is None and not self._database.readonly:
            with self._database.writing() as connection:
                if (owner := _embedder(connection)) is None:
                    _adopt(connection, wanted)
                    owner = wanted
        if owner is not None and owner != wanted:
            raise _other_embedder(owner, wanted)
        if options is not None and not self._database.readonly:
            self._note(wanted, options)
        with self._lock:
            self._claimed = wanted

    def targets(self, connection: sqlite3.Connection, *, by: str) -> "Targets":
        """Return whose vectors a write by an embedder must bring, "": by the claimed one.

        Raises:
            SetupError: nothing was claimed.
        """
        owner = _embedder(connection)
        if owner is None or self._claimed is None:
            raise SetupError("No embedder was claimed before the first write: call claim_embedder")
        key = int(connection.execute("SELECT embedder FROM home").fetchone()[0])
        second = connection.execute(_SECOND).fetchone()
        return Targets(by or self._claimed.fingerprint, owner, key, second)

    def _note(self, embedder: ClaimedEmbedder, options: Mapping[str, object]) -> None:
        """Keep what an embedder was opened with, if that is news."""
        text = json.dumps(options, sort_keys=True)
        asked = "SELECT options FROM embedders WHERE fingerprint = ?"
        with self._database.reading() as connection:
            known = connection.execute(asked, (embedder.fingerprint,)).fetchone()
        if known is None or known[0] != text:
            with self._database.writing() as connection:
                connection.execute(
                    "UPDATE embedders SET options = ? WHERE fingerprint = ?",
                    (text, embedder.fingerprint),
                )

    def cached_embeddings(
        self, hashes: Sequence[bytes], fingerprint: str
    ) -> dict[bytes, NDArray[np.float16]]:
        """Return the known vectors, (D,) each, by `text_hash` of the embedded text."""
        found: dict[bytes, NDArray[np.float16]] = {}
        with self._database.reading() as connection:
            for start in range(0, len(hashes), _HASHES_AT_ONCE):
                batch = hashes[start : start + _HASHES_AT_ONCE]
                sql = _CACHED.format(marks=", ".join("?" * len(batch)))
                for digest, vector in connection.execute(sql, (fingerprint, *batch)):
                    found[digest] = np.frombuffer(vector, np.float16)
        return found

    def remember_embeddings(
        self,
        hashes: Sequence[bytes],
        vectors: NDArray[np.floating],
        fingerprint: str,
        *,
        tokens: KeptTokens | None = None,
    ) -> None:
        """Keep vectors (N, D) of texts that no chunk need have yet, and their token ids."""
        with self._database.writing() as connection:
            embedder = register_embedder(connection, ClaimedEmbedder(fingerprint, vectors.shape[1]))
            put_vectors(connection, embedder, hashes, vectors)
            if tokens is not None:
                put_tokens(connection, hashes, tokens)

    def unembedded(self, fingerprint: str, *, after: int, limit: int) -> list[UnembeddedChunk]:
        """Return live chunks beyond id `after` that an embedder has no vector for yet."""
        with self._database.reading() as connection:
            rows = connection.execute(UNEMBEDDED, (after, fingerprint, limit)).fetchall()
        return [
            UnembeddedChunk(chunk_id, embedded_text(title, heading, text))
            for chunk_id, title, heading, text in rows
        ]

    def reset_embedder(self, fingerprint: str, dim: int) -> int:
        """Hand the home over to another embedder in one transaction; return the new seq.

        Every live chunk must have its vector already: loop over `unembedded` and
        `remember_embeddings`, which a crash only interrupts. Indexes rebuild afterwards.

        Raises:
            SetupError: some chunks lack a vector; nothing was changed.
        """
        wanted = ClaimedEmbedder(fingerprint, dim)
        with self._database.writing() as connection:
            embedder = register_embedder(connection, wanted)
            missing = connection.execute(
                f"SELECT count(*) FROM ({UNEMBEDDED})", (-1, fingerprint, -1)
            ).fetchone()[0]
            if missing:
                raise SetupError(
                    f"{missing} chunks have no vector by {fingerprint!r} yet: "
                    f"run `steelyard ingest --reembed` again"
                )
            if connection.execute("SELECT 1 FROM switch").fetchone():
                raise SetupError(
                    "the home has a second embedder beside its own; run `steelyard embedder "
                    "cancel` or `steelyard embedder confirm` first"
                )
            connection.execute(REPOINT, (embedder,))
            connection.execute("DELETE FROM log")
            # A number without a log entry: no index can step over it, so all rebuild.
            connection.execute(
                "UPDATE home SET embedder = ?, seq = seq + 1, floor = seq + 1", (embedder,)
            )
            connection.execute("UPDATE embedders SET place = 'index' WHERE key = ?", (embedder,))
            seq = int(connection.execute("SELECT seq FROM home").fetchone()[0])
        with self._lock:
            self._claimed = wanted
        return seq

    def prune_embeddings(self, *, max_spare: int = MAX_SPARE_EMBEDDINGS) -> int:
        """Drop the oldest vectors that no chunk uses, beyond a bound; return how many.

        Token ids of a text go with its last vector.
        """
        with self._database.writing() as connection:
            dropped = int(connection.execute(_PRUNE, (max_spare,)).rowcount)
            if dropped:
                prune_tokens(connection)
            return dropped


def put_vectors(
    connection: sqlite3.Connection,
    embedder: int,
    hashes: Sequence[bytes],
    vectors: NDArray[np.floating],
) -> None:
    """Store unit rows (N, D) under their texts' hashes; what is known already stays."""
    assert vectors.ndim == 2, f"vectors are (N, D), not {vectors.shape}"
    assert len(vectors) == len(hashes), "one vector per text"
    norms = np.linalg.norm(vectors.astype(np.float32), axis=1)
    assert bool(np.all(np.abs(norms - 1.0) < _UNIT_TOLERANCE)), "vectors must have unit length"
    rows = np.ascontiguousarray(vectors, dtype=np.float16)
    connection.executemany(
        "INSERT INTO embeddings (embedder, sha256, vector) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(embedder, digest, row.tobytes()) for digest, row in zip(hashes, rows, strict=True)],
    )


def _embedder(connection: sqlite3.Connection) -> ClaimedEmbedder | None:
    row = connection.execute(
        "SELECT e.fingerprint, e.dim FROM home JOIN embedders AS e ON e.key = home.embedder"
    ).fetchone()
    return ClaimedEmbedder(*row) if row else None


def register_embedder(connection: sqlite3.Connection, embedder: ClaimedEmbedder) -> int:
    connection.execute(
        "INSERT INTO embedders (fingerprint, dim) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (embedder.fingerprint, embedder.dim),
    )
    key, dim = connection.execute(
        "SELECT key, dim FROM embedders WHERE fingerprint = ?", (embedder.fingerprint,)
    ).fetchone()
    assert dim == embedder.dim, "one fingerprint, two dimensions"
    return int(key)


def _adopt(connection: sqlite3.Connection, embedder: ClaimedEmbedder) -> None:
    key = register_embedder(connection, embedder)
    connection.execute("UPDATE home SET embedder = ?", (key,))


def _other_embedder(owner: ClaimedEmbedder, wanted: ClaimedEmbedder) -> SetupError:
    return SetupError(
        f"The home's vectors are by {owner.fingerprint!r} (dim {owner.dim}), but the embedder now "
        f"is {wanted.fingerprint!r} (dim {wanted.dim}), and the two do not compare. Go back to "
        f"the first, or run `steelyard embedder switch` (questions are answered meanwhile) or "
        f"`steelyard ingest --reembed`",
        code="other_embedder",
    )
