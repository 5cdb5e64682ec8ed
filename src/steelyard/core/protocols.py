"""What the rooms promise each other; an implementation does not inherit, it fits."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from steelyard.core.chat import Message, Passage, Piece
from steelyard.core.deadline import Deadline
from steelyard.core.documents import Chunk, Parsed
from steelyard.core.evaluation import Better, Outcome, Question, Reduce, Values
from steelyard.core.ranking import (
    Allowed,
    Matrix,
    Query,
    Ranking,
    RerankPassage,
    SearchResult,
    Vector,
)


class Parser(Protocol):
    def parse(self, content: bytes, *, filename: str) -> Parsed:
        """Turn one file's bytes into text with structure.

        Raises:
            ParseError: the file cannot be read; its `code` says why.
        """
        ...


class Tokenizer(Protocol):
    """Counts and cuts as the embedder does, without special tokens."""

    def count(self, texts: Sequence[str]) -> list[int]: ...

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return the character span of each token of `text`, in order."""
        ...


class Chunker(Protocol):
    def chunk(self, parsed: Parsed) -> list[Chunk]:
        """Cut a document into chunks in reading order; an empty text gives none."""
        ...


class Embedder(Protocol):
    """Embeddings are unit length, so a dot product is a cosine.

    `fingerprint` names weights, tokenizer, pooling and precision: two vectors compare only
    if their fingerprints are equal.
    """

    @property
    def fingerprint(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    def embed_passages(self, texts: Sequence[str]) -> Matrix:
        """Return one row per text, in order; blocking and CPU-bound."""
        ...

    def embed_query(self, text: str) -> Vector: ...


class KeepableTokenizer(Tokenizer, Protocol):
    """A tokenizer whose ids may be kept: two with equal `identity` give equal ids, all of them
    below `vocabulary`."""

    @property
    def identity(self) -> str: ...

    @property
    def vocabulary(self) -> int: ...


@dataclass(frozen=True, slots=True)
class EmbeddedPassages:
    """A row a text, and each text's token ids, (T,) int32 without special tokens or prefix, as
    far as the embedder saw them."""

    vectors: Matrix
    token_ids: list[NDArray[np.int32]]


@runtime_checkable
class TokenizingEmbedder(Embedder, Protocol):
    """An embedder that gives away the token ids that it makes anyway."""

    @property
    def tokenizer(self) -> KeepableTokenizer: ...

    def embed_tokenized(self, texts: Sequence[str]) -> EmbeddedPassages:
        """Return what `embed_passages` returns, and the ids; each text is tokenised once."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the truth's log: a chunk that came to live, or went."""

    seq: int
    chunk_id: int
    added: bool


@dataclass(frozen=True, slots=True)
class IndexRows:
    """What an index stores of N live chunks, in the order of `chunk_ids`.

    `classes` is the access class of each chunk: see `Allowed`.
    """

    chunk_ids: NDArray[np.int64]  # (N,)
    classes: NDArray[np.int32]  # (N,)
    texts: list[str]  # N: heading path and passage, for the lexical leg
    vectors: NDArray[np.float16]  # (N, D), unit length


class ChangeFeed(Protocol):
    """The truth as an index follows it. Sequence numbers grow and are never used twice."""

    def last_seq(self) -> int: ...

    def changes(self, *, after: int, limit: int) -> list[Change] | None:
        """Return the log after `after`, oldest first; None when it no longer reaches back so
        far, and the index must be rebuilt from `live_chunk_ids`."""
        ...

    def live_chunk_ids(self) -> tuple[int, NDArray[np.int64]]:
        """Return a sequence number and all chunk ids live at it, sorted."""
        ...

    def rows(self, chunk_ids: Sequence[int]) -> IndexRows:
        """Return the rows of those of `chunk_ids` that are still live."""
        ...


class IndexView(Protocol):
    """An immutable, published pair of dense and lexical index at one sequence number."""

    @property
    def seq(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """Whose vectors it holds: only questions by this embedder may be compared with them."""
        ...

    def dense(self, vector: Vector, *, k: int, allowed: Allowed) -> Ranking:
        """Return the k nearest chunks by cosine; fewer only if fewer are allowed."""
        ...

    def lexical(self, text: str, *, k: int, allowed: Allowed) -> Ranking:
        """Return the k best chunks by BM25; text of any length and any characters is safe."""
        ...


class Index(Protocol):
    def view(self) -> IndexView: ...

    def refresh(self) -> int:
        """Apply what the feed has beyond the view, publish, and return the new seq; blocking,
        safe to call from any thread."""
        ...

    def close(self) -> None: ...


class Retrieving(Protocol):
    """What finds chunks for a question."""

    async def search(self, query: Query, *, deadline: Deadline | None = None) -> SearchResult:
        """Return the k best chunks that the principal may read, best first."""
        ...


class Reranker(Protocol):
    """Scores passages against a question, higher is better. `model` names it in bundles."""

    @property
    def model(self) -> str: ...

    async def scores(
        self, question: str, passages: Sequence[RerankPassage], *, budget_s: float
    ) -> list[float]:
        """Return scores of the first m passages, as many as fit into `budget_s`; none: [].

        Raises:
            UpstreamError: the model or its endpoint failed.
        """
        ...


@runtime_checkable
class ReadingReranker(Reranker, Protocol):
    """A reranker that reads a passage without its question, so that it can do so ahead.

    What two with equal `reads_as` make of a text is equal.
    """

    @property
    def reads_as(self) -> str: ...

    @property
    def tokenizer_identity(self) -> str:
        """Return whose token ids passages may bring along."""
        ...

    def read(self, passages: Sequence[RerankPassage]) -> list[NDArray[np.int8]]:
        """Return each passage's vectors (P, D), for `RerankPassage.vectors`; blocking.

        A passage that only its question decides how to read, because it is too long, has none:
        (0, 0).

        Raises:
            UpstreamError: the model failed.
        """
        ...


class Generator(Protocol):
    """Writes an answer from passages. Markers `[n]` in its text cite passage n."""

    @property
    def model(self) -> str: ...

    def generate(
        self, question: str, passages: Sequence[Passage], *, history: Sequence[Message] = ()
    ) -> AsyncGenerator[Piece, None]:
        """Stream `Token`s, then one `Finish`.

        Raises:
            UpstreamError: the backend failed, stalled, or broke off the stream.
        """
        ...


@runtime_checkable
class Completer(Protocol):
    """A language model that replies to a conversation, without sources or citations."""

    async def complete(self, messages: Sequence[Message]) -> str:
        """Return the whole reply.

        Raises:
            UpstreamError: the model or its endpoint failed.
        """
        ...


class Measure(Protocol):
    """A value that prints as it parses (`nDCG@10`). `quality` measures count a failure as 0."""

    @property
    def name(self) -> str: ...

    @property
    def reduce(self) -> Reduce: ...

    @property
    def better(self) -> Better: ...

    @property
    def quality(self) -> bool: ...

    def values(self, questions: Sequence[Question], outcomes: Sequence[Outcome]) -> Values:
        """Return (N,) values, one a pair; NaN where the measure does not apply to a question."""
        ...


class Arm(Protocol):
    """One way to serve, as production would. `parts` names each part, in a question's order."""

    @property
    def name(self) -> str: ...

    @property
    def parts(self) -> Mapping[str, str]: ...

    def item_key(self, question: Question) -> bytes:
        """Return a hash of all that shapes the outcome: equal keys, equal outcomes."""
        ...

    async def run(self, question: Question) -> Outcome:
        """Return what came of one question; a failure or time-out is an outcome too."""
        ...
