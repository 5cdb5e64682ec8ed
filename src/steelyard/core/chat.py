"""Answers: what a question ends in, and the events that stream on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field

EXTRACTIVE = "extractive"  # how the model of an answer in the documents' own words begins
SERVED_AGAIN = ("exact", "semantic")  # cache outcomes of an answer that was not made anew


@dataclass(frozen=True, slots=True)
class Passage:
    """A numbered source given to a generator: `document.text[start:end]`; `n` counts from 1.

    `num_tokens` are its text's by the embedder's tokenizer, where they were counted.
    """

    n: int
    chunk_id: int
    document_id: str
    uri: str
    title: str
    text: str
    start: int
    end: int
    score: float
    heading: tuple[str, ...] = ()
    page: int | None = None
    num_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """`quote` is exactly `document.text[start:end]` and lies inside the passage `n`."""

    n: int
    document_id: str
    uri: str
    chunk_id: int
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `[start, end)` of an answer's text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Measured once, read by everyone: the page, headers, metrics and the cost model.

    Stages of `timings_ms` in order: cache, embed, dense, lexical, fuse, fetch, rerank, search
    (embed to rerank as a whole), context, first_token (from the question to the first visible
    token), generate, total. `context_tokens` of sources went to the generator; `saved_tokens`
    were found and left out. `cached_tokens` of the prompt came from the model server's own
    cache; None: it does not tell.
    """

    timings_ms: Mapping[str, float] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str = ""
    context_tokens: int = 0
    saved_tokens: int = 0
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer. `unsupported` marks the sentences of `text` that no source supports.

    `confidence`, where the generator tells, is how likely the sources answer at all, 0 to 1.
    `short` is the few words of `text` that answer, where the generator points them out; "" else.
    """

    id: str
    text: str
    answerable: bool
    citations: tuple[Citation, ...]
    unsupported: tuple[Span, ...]
    sources: tuple[Passage, ...]
    usage: Usage
    cache: str
    bundle: str
    snapshot: int
    degraded: tuple[str, ...]
    confidence: float | None = None
    short: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """First event of an answer: what it will be made from."""

    sources: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Token:
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    answer: Answer


@dataclass(frozen=True, slots=True)
class Failed:
    """Last event of an answer that could not be finished."""

    code: str
    message: str
    retry_after_s: float | None = None


AnswerEvent = Sources | Token | Done | Failed


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asked, as far as the query log may know.

    `user` is a pseudonym, "": nobody was named. `arm` is the side of the live comparison
    `experiment` that the user is on, `champion` or `challenger`; "": none. `failure` is why that
    side could not answer, where another stood in.
    """

    user: str = ""
    experiment: int = 0
    arm: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """A generator's last word: what it used. Token counts are 0 where the backend is silent.

    `confidence` and `short` are as in `Answer`, `cached_tokens` as in `Usage`.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    confidence: float | None = None
    short: str = ""
    cached_tokens: int | None = None


Piece = Token | Finish


@dataclass(frozen=True, slots=True)
class CitedText:
    """An answer's text resolved against its passages."""

    answerable: bool
    citations: tuple[Citation, ...]
    unsupported: tuple[Span, ...]
