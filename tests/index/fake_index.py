"""An honest small index and a small truth for it to follow: lists, numpy, and BM25 by hand."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from steelyard.core.protocols import Change, IndexRows
from steelyard.core.ranking import Allowed, Hit, Ranking, Vector

DIM = 16


@dataclass(frozen=True, slots=True)
class Row:
    access_class: int
    text: str
    vector: NDArray[np.float16]


def unit(seed: int, *, dim: int = DIM) -> NDArray[np.float16]:
    vector = np.random.default_rng(seed).standard_normal(dim)
    return (vector / np.linalg.norm(vector)).astype(np.float16)


@dataclass(slots=True)
class FakeFeed:
    """A truth in memory. `trim` forgets the log up to a sequence number."""

    dim: int = DIM
    live: dict[int, Row] = field(default_factory=dict)
    log: list[Change] = field(default_factory=list)
    seq: int = 0
    next_id: int = 1
    trimmed: int = 0
    num_rows_read: int = 0
    fail: Exception | None = None

    def add(
        self, text: str, *, access_class: int = 0, vector: NDArray[np.float16] | None = None
    ) -> int:
        chunk_id = self.next_id
        self.next_id += 1
        if vector is None:
            vector = unit(chunk_id, dim=self.dim)
        self.live[chunk_id] = Row(access_class, text, vector.astype(np.float16))
        self._note(chunk_id, added=True)
        return chunk_id

    def remove(self, chunk_id: int) -> None:
        del self.live[chunk_id]
        self._note(chunk_id, added=False)

    def reclassify(self, chunk_id: int, access_class: int) -> None:
        """Change a chunk's class in place, announced as an addition."""
        row = self.live[chunk_id]
        self.live[chunk_id] = Row(access_class, row.text, row.vector)
        self._note(chunk_id, added=True)

    def trim(self) -> None:
        self.log, self.trimmed = [], self.seq

    def last_seq(self) -> int:
        return self.seq

    def changes(self, *, after: int, limit: int) -> list[Change] | None:
        if after < self.trimmed:
            return None
        return [change for change in self.log if change.seq > after][:limit]

    def live_chunk_ids(self) -> tuple[int, NDArray[np.int64]]:
        return self.seq, np.array(sorted(self.live), dtype=np.int64)

    def rows(self, chunk_ids: Sequence[int]) -> IndexRows:
        if self.fail is not None:
            raise self.fail
        found = [chunk_id for chunk_id in chunk_ids if chunk_id in self.live]
        self.num_rows_read += len(found)
        rows = [self.live[chunk_id] for chunk_id in found]
        return IndexRows(
            chunk_ids=np.array(found, dtype=np.int64),
            classes=np.array([row.access_class for row in rows], dtype=np.int32),
            texts=[row.text for row in rows],
            vectors=np.array([row.vector for row in rows], dtype=np.float16).reshape(-1, self.dim),
        )

    def _note(self, chunk_id: int, *, added: bool) -> None:
        self.seq += 1
        self.log.append(Change(self.seq, chunk_id, added))


@dataclass(frozen=True, slots=True)
class FakeView:
    seq: int
    rows: dict[int, Row]
    fingerprint: str = "fake/1"

    def dense(self, vector: Vector, *, k: int, allowed: Allowed) -> Ranking:
        query = vector.astype(np.float16).astype(np.float32)
        hits = [
            Hit(chunk_id, float(row.vector.astype(np.float32) @ query))
            for chunk_id, row in self.rows.items()
            if is_allowed(chunk_id, row, allowed)
        ]
        return Ranking(tuple(sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))[:k]))

    def lexical(self, text: str, *, k: int, allowed: Allowed) -> Ranking:
        documents = {chunk_id: Counter(words(row.text)) for chunk_id, row in self.rows.items()}
        average = sum(d.total() for d in documents.values()) / max(1, len(documents))
        hits = []
        for chunk_id, document in documents.items():
            score = 0.0
            for word in set(words(text)):
                df = sum(word in other for other in documents.values())
                idf = math.log(1 + (len(documents) - df + 0.5) / (df + 0.5))
                tf = document[word]
                norm = 1.2 * (0.25 + 0.75 * document.total() / average) if average else 1.0
                score += idf * tf * 2.2 / (tf + norm)
            if score and is_allowed(chunk_id, self.rows[chunk_id], allowed):
                hits.append(Hit(chunk_id, score))
        return Ranking(tuple(sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))[:k]))


class FakeIndex:
    def __init__(self, feed: FakeFeed) -> None:
        self._feed = feed
        self._view = FakeView(0, {})
        self.refresh()

    def view(self) -> FakeView:
        return self._view

    def refresh(self) -> int:
        self._view = FakeView(self._feed.seq, dict(self._feed.live))
        return self._feed.seq

    def close(self) -> None:
        return


def is_allowed(chunk_id: int, row: Row, allowed: Allowed) -> bool:
    return (allowed.classes is None or row.access_class in allowed.classes) and (
        allowed.chunk_ids is None or chunk_id in allowed.chunk_ids
    )


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())
