"""Answers served again: only what means the same, and is made from what would be found now.

An entry is valid at the sequence number at which it was made or last checked. When the truth
has moved on, its own question is searched again (a few milliseconds, its vector is known): the
same pool of chunk ids means the same sources, as a changed chunk gets a new id. So a changed,
added or deleted document can never leave a stale answer behind.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum

from steelyard.cache import AnswerCache, Entry, Near
from steelyard.cache.meaning import Meaning
from steelyard.core.chat import Answer, Message
from steelyard.core.deadline import Deadline
from steelyard.core.errors import UpstreamError
from steelyard.core.ranking import Query, SearchResult, Vector
from steelyard.infra.concurrent import compute
from steelyard.retrieve import QuestionEmbedder, Retriever

MAX_CANDIDATES = 8  # near questions whose meaning is compared


class CacheUse(StrEnum):
    """What one request may do with the cache."""

    NORMAL = "normal"
    REFRESH = "refresh"  # answer anew, then keep the answer
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the cache sees it. `seq` is the truth's, read before anything else."""

    query: Query
    scope: str
    seq: int
    at: float
    alone: bool  # not a turn of a conversation
    use: CacheUse


@dataclass(frozen=True, slots=True)
class Found:
    """A valid answer, how it was found, and the similarity of the questions."""

    answer: Answer
    how: str  # exact or semantic
    cosine: float = 1.0


class CachedAnswers:
    def __init__(
        self,
        cache: AnswerCache,
        *,
        meaning: Meaning,
        questions: QuestionEmbedder,
        pool: ThreadPoolExecutor,
        retriever: Retriever,
        last_seq: Callable[[], int],
        is_gone: Callable[[str], bool],
        bundle: str,
    ) -> None:
        """`is_gone` tells by its uri that a source vanished before the truth knows it."""
        self.cache = cache
        self._meaning = meaning
        self._questions = questions
        self._pool = pool
        self._retriever = retriever
        self._last_seq = last_seq
        self._is_gone = is_gone
        self._bundle = bundle

    def asked(
        self, query: Query, history: Sequence[Message], use: CacheUse = CacheUse.NORMAL
    ) -> Asked:
        scope = _scope(query, history, self._bundle)
        return Asked(query, scope, self._last_seq(), time.time(), not history, use)

    async def exact(self, asked: Asked, *, deadline: Deadline) -> Found | None:
        """Return the valid answer to this very question, if one is kept."""
        if asked.use is not CacheUse.NORMAL or self.cache.options.mode == "off":
            return None
        entry = self.cache.exact(asked.scope, asked.query.text)
        if entry is None or not await self._valid(entry, asked, deadline):
            return None
        return Found(entry.answer, "exact")

    async def similar(self, asked: Asked, *, deadline: Deadline) -> Found | None:
        """Return the valid answer to a question that means the same, if one is kept."""
        if not asked.alone or asked.use is not CacheUse.NORMAL or self.cache.options.mode != "on":
            return None
        if not self.cache.holds(asked.scope):
            return None
        try:
            vector = await self._questions.vector(asked.query.text)
        except Exception:  # whatever an encoder raises: the search says so, and goes on without
            return None
        near = await compute(self._pool, self._of_same_meaning, asked, vector)
        for one in near:
            if await self._valid(one.entry, asked, deadline) and await self._nothing_newer(
                one.entry, asked, deadline
            ):
                return Found(one.entry.answer, "semantic", one.cosine)
        return None

    def _of_same_meaning(self, asked: Asked, vector: Vector) -> list[Near]:
        """Return the near entries that the same answer serves; blocking, up to milliseconds."""
        near = self.cache.nearest(
            asked.scope, vector, at_least=self._meaning.threshold, limit=MAX_CANDIDATES
        )
        text = asked.query.text
        same = self._meaning.same
        return [one for one in near if same(text, one.entry.question, cosine=one.cosine).same]

    async def keep(self, asked: Asked, answer: Answer, result: SearchResult) -> None:
        """Keep an answer that nothing was left out of, made from all that was known."""
        if asked.use is CacheUse.NONE or self.cache.options.mode == "off":
            return
        # An index behind the truth may have missed what would have changed the answer.
        if answer.degraded or result.snapshot < asked.seq:
            return
        vector: Vector | None = None
        if asked.alone and self.cache.options.mode == "on":  # known: the search has asked for it
            vector = await self._questions.vector(asked.query.text)
        entry = Entry(
            question=asked.query.text,
            scope=asked.scope,
            vector=vector,
            answer=answer,
            pool=result.pool,
            snapshot=asked.seq,
            created_at=asked.at,
        )
        self.cache.put(entry)

    async def _valid(self, entry: Entry, asked: Asked, deadline: Deadline) -> bool:
        if any(self._is_gone(source.uri) for source in entry.answer.sources):
            return False
        if entry.snapshot == asked.seq:
            return True
        again = replace(asked.query, text=entry.question)
        now = await self._candidates(again, asked, deadline)
        if now is None:
            return False
        if now.pool != entry.pool or not _says_the_same(entry, now):
            self.cache.drop(entry)
            return False
        self.cache.validated(entry, asked.seq)
        return True

    async def _nothing_newer(self, entry: Entry, asked: Asked, deadline: Deadline) -> bool:
        """Tell whether this wording finds nothing that changed since the answer was made."""
        if entry.answer.snapshot == asked.seq:
            return True
        now = await self._candidates(asked.query, asked, deadline)
        return now is not None and all(one.chunk.updated_at < entry.created_at for one in now.found)

    async def _candidates(
        self, query: Query, asked: Asked, deadline: Deadline
    ) -> SearchResult | None:
        """Search anew; None where the result cannot be trusted to be all there is."""
        try:
            now = await self._retriever.candidates(query, deadline=deadline)
        except UpstreamError:
            return None
        return None if now.degraded or now.snapshot < asked.seq else now


def _says_the_same(entry: Entry, now: SearchResult) -> bool:
    """Tell whether the answer's sources are what the truth holds under their ids."""
    chunks = {one.chunk.chunk_id: one.chunk for one in now.found}
    return all(
        (chunk := chunks.get(source.chunk_id)) is None  # a neighbour of one that is there
        or (source.text in chunk.text and (source.uri, source.title) == (chunk.uri, chunk.title))
        for source in entry.answer.sources
    )


def _scope(query: Query, history: Sequence[Message], bundle: str) -> str:
    """Hash everything but the question that shapes an answer."""
    parts = {
        "collections": [query.collection, *query.more_collections],
        "groups": sorted(query.principal.groups),
        "filter": query.filter,
        "k": query.k,
        "history": [[turn.role, turn.content] for turn in history],
        "bundle": bundle,
    }
    whole = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()
