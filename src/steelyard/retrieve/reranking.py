"""Putting a reranker's order on the head of a pool, within what is left of the budget."""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from steelyard.core.documents import Chunk
from steelyard.core.errors import SteelyardError
from steelyard.core.protocols import Reranker
from steelyard.core.ranking import FoundChunk, RerankPassage
from steelyard.infra.concurrent import compute

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What there is of chunks already, by chunk id: token ids, and what the reranker made of them
    when it read them ahead."""

    token_ids: Mapping[int, NDArray[np.int32]] = field(default_factory=dict)
    vectors: Mapping[int, NDArray[np.int8]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reranked:
    """`degraded` says in words why fewer than the pool were scored; empty: all were."""

    found: tuple[FoundChunk, ...]
    degraded: str = ""


class Reranking:
    """`kept` finds what there is of chunks, so that at best only the question is read.

    A passage's score is the reranker's, and `first_stage` times what the search gave it, of which
    the pool's best is 1: so it counts alike however the legs were merged.
    """

    def __init__(
        self,
        reranker: Reranker,
        *,
        pool_size: int,
        kept: Callable[[Sequence[int]], Kept],
        workers: ThreadPoolExecutor,
        first_stage: float = 0.0,
    ) -> None:
        self._reranker = reranker
        self.pool_size = pool_size
        self._kept = kept
        self._workers = workers
        self._first_stage = first_stage

    async def rerank(
        self, question: str, found: Sequence[FoundChunk], *, budget_s: float
    ) -> Reranked:
        """Return `found` with its scored head in the reranker's order, the rest behind it."""
        pool = found[: self.pool_size]
        if not pool:
            return Reranked(tuple(found))
        try:
            kept = await compute(self._workers, self._kept, [f.chunk.chunk_id for f in pool])
            passages = [_passage(one, kept) for one in pool]
            scores = await self._reranker.scores(question, passages, budget_s=budget_s)
        except SteelyardError as error:
            log.warning("rerank_failed model=%s reason=%s", self._reranker.model, error)
            return Reranked(tuple(found), f"rerank: {error}")
        best = max(one.score for one in pool)
        weight = self._first_stage / best if best > 0 else 0.0
        scored = [
            FoundChunk(one.chunk, score + weight * one.score)
            for one, score in zip(pool, scores, strict=False)
        ]
        scored.sort(key=lambda one: (-one.score, one.chunk.chunk_id))
        degraded = ""
        if len(scores) < len(pool):
            degraded = f"rerank: {len(scores)} of {len(pool)} passages within the deadline"
        return Reranked((*scored, *found[len(scores) :]), degraded)


def _passage(found: FoundChunk, kept: Kept) -> RerankPassage:
    chunk = found.chunk
    whole = Chunk(
        ordinal=0, start=chunk.start, end=chunk.end, text=chunk.text, heading=chunk.heading
    )
    return RerankPassage(
        chunk_id=chunk.chunk_id,
        text=whole.embedded_text(chunk.title),
        token_ids=kept.token_ids.get(chunk.chunk_id),
        vectors=kept.vectors.get(chunk.chunk_id),
    )
