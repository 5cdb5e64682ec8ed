"""What training rows are made with: a live home's parts, asked as serving asks them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from steelyard.core.chat import Message, Passage
from steelyard.core.deadline import Deadline
from steelyard.core.documents import DEFAULT_COLLECTION, Chunk, StoredChunk
from steelyard.core.errors import UpstreamError
from steelyard.core.passages import fit_passages
from steelyard.core.protocols import Embedder, Index, Reranker
from steelyard.core.ranking import PUBLIC, FoundChunk, Principal, Query
from steelyard.core.training import TrainingRow, Turn
from steelyard.datasets.training import Flag, IndexedRow, flags_of, sha256_of
from steelyard.generate import LlmOptions
from steelyard.generate.prompt import (
    SOURCE_TOKENS,
    build_closed_book,
    build_messages,
    fit_history,
)
from steelyard.retrieve import ContextBuilder, Retriever
from steelyard.store import Store

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Desk:
    """Parts of one bundle (`name`) over one home. `principal` is as whom documents are searched:
    what it may not read comes into no row. `llm` says what fits into a prompt, and what is added
    to its rules."""

    name: str
    store: Store
    pool: ThreadPoolExecutor
    retriever: Retriever
    context: ContextBuilder
    embedder: Embedder
    index: Index
    reranker: Reranker | None = None
    principal: Principal = PUBLIC
    collection: str = DEFAULT_COLLECTION
    llm: LlmOptions = field(default_factory=LlmOptions)

    def query(self, text: str, *, k: int) -> Query:
        return Query(text, self.principal, k=k, collection=self.collection)

    async def found(self, query: Query) -> Sequence[FoundChunk]:
        """Return what a search finds, before reranking.

        Raises:
            UpstreamError: a part of the search was left out, so that another try gives others.
        """
        result = await self.retriever.candidates(query, deadline=Deadline(PATIENCE_S))
        if result.degraded:
            raise UpstreamError(
                f"a search was not complete ({'; '.join(result.degraded)}): try again when the "
                "machine is less busy, or with --set retrieve.leg_budget_s=10"
            )
        return result.found

    async def sources(self, query: Query) -> tuple[Passage, ...]:
        """Return the numbered passages that a language model would be given now."""
        result = await self.retriever.search(query, deadline=Deadline(PATIENCE_S))
        context = await self.context.build(query, result.found, stable_order=True)
        return self.fitted(context.passages)

    def fitted(self, passages: Sequence[Passage]) -> tuple[Passage, ...]:
        """Return those passages that fit a language model's prompt, as serving cuts them."""
        return fit_passages(
            passages,
            max_tokens=self.llm.context_tokens,
            tokenizer=self.embedder.tokenizer,
            extra_tokens=SOURCE_TOKENS,
        )

    def asked(
        self, question: str, passages: Sequence[Passage], *, history: Sequence[Message] = ()
    ) -> tuple[Turn, ...]:
        """Return the conversation that serving would send to a language model."""
        turns = fit_history(history, max_tokens=self.llm.history_tokens)
        messages = build_messages(
            question, passages, history=turns, instructions=self.llm.instructions
        )
        return tuple(Turn(one.role, one.content, _weight(one)) for one in messages)

    def asked_closed_book(self, question: str, *, history: Sequence[Message]) -> tuple[Turn, ...]:
        """Return the conversation that is sent where nothing is searched."""
        turns = fit_history(history, max_tokens=self.llm.history_tokens)
        messages = build_closed_book(question, history=turns, instructions=self.llm.instructions)
        return tuple(Turn(one.role, one.content, _weight(one)) for one in messages)


@dataclass(frozen=True, slots=True)
class MadeRows:
    """Rows, the splits that they stay in by hash, and what was left out and why, counted."""

    rows: tuple[TrainingRow, ...]
    num_read: int
    left_out: dict[str, int] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)

    @property
    def flags(self) -> tuple[Flag, ...]:
        """Return what is private in the rows."""
        return tuple(flag for row in self.rows for flag in flags_of(row))


def carried(
    pairs: Sequence[tuple[str, TrainingRow]], index: Sequence[IndexedRow]
) -> dict[str, str]:
    """Return the splits of new rows, each in that of the old row whose hash it stands beside."""
    split = {one.sha256: one.split for one in index if one.split}
    return {sha256_of(row): split[old] for old, row in pairs if old in split}


def embedded(chunk: StoredChunk) -> str:
    """Return a chunk as the embedder and a reranker see it."""
    whole = Chunk(0, chunk.start, chunk.end, chunk.text, chunk.heading)
    return whole.embedded_text(chunk.title)


def _weight(message: Message) -> int:
    return 0 if message.role == "assistant" else 1
