"""The legs of one search: dense and lexical of each collection, all at once, each in budget."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from steelyard.core.documents import StoredChunk
from steelyard.core.errors import InputError
from steelyard.core.protocols import IndexView
from steelyard.core.ranking import Allowed, Query, Ranking, Vector
from steelyard.infra.concurrent import compute
from steelyard.retrieve.questions import QuestionEmbedder

log = logging.getLogger(__name__)

DENSE, LEXICAL = "dense", "lexical"
KINDS = (DENSE, LEXICAL)


class ChunkReader(Protocol):
    """The truth as a search reads it: what is live and readable is decided here."""

    def allowed(self, query: Query) -> Allowed: ...

    def fetch(self, chunk_ids: Sequence[int], *, query: Query) -> list[StoredChunk]: ...


@dataclass(frozen=True, slots=True)
class LegResults:
    """The finished legs' rankings by kind, collections merged; the others are named."""

    rankings: Mapping[str, Ranking]
    degraded: tuple[str, ...]


class Legs:
    def __init__(
        self, *, questions: QuestionEmbedder, reader: ChunkReader, pool: ThreadPoolExecutor
    ) -> None:
        self._questions = questions
        self._reader = reader
        self._pool = pool

    async def run(
        self,
        query: Query,
        view: IndexView,
        *,
        kinds: Sequence[str] = KINDS,
        depth: int,
        budget_s: float,
        timings: dict[str, float],
    ) -> LegResults:
        """Run every leg at once; one may fail or miss the budget, and is then named.

        Raises:
            InputError: the query's filter is wrong.
        """
        asked, held = self._questions.fingerprint, view.fingerprint
        assert asked == held, f"a question embedded by {asked} met an index of {held}"
        jobs: dict[str, asyncio.Task[Ranking]] = {}
        for one in query.each_collection():
            allowed = await self._allowed(one)
            for kind in kinds:
                name = f"{kind}:{one.collection}" if query.more_collections else kind
                leg = self._dense if kind == DENSE else self._lexical
                jobs[name] = asyncio.ensure_future(leg(_Leg(one, view, allowed, depth, timings)))
        try:
            await asyncio.wait(jobs.values(), timeout=budget_s)
        finally:
            for job in jobs.values():
                job.cancel()
        done = {name: _result(name, job) for name, job in jobs.items()}
        parts: dict[str, list[Ranking]] = {}
        for name, ranking in done.items():
            if ranking is not None:
                parts.setdefault(name.partition(":")[0], []).append(ranking)
        return LegResults(
            rankings={kind: _merged(rankings) for kind, rankings in parts.items()},
            degraded=tuple(name for name, ranking in done.items() if ranking is None),
        )

    async def _allowed(self, query: Query) -> Allowed:
        if query.filter:
            return await compute(self._pool, self._reader.allowed, query)
        return self._reader.allowed(query)  # cached, microseconds: a hop to a thread costs more

    async def _dense(self, leg: "_Leg") -> Ranking:
        begun = perf_counter()

        def search(vector: Vector) -> Ranking:
            _note(leg.timings, "embed", begun)
            started = perf_counter()
            ranking = leg.view.dense(vector, k=leg.depth, allowed=leg.allowed)
            _note(leg.timings, DENSE, started)
            return ranking

        return await self._questions.embed(leg.query.text, then=search)

    async def _lexical(self, leg: "_Leg") -> Ranking:
        def search() -> Ranking:
            started = perf_counter()
            ranking = leg.view.lexical(leg.query.text, k=leg.depth, allowed=leg.allowed)
            _note(leg.timings, LEXICAL, started)
            return ranking

        return await compute(self._pool, search)


@dataclass(frozen=True, slots=True)
class _Leg:
    """What one leg needs: the query of one collection, and what it may return."""

    query: Query
    view: IndexView
    allowed: Allowed
    depth: int
    timings: dict[str, float]


def _note(timings: dict[str, float], stage: str, started: float) -> None:
    """Keep the slowest: legs of one kind run side by side."""
    took_ms = round((perf_counter() - started) * 1000, 3)
    timings[stage] = max(took_ms, timings.get(stage, 0.0))


def _merged(rankings: Sequence[Ranking]) -> Ranking:
    """Merge one kind's rankings of several collections; they share one index, so one scale."""
    if len(rankings) == 1:
        return rankings[0]
    hits = [hit for ranking in rankings for hit in ranking.hits]
    return Ranking(tuple(sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))))


def _result(name: str, job: "asyncio.Task[Ranking]") -> Ranking | None:
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
