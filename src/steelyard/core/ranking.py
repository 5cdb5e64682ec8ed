"""Questions and what is found for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from steelyard.core.documents import DEFAULT_COLLECTION, PUBLIC_GROUP, StoredChunk

# Shape suffixes: D dimensions of an embedding, N rows.
Vector = NDArray[np.float32]  # (D,)
Matrix = NDArray[np.float32]  # (N, D)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Search sees a document only if it shares a group with the principal.

    An operator manages every document (list, replace, delete) but searches by its groups
    like anyone else.
    """

    id: str
    groups: frozenset[str]
    operator: bool = False


PUBLIC = Principal(id="public", groups=frozenset({PUBLIC_GROUP}))


@dataclass(frozen=True, slots=True)
class Query:
    """One question to the index. `filter` is the wire form, checked by the store.

    `more_collections` are searched beside `collection`.
    """

    text: str
    principal: Principal
    k: int = 10
    collection: str = DEFAULT_COLLECTION
    filter: Mapping[str, object] = field(default_factory=dict)
    more_collections: tuple[str, ...] = ()

    def each_collection(self) -> "list[Query]":
        """Return this question as asked of each collection alone, each once, in order."""
        if not self.more_collections:
            return [self]
        names = dict.fromkeys((self.collection, *self.more_collections))
        return [replace(self, collection=name, more_collections=()) for name in names]


@dataclass(frozen=True, slots=True)
class RerankPassage:
    """A passage to rerank. `text` is what was embedded (heading path, then passage);
    `token_ids` its ids as kept at ingestion, int32 without special tokens; `vectors` (P, D) what
    the reranker made of them when it read the passage ahead; None: not kept."""

    chunk_id: int
    text: str
    token_ids: NDArray[np.int32] | None = None
    vectors: NDArray[np.int8] | None = None


class Hit(NamedTuple):  # a hundred are made a question: a third of a dataclass's time
    chunk_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Hits of one query, best first; equal scores are ordered by chunk id."""

    hits: tuple[Hit, ...] = ()

    @property
    def chunk_ids(self) -> list[int]:
        return [hit.chunk_id for hit in self.hits]


@dataclass(frozen=True, slots=True)
class Allowed:
    """Which chunks a search may return; None in a field means "no limit by this".

    `classes` are access classes (one per distinct collection and group set); `chunk_ids` is
    sorted and unique (a metadata filter's result). Both must hold.
    """

    classes: frozenset[int] | None = None
    chunk_ids: NDArray[np.int64] | None = None

    @property
    def everything(self) -> bool:
        return self.classes is None and self.chunk_ids is None


@dataclass(frozen=True, slots=True)
class FoundChunk:
    chunk: StoredChunk
    score: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What one search found, with the snapshot it saw and how long each stage took.

    `pool` are the candidates that it was chosen from, best first as fused.
    """

    found: tuple[FoundChunk, ...]
    snapshot: int
    degraded: tuple[str, ...]
    timings_ms: Mapping[str, float]
    pool: tuple[int, ...] = ()


Run = Mapping[str, Sequence[str]]  # query id -> document ids, best first
Qrels = Mapping[str, Mapping[str, int]]  # query id -> document id -> relevance
