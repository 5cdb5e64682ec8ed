"""Token ids by what was tokenised and by whom, so that a reranker need not do it again."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.infra.sqlite import Database
from steelyard.store.records import KeptTokens

_TYPES: dict[int, np.dtype[Any]] = {2: np.dtype("<u2"), 4: np.dtype("<u4")}  # by bytes an id
_SHORT_VOCABULARY = 1 << 16

_IDS = """
SELECT c.chunk_id, t.ids FROM json_each(?) AS asked
CROSS JOIN chunks AS c ON c.chunk_id = asked.value
CROSS JOIN embeddings AS e ON e.key = c.embedding
CROSS JOIN tokens AS t ON t.tokenizer = ? AND t.sha256 = e.sha256
"""


@dataclass(frozen=True, slots=True)
class _Tokenizer:
    key: int
    kind: np.dtype[Any]


class Tokens:
    """Reads the kept ids."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def token_ids(
        self, chunk_ids: Sequence[int], *, tokenizer: str
    ) -> dict[int, NDArray[np.int32]]:
        """Return the ids (T,) of live chunks, without special tokens, by chunk id.

        Chunks that are gone, or were never seen by this tokenizer, are left out. Ids are of the
        embedded text, as far as the embedder saw it.
        """
        asked = json.dumps([int(chunk_id) for chunk_id in chunk_ids])
        with self._database.reading() as connection:
            known = _find(connection, tokenizer)
            if known is None:
                return {}
            return {
                chunk_id: np.frombuffer(ids, known.kind).astype(np.int32)
                for chunk_id, ids in connection.execute(_IDS, (asked, known.key))
            }


def put_tokens(connection: sqlite3.Connection, hashes: Sequence[bytes], tokens: KeptTokens) -> None:
    """Store the ids of those of `hashes` that `tokens` has; what is known already stays."""
    rows = [(digest, tokens.ids[digest]) for digest in hashes if digest in tokens.ids]
    if not rows:
        return
    tokenizer = _register(connection, tokens)
    connection.executemany(
        "INSERT INTO tokens (tokenizer, sha256, ids) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(tokenizer.key, digest, ids.astype(tokenizer.kind).tobytes()) for digest, ids in rows],
    )


def prune_tokens(connection: sqlite3.Connection) -> None:
    """Drop the ids of texts that no vector is kept of."""
    connection.execute("DELETE FROM tokens WHERE sha256 NOT IN (SELECT sha256 FROM embeddings)")


def _find(connection: sqlite3.Connection, identity: str) -> _Tokenizer | None:
    row = connection.execute(
        "SELECT key, width FROM tokenizers WHERE identity = ?", (identity,)
    ).fetchone()
    return None if row is None else _Tokenizer(int(row[0]), _TYPES[row[1]])


def _register(connection: sqlite3.Connection, tokens: KeptTokens) -> _Tokenizer:
    connection.execute(
        "INSERT INTO tokenizers (identity, width) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (tokens.tokenizer, 2 if tokens.vocabulary <= _SHORT_VOCABULARY else 4),
    )
    known = _find(connection, tokens.tokenizer)
    assert known is not None
    return known
