"""What goes into the store and comes out of it, beside the words of `core`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from steelyard.core.chat import Citation, Message
from steelyard.core.chat import Span as TextSpan
from steelyard.core.documents import (
    DEFAULT_COLLECTION,
    PUBLIC_GROUP,
    Chunk,
    Document,
    DocumentRow,
    Metadata,
    State,
)
from steelyard.core.ranking import Principal

OPERATOR = Principal(id="operator", groups=frozenset({PUBLIC_GROUP}), operator=True)


@dataclass(frozen=True, slots=True)
class Submission:
    """A document that someone asks to be read. `path` holds its bytes until it is read."""

    id: str
    uri: str
    collection: str = DEFAULT_COLLECTION
    title: str = ""
    groups: tuple[str, ...] = (PUBLIC_GROUP,)
    metadata: Metadata = field(default_factory=dict)
    path: str | None = None
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Ticket:
    """One submission's right to change its document; void once a newer one exists."""

    collection: str
    id: str
    version: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A submission that has not reached a terminal state, oldest first in listings."""

    ticket: Ticket
    submission: Submission
    state: State


@dataclass(frozen=True, slots=True)
class KeptTokens:
    """Token ids of embedded texts, (T,) each without special tokens, by their `text_hash`.

    `tokenizer` names whose ids these are; all are below `vocabulary`.
    """

    tokenizer: str
    vocabulary: int
    ids: Mapping[bytes, NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class UnreadChunk:
    """A chunk that a reranker has not read: its embedded text, and that text's `text_hash`."""

    chunk_id: int
    text: str
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """The vectors (P, D) that a reranker made of a text; (0, 0): it reads it with a question."""

    sha256: bytes
    vectors: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Replacement:
    """A document's new version, read, cut and embedded.

    `vectors` has one unit row per chunk, in order, (N, D). `recipe` names the parser, chunker
    and embedder. Without a ticket it supersedes whatever is on its way. `tokens` are kept for
    the chunks whose ids it holds; it may hold others'. `by` is the fingerprint of the embedder of
    `vectors` ("": the claimed one); `beside` are the same chunks' vectors by others.
    """

    document: Document
    chunks: Sequence[Chunk]
    vectors: NDArray[np.floating]
    recipe: str
    ticket: Ticket | None = None
    tokens: KeptTokens | None = None
    by: str = ""
    beside: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Commit:
    """A write's end: the newest sequence number, and whose ticket had become void."""

    seq: int
    superseded: tuple[Ticket, ...] = ()


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a delete removed; ids that were not there, or not visible, are left out."""

    seq: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Rows in the order of first submission; `next` is None on the last page."""

    rows: tuple[DocumentRow, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """A served document's chunks, which are numbered in one piece."""

    collection: str
    id: str
    first_chunk: int
    num_chunks: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals of the home. `documents` counts those served; `by_state` counts every one."""

    by_state: Mapping[State, int]
    documents: int
    chunks: int
    seq: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class UnembeddedChunk:
    """A live chunk that an embedder has not seen: `text` is what it must embed."""

    chunk_id: int
    text: str


@dataclass(frozen=True, slots=True)
class ClaimedEmbedder:
    """The embedder whose vectors the home holds."""

    fingerprint: str
    dim: int


@dataclass(frozen=True, slots=True)
class HeldEmbedder:
    """An embedder that the home has vectors of. `options` are what it is opened with (None: not
    known), `place` is the folder of the home with the index of its vectors."""

    fingerprint: str
    dim: int
    options: Mapping[str, object] | None = None
    place: str = "index"


@dataclass(frozen=True, slots=True)
class Switch:
    """A second embedder beside the home's: one that shall follow it, or, once `flipped`, the one
    that it followed."""

    home: HeldEmbedder
    other: HeldEmbedder
    flipped: bool
    started_at: float


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key's public face; the secret is shown once and never stored.

    `id` is the name it was given, and the id of the principal that it stands for.
    """

    id: str
    groups: tuple[str, ...]
    operator: bool
    created_at: float


@dataclass(frozen=True, slots=True)
class LoggedAnswer:
    """A line of the query log, with the newest rating if someone gave one; `correction` is the
    answer as whoever rated it says that it should have been.

    The fields from `bundle` on are as in `Asker`, `Answer` and `Query`. `error` is why there is
    no answer. In lines of older versions they are at their defaults: `groups` None is not known.
    `history` None: a conversation too long to be kept. Tokens None: not known, as of a model
    that does not tell; 0: nothing was asked, as where the cache answered.
    """

    id: str
    at: float
    principal_id: str
    collection: str
    question: str
    text: str
    answerable: bool
    snapshot: int
    timings_ms: Mapping[str, float]
    rating: str | None
    comment: str
    citations: tuple[Citation, ...] = ()
    model: str = ""
    bundle: str = ""
    user: str = ""
    experiment: int = 0
    arm: str = ""
    cache: str = ""
    unsupported: tuple[TextSpan, ...] = ()
    degraded: tuple[str, ...] = ()
    error: str = ""
    groups: frozenset[str] | None = None
    k: int = 0
    filter: Mapping[str, object] = field(default_factory=dict)
    more_collections: tuple[str, ...] = ()
    history: tuple[Message, ...] | None = ()
    correction: str = ""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    context_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class UsedAnswer:
    """What a logged question used, for what it cost.

    Tokens None: not known; 0: nothing was asked, as where the cache answered. `generate_s` is
    how long the model worked. Equal `text`s were one answer: it is a hash of the answer's.
    """

    text: bytes
    at: float
    principal_id: str
    collection: str
    bundle: str
    model: str
    cache: str
    error: str
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    generate_s: float


@dataclass(frozen=True, slots=True)
class Experiment:
    """A live comparison of two bundles: all that must stay the same while it lasts.

    `share` is a user's chance to see the challenger, whose `options` are over the home's own.
    """

    key: int
    name: str
    share: float
    champion: str
    challenger: str
    options: Mapping[str, object]
    started_at: float


@dataclass(frozen=True, slots=True)
class Exposure:
    """One question of a user in an experiment, and what came of it; oldest first in lists.

    `failed`: the arm's own answer could not be given. `total_ms` is what the asker waited.
    """

    at: float
    user: str
    challenger: bool
    answerable: bool
    unsupported: bool
    failed: bool
    total_ms: float
    rating: str | None
