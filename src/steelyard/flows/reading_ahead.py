"""Passages read by the reranker before anybody asks: what it makes of them is kept."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steelyard.core.errors import SteelyardError
from steelyard.core.protocols import ReadingReranker, Reranker
from steelyard.core.ranking import RerankPassage
from steelyard.infra.concurrent import Workers, compute
from steelyard.store import Reading, Store

log = logging.getLogger(__name__)

AT_ONCE = 32  # passages: under a second of one core
LOOK_S = 0.5
PRUNE_AFTER = 2_000  # changes to chunks: pruning looks at everything
RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """How far a reranker has come: the last chunk that it was given, and how many in all."""

    last_id: int = -1
    num: int = 0


def read_some(
    store: Store, reranker: ReadingReranker, *, after: ReadAhead, limit: int = AT_ONCE
) -> ReadAhead | None:
    """Read some of the chunks beyond those that were read, and keep it; blocking.

    None: there are none. A newer chunk has a higher id, so going on from the last one misses none.
    """
    chunks = store.unread(reranker.reads_as, after=after.last_id, limit=limit)
    if not chunks:
        return None
    ids = store.token_ids([one.chunk_id for one in chunks], tokenizer=reranker.tokenizer_identity)
    made = reranker.read(
        [RerankPassage(one.chunk_id, one.text, ids.get(one.chunk_id)) for one in chunks]
    )
    store.keep_readings(
        reranker.reads_as,
        [Reading(one.sha256, rows) for one, rows in zip(chunks, made, strict=True)],
    )
    return ReadAhead(chunks[-1].chunk_id, after.num + len(chunks))


async def read_ahead(
    store: Store,
    rerankers: Callable[[], Sequence[Reranker | None]],
    workers: Workers,
) -> None:
    """Keep what the serving reranker makes of every live chunk, until cancelled.

    `rerankers` says which serves, and behind it those that may serve again; it is asked between
    slices. What others have read goes when all is read.
    """
    reading = _Reading(store, workers)
    while True:
        more = False
        try:
            serving, *before = rerankers()
            if isinstance(serving, ReadingReranker):
                others = [one.reads_as for one in before if isinstance(one, ReadingReranker)]
                more = await reading.look(serving, others=others)
        except SteelyardError as error:
            log.warning("reading_ahead_failed retry_s=%s reason=%s", RETRY_S, error)
            await asyncio.sleep(RETRY_S)
        if not more:
            await asyncio.sleep(LOOK_S)


class _Reading:
    """How far the reranker `_of` has read: all of the truth at `_seq`, some of it since."""

    def __init__(self, store: Store, workers: Workers) -> None:
        self._store, self._workers = store, workers
        self._begin("")

    def _begin(self, reads_as: str) -> None:
        self._of, self._at = reads_as, ReadAhead()
        self._seq: int | None = None
        self._pruned: int | None = None

    async def look(self, serving: ReadingReranker, *, others: Sequence[str]) -> bool:
        """Read a slice, or prune when all is read; tell whether there may be more to read."""
        if serving.reads_as != self._of:
            self._begin(serving.reads_as)
        pool, now = self._workers.ingest, self._store.last_seq()
        if now != self._seq:
            came = await compute(pool, read_some, self._store, serving, after=self._at)
            if came is not None:
                self._at = came
                return True
            if self._at.num:
                log.info("read_ahead passages=%d by=%s", self._at.num, serving.model)
            self._at, self._seq = ReadAhead(self._at.last_id), now
        if self._pruned is None or now - self._pruned > PRUNE_AFTER:
            await compute(pool, self._store.prune_readings, keep=[self._of, *others])
            self._pruned = now
        return False
