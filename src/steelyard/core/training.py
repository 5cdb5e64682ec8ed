"""Training's words: examples of five kinds, where each is from, and the row that joins both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What is learnt: to reply, to prefer, to find, to read out, to tell apart."""

    CHAT = "chat"
    PREFERENCE = "preference"
    RETRIEVAL = "retrieval"
    READER = "reader"
    LABELLED = "labelled"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model makes; `arguments` is JSON as the model writes it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation. `weight` 0: an assistant's turn that is context, not target."""

    role: str
    content: str
    weight: int = 1
    name: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation whose assistant's turns are learnt; `tools` are JSON schemas as given."""

    turns: tuple[Turn, ...]
    tools: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Preference:
    """Two ways to go on after `turns`, and which is better."""

    turns: tuple[Turn, ...]
    preferred: tuple[Turn, ...]
    rejected: tuple[Turn, ...]
    tools: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A query, texts (or ids of documents) that answer it, and texts that only seem to."""

    query: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """`text` stands at `start` of a context."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A question to a text; `answers` are spans of `context`, () where it does not tell."""

    question: str
    context: str
    answers: tuple[Span, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Labelled:
    text: str
    label: str


Example = Chat | Preference | Retrieval | Reading | Labelled

KINDS: Mapping[type[Any], Kind] = {
    Chat: Kind.CHAT,
    Preference: Kind.PREFERENCE,
    Retrieval: Kind.RETRIEVAL,
    Reading: Kind.READER,
    Labelled: Kind.LABELLED,
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a row is from. `file`, `line` (from 1) and `id` say where it stood, and are no part
    of what it is; "", 0 and None: not known. `at` is in seconds since 1970, UTC."""

    file: str = ""
    line: int = 0
    id: str = ""
    origin: str = ""
    licence: str = ""
    documents: tuple[str, ...] = ()
    user: str = ""
    conversation: str = ""
    at: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One example with its provenance; the canonical form of every importer."""

    example: Example
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def kind(self) -> Kind:
        return KINDS[type(self.example)]
