"""What a generator is given: the found chunks without repetition, under a token budget."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from steelyard.core.chat import Passage
from steelyard.core.documents import StoredChunk
from steelyard.core.errors import SetupError
from steelyard.core.passages import fit_passages
from steelyard.core.protocols import Tokenizer
from steelyard.core.ranking import FoundChunk, Query
from steelyard.core.words import content_stems
from steelyard.infra.concurrent import compute
from steelyard.retrieve.duplicates import without_duplicates
from steelyard.retrieve.excerpts import Excerpt, Reader, num_tokens
from steelyard.retrieve.legs import ChunkReader
from steelyard.retrieve.neighbours import with_neighbours
from steelyard.retrieve.trimming import trimmed


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """What is made of the found chunks before a generator sees them: docs/why/context.md.

    `max_tokens` bounds all passages together, in the embedder's tokens. `drop_duplicates`
    leaves out what a better passage says already. The first `neighbours` passages bring what
    stands beside them in their document, where that has words of the question that they lack.
    `trim` ends all but the best passage where nothing is about the question any more.
    """

    max_tokens: int = 4000
    drop_duplicates: bool = True
    neighbours: int = 3
    trim: bool = False

    def __post_init__(self) -> None:
        """Raise SetupError for a number that makes no sense."""
        if self.max_tokens < 1:
            raise SetupError(f"context.max_tokens is {self.max_tokens}; set it to 1 or more")
        if self.neighbours < 0:
            raise SetupError(f"context.neighbours is {self.neighbours}; set it to 0 or more")


@dataclass(frozen=True, slots=True)
class Context:
    """`saved_tokens` is how many tokens of what was found are not given; `added_tokens`, part of
    `num_tokens`, are those of passages that stand beside what was found."""

    passages: tuple[Passage, ...] = ()
    num_tokens: int = 0
    saved_tokens: int = 0
    added_tokens: int = 0


class ContextBuilder:
    def __init__(
        self,
        *,
        reader: ChunkReader,
        tokenizer: Tokenizer,
        pool: ThreadPoolExecutor,
        options: ContextOptions | None = None,
    ) -> None:
        self._reader = reader
        self._tokenizer = tokenizer
        self._pool = pool
        self._options = options or ContextOptions()
        self._excerpts = Reader(tokenizer)

    async def build(
        self, query: Query, found: Sequence[FoundChunk], *, stable_order: bool
    ) -> Context:
        """Return the passages for `query` from `found` (best first), numbered from 1.

        They stand by rank, or with `stable_order` by document and place, so that the same
        sources found in another order read the same to a model server's prefix cache. Scores
        fall strictly with rank, so they tell it in either order. Each passage's text is its
        document's, exactly.
        """
        return await compute(self._pool, self.build_now, query, found, stable_order=stable_order)

    def build_now(
        self, query: Query, found: Sequence[FoundChunk], *, stable_order: bool
    ) -> Context:
        """Do what `build` does, blocking: about a millisecond."""
        options = self._options
        asked = frozenset(content_stems(query.text))
        excerpts = [self._excerpts.whole(each.chunk, score=each.score) for each in found]
        found_tokens = num_tokens(excerpts)
        if options.drop_duplicates:
            excerpts = without_duplicates(excerpts, asked)
        if options.neighbours:
            excerpts = self._joined(query, excerpts, asked)
        if options.trim:
            excerpts = trimmed(excerpts, asked)
        excerpts = self._fitted(_falling(excerpts))
        if stable_order:
            excerpts.sort(key=_place)
        given = num_tokens(excerpts)
        added = num_tokens([each for each in excerpts if each.joined])
        return Context(
            passages=tuple(each.passage(n) for n, each in enumerate(excerpts, start=1)),
            num_tokens=given,
            saved_tokens=found_tokens - (given - added),
            added_tokens=added,
        )

    def _joined(
        self, query: Query, excerpts: Sequence[Excerpt], asked: frozenset[str]
    ) -> list[Excerpt]:
        def fetch(chunk_ids: Sequence[int], collection: str) -> Sequence[StoredChunk]:
            one = replace(query, collection=collection, more_collections=())
            return self._reader.fetch(chunk_ids, query=one)

        def make(chunk: StoredChunk, score: float) -> Excerpt:
            return self._excerpts.whole(chunk, score=score, joined=True)

        first = self._options.neighbours
        return with_neighbours(excerpts, asked, first=first, fetch=fetch, make=make)

    def _fitted(self, excerpts: Sequence[Excerpt]) -> list[Excerpt]:
        """Return what fits the budget, found chunks before those that only stand beside one."""
        by_rank = [each.passage(n) for n, each in enumerate(excerpts)]
        by_need = sorted(by_rank, key=lambda passage: excerpts[passage.n].joined)
        kept = fit_passages(
            by_need,
            max_tokens=self._options.max_tokens,
            tokenizer=self._tokenizer,
            num_tokens=[excerpts[passage.n].num_tokens for passage in by_need],
        )
        in_order = sorted(kept, key=lambda passage: passage.n)
        return [_as_long_as(passage, excerpts[passage.n]) for passage in in_order]


def _as_long_as(passage: Passage, excerpt: Excerpt) -> Excerpt:
    end = len(passage.text)
    return excerpt if end == excerpt.end else excerpt.cut(end)


def _falling(excerpts: Sequence[Excerpt]) -> list[Excerpt]:
    """Return `excerpts` with scores that fall strictly.

    Equal scores are set apart by the least possible, and so is a tail on another scale, which a
    reranker leaves that ran out of time.
    """
    result: list[Excerpt] = []
    above = math.inf
    for each in excerpts:
        above = min(each.score, math.nextafter(above, -math.inf))
        result.append(replace(each, score=above))
    return result


def _place(excerpt: Excerpt) -> tuple[str, str, int, int]:
    chunk = excerpt.chunk
    return (chunk.collection, chunk.document_id, chunk.start, chunk.chunk_id)
