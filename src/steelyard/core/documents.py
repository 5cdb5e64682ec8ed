"""What is read and stored: documents, their blocks, and the chunks that are retrieved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Scalar = str | int | float | bool | None
MetadataValue = Scalar | list[str]
Metadata = Mapping[str, MetadataValue]

DEFAULT_COLLECTION = "default"
PUBLIC_GROUP = "public"


class State(StrEnum):
    """Where a submitted document is on its way; the last three are terminal."""

    QUEUED = "queued"
    PARSING = "parsing"
    EMBEDDING = "embedding"
    SEARCHABLE = "searchable"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def terminal(self) -> bool:
        return self in (State.SEARCHABLE, State.FAILED, State.SKIPPED)


class BlockKind(StrEnum):
    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Block:
    """A structural piece of a document's text: `text[start:end]`.

    Blocks are in order and do not overlap; characters between them are white space or markup.
    `level` is 1 to 6 for a heading and 0 otherwise. `page` counts from 1; None: no pages.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a parser made of one file. `text` is all a citation can ever quote."""

    text: str
    blocks: tuple[Block, ...]
    title: str
    media_type: str
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A document as read, before it is stored.

    `id` is unique inside `collection` (the tenant boundary). `groups` may read it; an empty
    tuple means nobody may. `sha256` is the hash of the submitted bytes.
    """

    id: str
    uri: str
    title: str
    text: str
    blocks: tuple[Block, ...] = ()
    media_type: str = "text/plain"
    metadata: Metadata = field(default_factory=dict)
    groups: tuple[str, ...] = (PUBLIC_GROUP,)
    collection: str = DEFAULT_COLLECTION
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The unit of retrieval: `document.text[start:end]`, exactly.

    `heading` is the path of headings above it, outermost first. `num_tokens` counts what is
    embedded (`embedded_text`) by the embedder's own tokenizer.
    """

    ordinal: int
    start: int
    end: int
    text: str
    heading: tuple[str, ...] = ()
    page: int | None = None
    num_tokens: int = 0

    def embedded_text(self, title: str = "") -> str:
        """Return the text that the embedder and the lexical index see: path, then passage."""
        path = list(self.heading)
        if title and (not path or path[0] != title):
            path.insert(0, title)
        return " > ".join(path) + "\n" + self.text if path else self.text


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A live chunk as the truth knows it. `chunk_id` is never used again after a change.

    `num_tokens` is that of its `Chunk`, as counted at ingestion; 0: not known.
    """

    chunk_id: int
    document_id: str
    uri: str
    title: str
    collection: str
    text: str
    start: int
    end: int
    heading: tuple[str, ...]
    page: int | None
    updated_at: float
    metadata: Metadata
    num_tokens: int = 0


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document's public state, for listings. Times are Unix seconds."""

    id: str
    uri: str
    title: str
    collection: str
    state: State
    error: str | None
    num_chunks: int
    updated_at: float
    media_type: str
    metadata: Metadata
    groups: tuple[str, ...]
