"""The oracle: a retriever that finds what the question's gold says, and nothing else."""

import re
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from steelyard.core.deadline import Deadline
from steelyard.core.documents import StoredChunk
from steelyard.core.errors import NotFound
from steelyard.core.evaluation import Question
from steelyard.core.ranking import FoundChunk, Query, SearchResult
from steelyard.infra.concurrent import compute
from steelyard.store import Store


class GoldRetriever:
    """Finds the chunks that hold the gold spans of one question; of a document without a span,
    its first chunks. They are in the order of grade, then of reading."""

    def __init__(self, question: Question, *, store: Store, pool: ThreadPoolExecutor) -> None:
        self._question = question
        self._store = store
        self._pool = pool

    async def search(self, query: Query, *, deadline: Deadline | None = None) -> SearchResult:
        """Return at most k gold chunks; none where nothing is known to be right."""
        started = perf_counter()
        found = await compute(self._pool, self._find, query)
        took_ms = round((perf_counter() - started) * 1000, 3)
        return SearchResult(
            found=tuple(found),
            snapshot=self._store.last_seq(),
            degraded=(),
            timings_ms={"fetch": took_ms, "total": took_ms},
            pool=tuple(one.chunk.chunk_id for one in found),
        )

    def _find(self, query: Query) -> list[FoundChunk]:
        grades = self._question.relevant
        wanted = sorted((name for name in grades if grades[name] > 0), key=lambda n: -grades[n])
        names = dict.fromkeys([*wanted, *(span.document_id for span in self._question.spans)])
        chunks: list[StoredChunk] = []
        for name in names:
            chunks += self._of(name, query)
        return [FoundChunk(chunk, 1 / place) for place, chunk in enumerate(chunks[: query.k], 1)]

    def _of(self, document_id: str, query: Query) -> list[StoredChunk]:
        try:
            chunks = self._store.chunks_of(query.collection, document_id, principal=query.principal)
        except NotFound:
            return []
        spans = [_words(s.text) for s in self._question.spans if s.document_id == document_id]
        holding = [one for one in chunks if _holds(_words(one.text), spans)]
        return holding or chunks


def _holds(text: str, spans: list[str]) -> bool:
    """Tell whether a chunk has a span, or the beginning or end of one that was cut."""
    return any(
        span and (span in text or _overlaps(text, span) or _overlaps(span, text)) for span in spans
    )


def _overlaps(first: str, second: str) -> bool:
    """Tell whether `first` ends with at least a third of what `second` begins with."""
    least = max(12, len(second) // 3)
    return any(first.endswith(second[:size]) for size in range(least, min(len(second), 400)))


def _words(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().lower()
