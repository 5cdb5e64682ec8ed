"""What a reranker made of passages when it read them ahead, by what was read and by whom.

A shadow in the truth's file: lost or dropped, it is made again.
"""

import json
import sqlite3
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from steelyard.infra.sqlite import Database
from steelyard.store.feed import embedded_text
from steelyard.store.records import Reading, UnreadChunk

MAX_SPARE_READINGS = 2_000  # of texts that are gone: some 26 MB

_UNREAD = """
SELECT c.chunk_id, d.title, c.heading, c.text, e.sha256
FROM chunks AS c
CROSS JOIN documents AS d ON d.key = c.document
CROSS JOIN embeddings AS e ON e.key = c.embedding
WHERE c.chunk_id > ? AND NOT EXISTS (
    SELECT 1 FROM readings AS r WHERE r.reranker = ? AND r.sha256 = e.sha256)
ORDER BY c.chunk_id LIMIT ?
"""
_VECTORS = """
SELECT c.chunk_id, r.vectors FROM json_each(?) AS asked
CROSS JOIN chunks AS c ON c.chunk_id = asked.value
CROSS JOIN embeddings AS e ON e.key = c.embedding
CROSS JOIN readings AS r ON r.reranker = ? AND r.sha256 = e.sha256
"""
_DEAD = """
SELECT reranker, sha256 FROM readings WHERE sha256 NOT IN (
    SELECT e.sha256 FROM chunks AS c JOIN embeddings AS e ON e.key = c.embedding)
"""


class Readings:
    def __init__(self, database: Database) -> None:
        self._database = database

    def unread(self, reranker: str, *, after: int, limit: int) -> list[UnreadChunk]:
        """Return live chunks beyond id `after` that a reranker has not read yet."""
        with self._database.reading() as connection:
            key = _find(connection, reranker)
            asked = (after, -1 if key is None else key[0], limit)
            rows = connection.execute(_UNREAD, asked).fetchall()
        return [
            UnreadChunk(chunk_id, embedded_text(title, heading, text), sha256)
            for chunk_id, title, heading, text, sha256 in rows
        ]

    def keep_readings(self, reranker: str, readings: Sequence[Reading]) -> None:
        """Keep what a reranker made of texts; what is known already stays."""
        if not readings:
            return
        dim = max(one.vectors.shape[1] for one in readings)
        with self._database.writing() as connection:
            key, _ = _register(connection, reranker, dim)
            connection.executemany(
                "INSERT INTO readings (reranker, sha256, vectors) VALUES (?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                [(key, one.sha256, one.vectors.tobytes()) for one in readings],
            )

    def readings(self, chunk_ids: Sequence[int], *, reranker: str) -> dict[int, NDArray[np.int8]]:
        """Return the vectors (P, D) of live chunks, by chunk id; those not read are left out."""
        asked = json.dumps([int(chunk_id) for chunk_id in chunk_ids])
        with self._database.reading() as connection:
            if (known := _find(connection, reranker)) is None:
                return {}
            key, dim = known
            return {
                chunk_id: np.frombuffer(vectors, np.int8).reshape(-1, dim)
                for chunk_id, vectors in connection.execute(_VECTORS, (asked, key))
                if vectors and len(vectors) % dim == 0  # without a damaged one it is only slow
            }

    def prune_readings(self, *, keep: Sequence[str], max_spare: int = MAX_SPARE_READINGS) -> int:
        """Drop the readings of all but the rerankers `keep`, and of texts that no chunk has,
        beyond a bound; return how many."""
        with self._database.reading() as connection:
            others = [
                key
                for key, identity in connection.execute("SELECT key, identity FROM rerankers")
                if identity not in keep
            ]
            dead = connection.execute(_DEAD).fetchall()
        if not others and len(dead) <= max_spare:
            return 0
        dropped = 0
        with self._database.writing() as connection:
            for key in others:
                found = connection.execute("DELETE FROM readings WHERE reranker = ?", (key,))
                dropped += found.rowcount
                connection.execute("DELETE FROM rerankers WHERE key = ?", (key,))
            sql = "DELETE FROM readings WHERE reranker = ? AND sha256 = ?"
            dropped += connection.executemany(sql, dead[max_spare:]).rowcount if dead else 0
        return dropped


def _find(connection: sqlite3.Connection, identity: str) -> tuple[int, int] | None:
    row = connection.execute(
        "SELECT key, dim FROM rerankers WHERE identity = ?", (identity,)
    ).fetchone()
    return None if row is None else (int(row[0]), int(row[1]))


def _register(connection: sqlite3.Connection, identity: str, dim: int) -> tuple[int, int]:
    """Return a reranker's key and dimension; one that has met only texts without vectors learns its
    dimension later."""
    connection.execute(
        "INSERT INTO rerankers (identity, dim) VALUES (?, ?) "
        "ON CONFLICT (identity) DO UPDATE SET dim = max(dim, excluded.dim)",
        (identity, max(1, dim)),
    )
    known = _find(connection, identity)
    assert known is not None
    return known
