"""One search: all legs at once, fused, fetched as far as the principal may read, reranked."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

from steelyard.core.deadline import Deadline
from steelyard.core.documents import StoredChunk
from steelyard.core.errors import InputError, SetupError, UpstreamError
from steelyard.core.protocols import Index
from steelyard.core.ranking import FoundChunk, Query, Ranking, SearchResult
from steelyard.infra.concurrent import compute
from steelyard.retrieve.fuse import fuse_convex, fuse_rrf
from steelyard.retrieve.legs import DENSE, KINDS, LEXICAL, ChunkReader, Legs
from steelyard.retrieve.questions import QuestionEmbedder
from steelyard.retrieve.reranking import Reranking

MAX_QUERY_CHARS = 32_000
MAX_K = 200
MAX_COLLECTIONS = 32
LEGS = {"hybrid": KINDS, "dense": (DENSE,), "lexical": (LEXICAL,), "none": ()}
FUSIONS: dict[str, Callable[..., Ranking]] = {"scores": fuse_convex, "ranks": fuse_rrf}
LEGS_SHARE = 0.7  # of what is left of the deadline; the rest is for fetching and reranking
_RESERVE_S = 0.004  # kept back from reranking, to end in time
_LEARNING = 0.1  # of the moving mean that says how long the dense leg takes


@dataclass(frozen=True, slots=True)
class RetrieveOptions:
    """`pool` hits are taken from each leg, and merged by their scores or by their ranks
    (`fusion`), of which the dense leg's count `dense_share` of 1: docs/why/retrieval.md.

    A leg slower than `leg_budget_s` is left out and named in `degraded`. `legs` is hybrid (both),
    dense, lexical, or none: a language model then answers from what it knows.
    """

    pool: int = 50
    fusion: str = "scores"
    dense_share: float = 0.5
    leg_budget_s: float = 2.0
    legs: str = "hybrid"

    def __post_init__(self) -> None:
        """Raise SetupError for an unknown choice."""
        if self.legs not in LEGS:
            raise SetupError(f"retrieve.legs is {self.legs!r}; set it to {', '.join(LEGS)}")
        if self.fusion not in FUSIONS:
            raise SetupError(f"retrieve.fusion is {self.fusion!r}; set it to {', '.join(FUSIONS)}")
        if not 0 <= self.dense_share <= 1:
            raise SetupError(f"retrieve.dense_share is {self.dense_share}; set it from 0 to 1")


class Retriever:
    def __init__(
        self,
        *,
        questions: QuestionEmbedder,
        index: Index,
        reader: ChunkReader,
        pool: ThreadPoolExecutor,
        options: RetrieveOptions | None = None,
        reranking: Reranking | None = None,
        is_gone: Callable[[StoredChunk], bool] | None = None,
    ) -> None:
        """`is_gone` says that a chunk's source vanished and the truth does not know it yet."""
        self._index = index
        self._reader = reader
        self._pool = pool
        self._options = options or RetrieveOptions()
        self._legs = Legs(questions=questions, reader=reader, pool=pool)
        self._reranking = reranking
        self._is_gone = is_gone
        self._dense_s = 0.0

    async def search(self, query: Query, *, deadline: Deadline | None = None) -> SearchResult:
        """Return the k best chunks that the principal may read, best first.

        Raises:
            InputError: the query is empty or too long, or k is out of range.
            UpstreamError: every leg failed, or the deadline passed before one ended.
        """
        deadline = deadline or Deadline(self._options.leg_budget_s)
        result = await self.candidates(query, deadline=deadline)
        if self._reranking is None:
            return _cut(result, query.k, result.timings_ms, ())
        started = perf_counter()
        reranked = await self._reranking.rerank(
            query.text, result.found, budget_s=max(0.0, deadline.left_s() - _RESERVE_S)
        )
        timings = dict(result.timings_ms) | {"rerank": _ms(started)}
        timings["total"] = round(result.timings_ms["total"] + timings["rerank"], 3)
        degraded = (reranked.degraded,) if reranked.degraded else ()
        return _cut(result, query.k, timings, degraded, found=reranked.found)

    async def candidates(self, query: Query, *, deadline: Deadline) -> SearchResult:
        """Return the fused pool, as wide as `k` and the reranker need, before reranking.

        Raises: as `search` does.
        """
        check_query(query)
        started = perf_counter()
        timings: dict[str, float] = {}
        view = self._index.view()
        kinds = LEGS[self._options.legs]
        if not kinds:
            return SearchResult((), view.seq, (), {"total": _ms(started)})
        wanted = max(query.k, self._reranking.pool_size if self._reranking else 0)
        skipped = self._too_slow(deadline) if kinds == KINDS else {}
        legs = await self._legs.run(
            query,
            view,
            kinds=[kind for kind in kinds if kind not in skipped],
            depth=max(self._options.pool, wanted),
            budget_s=min(self._options.leg_budget_s, deadline.left_s() * LEGS_SHARE),
            timings=timings,
        )
        if not legs.rankings:
            raise _no_leg(deadline)
        self._learn(timings)
        fuse_started = perf_counter()
        fused = self._fused(legs.rankings)
        timings["fuse"] = _ms(fuse_started)
        found = await compute(self._pool, self._fetch, fused, query, wanted, timings)
        timings["total"] = _ms(started)
        return SearchResult(
            found=found,
            snapshot=view.seq,
            degraded=(*skipped.values(), *legs.degraded),
            timings_ms=timings,
            pool=tuple(one.chunk.chunk_id for one in found),
        )

    def _too_slow(self, deadline: Deadline) -> dict[str, str]:
        """Return the legs that the deadline leaves no time for, with what to say of them."""
        left_s = deadline.left_s()
        if left_s <= 0:
            raise _no_leg(deadline)
        if self._dense_s > left_s * LEGS_SHARE:
            return {DENSE: f"dense: skipped, {left_s * 1000:.1f} ms were left"}
        return {}

    def _learn(self, timings: Mapping[str, float]) -> None:
        if DENSE in timings:
            took_s = (timings["embed"] + timings[DENSE]) / 1000
            self._dense_s += _LEARNING * (took_s - self._dense_s)
        else:  # so that a leg that was slow once is tried again
            self._dense_s *= 1 - _LEARNING

    def _fused(self, rankings: Mapping[str, Ranking]) -> Ranking:
        share = self._options.dense_share
        fuse = FUSIONS[self._options.fusion]
        weights = [1 - share if leg == LEXICAL else share for leg in rankings]
        return fuse(list(rankings.values()), weights=weights)

    def _fetch(
        self, fused: Ranking, query: Query, wanted: int, timings: dict[str, float]
    ) -> tuple[FoundChunk, ...]:
        """Walk down the fused ranking until `wanted` visible chunks are found."""
        started = perf_counter()
        scores = {hit.chunk_id: hit.score for hit in fused.hits}
        found: list[FoundChunk] = []
        ids = fused.chunk_ids
        for begin in range(0, len(ids), wanted):  # one round, unless some of them are gone
            for chunk in self._read(ids[begin : begin + wanted], query):
                if self._is_gone is None or not self._is_gone(chunk):
                    found.append(FoundChunk(chunk, scores[chunk.chunk_id]))
            if len(found) >= wanted:
                break
        timings["fetch"] = _ms(started)
        return tuple(found[:wanted])

    def _read(self, chunk_ids: Sequence[int], query: Query) -> list[StoredChunk]:
        if not query.more_collections:
            return self._reader.fetch(chunk_ids, query=query)
        chunks = {
            chunk.chunk_id: chunk
            for one in query.each_collection()
            for chunk in self._reader.fetch(chunk_ids, query=one)
        }
        return [chunks[chunk_id] for chunk_id in chunk_ids if chunk_id in chunks]


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
    if len(query.more_collections) >= MAX_COLLECTIONS:
        raise InputError(
            f"{len(query.more_collections) + 1} collections are asked at once; at most "
            f"{MAX_COLLECTIONS} are allowed"
        )


def _cut(
    result: SearchResult,
    k: int,
    timings: Mapping[str, float],
    degraded: tuple[str, ...],
    *,
    found: Sequence[FoundChunk] | None = None,
) -> SearchResult:
    return SearchResult(
        found=tuple((result.found if found is None else found)[:k]),
        snapshot=result.snapshot,
        degraded=(*result.degraded, *degraded),
        timings_ms=timings,
        pool=result.pool,
    )


def _no_leg(deadline: Deadline) -> UpstreamError:
    if deadline.left_s() <= 0 or deadline.budget_s < 0.1:
        return UpstreamError(
            f"the deadline of {deadline.budget_ms:.0f} ms passed before a search leg ended; "
            "send a larger X-Deadline-Ms",
            code="deadline_exceeded",
        )
    return UpstreamError(
        f"every search leg failed or exceeded its part of {deadline.budget_ms:.0f} ms; the "
        "server's log says why",
        code="search_failed",
        retry_after_s=1.0,
    )


def _ms(started: float) -> float:
    return round((perf_counter() - started) * 1000, 3)
