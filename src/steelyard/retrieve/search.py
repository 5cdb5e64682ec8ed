"""One search: embed, dense beside lexical, fuse, and fetch what the principal may read."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from steelyard.core.documents import StoredChunk
from steelyard.core.errors import InputError, UpstreamError
from steelyard.core.protocols import Embedder, Index, IndexView
from steelyard.core.ranking import (
    Allowed,
    FoundChunk,
    Query,
    Ranking,
    SearchResult,
)
from steelyard.infra.concurrent import compute
from steelyard.retrieve.fuse import fuse_rrf

log = logging.getLogger(__name__)

MAX_QUERY_CHARS = 32_000
MAX_K = 200


@dataclass(frozen=True, slots=True)
class RetrieveOptions:
    """`pool` hits are taken from each leg before fusion, and the lexical leg's ranks count
    `lexical_weight` times (docs/why/retrieval.md); a leg slower than `leg_budget_s` is left out
    and named in `degraded`."""

    pool: int = 50
    lexical_weight: float = 1.5
    leg_budget_s: float = 2.0


class ChunkReader(Protocol):
    """The truth as a search reads it: what is live and readable is decided here."""

    def allowed(self, query: Query) -> Allowed: ...

    def fetch(self, chunk_ids: Sequence[int], *, query: Query) -> list[StoredChunk]: ...


class Retriever:
    def __init__(
        self,
        *,
        embedder: Embedder,
        index: Index,
        reader: ChunkReader,
        pool: ThreadPoolExecutor,
        options: RetrieveOptions | None = None,
        is_gone: Callable[[StoredChunk], bool] | None = None,
    ) -> None:
        """`is_gone` says that a chunk's source vanished and the truth does not know it yet."""
        self._embedder = embedder
        self._index = index
        self._reader = reader
        self._pool = pool
        self._options = options or RetrieveOptions()
        self._is_gone = is_gone

    async def search(self, query: Query) -> SearchResult:
        """Return the k best chunks that the principal may read, best first.

        Raises:
            InputError: the query is empty or too long, or k is out of range.
            UpstreamError: every leg failed.
        """
        check_query(query)
        started = perf_counter()
        timings: dict[str, float] = {}
        view = self._index.view()
        if query.filter:
            allowed = await compute(self._pool, self._reader.allowed, query)
        else:  # cached, microseconds: a hop to a thread costs more
            allowed = self._reader.allowed(query)
        depth = max(self._options.pool, 2 * query.k)
        rankings, degraded = await self._legs(query, view, allowed, depth, timings)
        fuse_started = perf_counter()
        fused = fuse_rrf(list(rankings.values()), weights=self._weights(rankings))
        timings["fuse"] = _ms(fuse_started)
        found = await compute(self._pool, self._fetch, fused, query, timings)
        timings["total"] = _ms(started)
        return SearchResult(
            found=found, snapshot=view.seq, degraded=tuple(degraded), timings_ms=timings
        )

    async def _legs(
        self,
        query: Query,
        view: IndexView,
        allowed: Allowed,
        depth: int,
        timings: dict[str, float],
    ) -> tuple[dict[str, Ranking], list[str]]:
        """Run both legs at once; one may fail or miss its budget, and is then named."""

        def dense() -> Ranking:
            started = perf_counter()
            vector = self._embedder.embed_query(query.text)
            timings["embed"] = _ms(started)
            started = perf_counter()
            ranking = view.dense(vector, k=depth, allowed=allowed)
            timings["dense"] = _ms(started)
            return ranking

        def lexical() -> Ranking:
            started = perf_counter()
            ranking = view.lexical(query.text, k=depth, allowed=allowed)
            timings["lexical"] = _ms(started)
            return ranking

        names = ("dense", "lexical")
        jobs = [asyncio.ensure_future(compute(self._pool, leg)) for leg in (dense, lexical)]
        try:
            await asyncio.wait(jobs, timeout=self._options.leg_budget_s)
        finally:
            for job in jobs:
                job.cancel()
        rankings: dict[str, Ranking] = {}
        degraded: list[str] = []
        for name, job in zip(names, jobs, strict=True):
            ranking = _result(name, job)
            if ranking is None:
                degraded.append(name)
            else:
                rankings[name] = ranking
        if not rankings:
            raise UpstreamError(
                "both search legs failed or exceeded "
                f"{self._options.leg_budget_s} s; the server's log says why",
                code="search_failed",
                retry_after_s=1.0,
            )
        return rankings, degraded

    def _weights(self, rankings: Mapping[str, Ranking]) -> list[float]:
        return [self._options.lexical_weight if leg == "lexical" else 1.0 for leg in rankings]

    def _fetch(
        self, fused: Ranking, query: Query, timings: dict[str, float]
    ) -> tuple[FoundChunk, ...]:
        """Walk down the fused ranking until k visible chunks are found."""
        started = perf_counter()
        scores = {hit.chunk_id: hit.score for hit in fused.hits}
        found: list[FoundChunk] = []
        ids = fused.chunk_ids
        for begin in range(0, len(ids), query.k):  # one round, unless some of them are gone
            for chunk in self._reader.fetch(ids[begin : begin + query.k], query=query):
                if self._is_gone is None or not self._is_gone(chunk):
                    found.append(FoundChunk(chunk, scores[chunk.chunk_id]))
            if len(found) >= query.k:
                break
        timings["fetch"] = _ms(started)
        return tuple(found[: query.k])


def check_query(query: Query) -> None:
    """Raise InputError for a query that no leg should see."""
    if not query.text.strip():
        raise InputError("the query is empty; send some text in `query`", code="empty_query")
    if len(query.text) > MAX_QUERY_CHARS:
        raise InputError(
            f"the query has {len(query.text):,} characters; at most {MAX_QUERY_CHARS:,} are "
            "allowed: send the question, not the document",
            code="query_too_long",
        )
    if "\x00" in query.text:
        raise InputError("the query has a NUL character; remove it", code="binary_query")
    if not 1 <= query.k <= MAX_K:
        raise InputError(f"k is {query.k}; it must be from 1 to {MAX_K}", code="bad_k")


def _result(name: str, job: "asyncio.Future[Ranking]") -> Ranking | None:
    """Return a finished leg's ranking; None if it failed or is late, which is logged."""
    if not job.done() or job.cancelled():
        log.warning("leg_late leg=%s", name)
        return None
    error = job.exception()
    if isinstance(error, InputError):
        raise error
    if error is not None:
        log.error("leg_failed leg=%s", name, exc_info=error)
        return None
    return job.result()


def _ms(started: float) -> float:
    return round((perf_counter() - started) * 1000, 3)
