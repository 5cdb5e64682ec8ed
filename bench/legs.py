"""The two legs of a search over given texts, with vectors that are computed once.

The index is the house's own, in a temporary folder. Vectors are kept in bench/out/ by text and
fingerprint of the embedder.
"""

import hashlib
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from steelyard.core.protocols import Change, Embedder, IndexRows, IndexView
from steelyard.core.ranking import Allowed, Matrix, Ranking, Vector
from steelyard.index import Shadows

OUT = Path(__file__).parent / "out"
_SLICE = 512


class KeptVectors:
    """Embeds a text once, ever."""

    def __init__(self, embedder: Embedder) -> None:
        OUT.mkdir(parents=True, exist_ok=True)
        self.embedder = embedder
        self._rows = sqlite3.connect(OUT / f"vectors-{embedder.fingerprint}.sqlite", timeout=600)
        self._rows.execute(
            "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, row BLOB) WITHOUT ROWID"
        )

    def passages(self, texts: Sequence[str]) -> Matrix:
        keys = [_key("passage", text) for text in texts]
        missing = [at for at, key in enumerate(keys) if self._get(key) is None]
        for begin in range(0, len(missing), _SLICE):
            some = missing[begin : begin + _SLICE]
            rows = self.embedder.embed_passages([texts[at] for at in some])
            self._put([(keys[at], row.tobytes()) for at, row in zip(some, rows, strict=True)])
        return np.stack([np.frombuffer(self._get(key) or b"", np.float32) for key in keys])

    def query(self, text: str) -> Vector:
        key = _key("query", text)
        if self._get(key) is None:
            self._put([(key, self.embedder.embed_query(text).tobytes())])
        return np.frombuffer(self._get(key) or b"", np.float32)

    def _get(self, key: bytes) -> bytes | None:
        found = self._rows.execute("SELECT row FROM vectors WHERE key = ?", (key,)).fetchone()
        return None if found is None else bytes(found[0])

    def _put(self, rows: list[tuple[bytes, bytes]]) -> None:
        with self._rows:
            self._rows.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)


class Legs:
    """The house's index over `texts`; a hit's chunk id is the position of its text."""

    def __init__(self, texts: Sequence[str], vectors: KeptVectors | None) -> None:
        """Without `vectors` there is only a lexical leg."""
        self._vectors = vectors
        rows_ND = vectors.passages(texts) if vectors else _noise(len(texts))
        self._folder = TemporaryDirectory(prefix="steelyard-bench-")
        self._index = Shadows.open(
            Path(self._folder.name),
            _Texts(texts, rows_ND),
            dim=rows_ND.shape[1],
            fingerprint=vectors.embedder.fingerprint if vectors else "noise",
        )
        self._view: IndexView = self._index.view()

    def dense(self, text: str, *, k: int) -> Ranking:
        assert self._vectors is not None
        return self._view.dense(self._vectors.query(text), k=k, allowed=Allowed())

    def lexical(self, text: str, *, k: int) -> Ranking:
        return self._view.lexical(text, k=k, allowed=Allowed())

    def close(self) -> None:
        self._index.close()
        self._folder.cleanup()


class _Texts:
    """A truth that never changes; fits `ChangeFeed`."""

    def __init__(self, texts: Sequence[str], rows_ND: Matrix) -> None:
        self._texts = texts
        self._rows_ND = rows_ND.astype(np.float16)

    def last_seq(self) -> int:
        return len(self._texts)

    def changes(self, *, after: int, limit: int) -> list[Change] | None:
        last = min(after + limit, len(self._texts))
        return [Change(seq, seq - 1, added=True) for seq in range(after + 1, last + 1)]

    def live_chunk_ids(self) -> tuple[int, NDArray[np.int64]]:
        return len(self._texts), np.arange(len(self._texts), dtype=np.int64)

    def rows(self, chunk_ids: Sequence[int]) -> IndexRows:
        ids = np.array(chunk_ids, dtype=np.int64)
        return IndexRows(
            chunk_ids=ids,
            classes=np.zeros(len(ids), np.int32),
            texts=[self._texts[at] for at in ids],
            vectors=self._rows_ND[ids],
        )


def _noise(num_rows: int) -> Matrix:
    rows_ND = np.random.default_rng(0).normal(size=(num_rows, 8)).astype(np.float32)
    return np.asarray(rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True), np.float32)


def _key(use: str, text: str) -> bytes:
    return hashlib.blake2b(f"{use}\0{_utf8(text)}".encode(), digest_size=16).digest()


def _utf8(text: str) -> str:
    return re.sub("[\ud800-\udfff]", "?", text)
