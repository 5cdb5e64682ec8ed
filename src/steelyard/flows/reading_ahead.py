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

    `rerankers` says at every look which serves, and behind it those that may serve again; what
    others have read goes when all is read.
    """
    of, seq, pruned = "", -1, -1
    at = ReadAhead()
    while True:
        try:
            serving, *before = rerankers()
            if isinstance(serving, ReadingReranker):
                if of != serving.reads_as:
                    of, seq, pruned, at = serving.reads_as, -1, -1, ReadAhead()
                if seq != (now := store.last_seq()):
                    at = await _read_all(store, serving, workers, at)
                    seq = now
                if pruned < 0 or seq - pruned > PRUNE_AFTER:
                    keep = [of, *(x.reads_as for x in before if isinstance(x, ReadingReranker))]
                    await compute(workers.ingest, store.prune_readings, keep=keep)
                    pruned = seq
        except SteelyardError as error:
            log.warning("reading_ahead_failed retry_s=%s reason=%s", RETRY_S, error)
            await asyncio.sleep(RETRY_S)
        await asyncio.sleep(LOOK_S)


async def _read_all(
    store: Store, reranker: ReadingReranker, workers: Workers, at: ReadAhead
) -> ReadAhead:
    begun = at.num
    while True:
        came = await compute(workers.ingest, read_some, store, reranker, after=at)
        if came is None:
            break
        at = came
    if at.num > begun:
        log.info("read_ahead passages=%d by=%s", at.num - begun, reranker.model)
    return at
