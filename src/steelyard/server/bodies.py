"""What comes in and goes out over HTTP; converted to and from our own words at once."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from steelyard.core.chat import Answer, Passage
from steelyard.core.documents import DEFAULT_COLLECTION, DocumentRow, MetadataValue
from steelyard.core.ranking import Principal, Query, SearchResult

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


MAX_USER = 1_000


class Body(BaseModel):
    """Unknown keys are errors: a misspelt option must not be ignored in silence."""

    model_config = ConfigDict(extra="forbid", strict=False)


class SearchBody(Body):
    query: str = Field(description="the question or the words to look for")
    k: int = Field(10, description="how many hits, 1 to 200")
    collection: Name | Annotated[list[Name], Field(min_length=1, max_length=32)] = Field(
        DEFAULT_COLLECTION, description="a collection, or a list that is searched at once"
    )
    filter: dict[str, Any] = Field(
        default_factory=dict,
        description='metadata, uri or date: {"lang": "en", "updated_at": {"$gte": "2026-01"}}',
    )

    def to_query(self, principal: Principal) -> Query:
        names = [self.collection] if isinstance(self.collection, str) else self.collection
        return Query(
            text=self.query,
            principal=principal,
            k=self.k,
            collection=names[0],
            filter=self.filter,
            more_collections=tuple(names[1:]),
        )


class QueryBody(SearchBody):
    k: int = Field(8, description="how many sources the answer is made from, 1 to 200")
    stream: bool = Field(False, description="true: server-sent events; false: one JSON object")
    user: str | None = Field(
        None, max_length=MAX_USER, description="who asks, in any words; kept as a pseudonym only"
    )


class DocumentBody(Body):
    text: str = Field(description="the whole text, Markdown or plain")
    title: str | None = Field(None, max_length=2000)
    uri: str | None = Field(None, max_length=4000)
    metadata: dict[str, MetadataValue] = Field(default_factory=dict)
    groups: list[Name] | None = Field(None, description='who may read it; ["public"] if left out')
    collection: Name = DEFAULT_COLLECTION


class FeedbackBody(Body):
    """`correction` is the whole answer as it should have been."""

    answer_id: Name
    rating: str = Field(pattern="^(up|down)$")
    comment: str = Field("", max_length=10_000)
    correction: str = Field("", max_length=40_000)


class DecisionBody(Body):
    """A person's word on a question of a set; the last three are for an edit."""

    id: Name
    verdict: str = Field(pattern="^(accept|edit|reject|pending)$")
    question: str | None = Field(None, max_length=20_000)
    answers: list[str] | None = Field(None, max_length=100)
    answerable: bool | None = None


class PromoteBody(Body):
    version: Name = Field(description="an id or its beginning, a name, or an alias")
    why: str = Field("", max_length=2_000, description="the reason, for the history")
    force: bool = Field(False, description="whatever the gate says; needs a reason")


class RollbackBody(Body):
    kind: str = Field("", max_length=64, description="of which kind; empty: what changed last")
    why: str = Field("", max_length=2_000, description="the reason, for the history")


class ChatMessageBody(BaseModel):
    """OpenAI's shape; content is text or a list of parts, of which the text parts count."""

    model_config = ConfigDict(extra="ignore")
    role: str
    content: str | list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        parts = self.content or []
        return "\n".join(str(part.get("text", "")) for part in parts if part.get("type") == "text")


class ChatBody(BaseModel):
    """`/v1/chat/completions`; sampling fields of OpenAI's are accepted and ignored."""

    model_config = ConfigDict(extra="ignore")
    messages: list[ChatMessageBody] = Field(min_length=1)
    model: str = "steelyard"
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    n: int | None = None
    collection: Name = DEFAULT_COLLECTION
    filter: dict[str, Any] = Field(default_factory=dict)
    k: int = 8
    user: str | None = Field(None, max_length=MAX_USER)


class EmbeddingsBody(BaseModel):
    """`/v1/embeddings`; `encoding_format` is float or base64 (little-endian float32)."""

    model_config = ConfigDict(extra="ignore")
    input: str | list[str]
    model: str = ""
    encoding_format: str = Field("float", pattern="^(float|base64)$")


class RerankTextBody(BaseModel):
    """A document as Cohere's clients may send it; other fields are ignored."""

    model_config = ConfigDict(extra="ignore")
    text: str


class RerankBody(BaseModel):
    """`/v1/rerank`, in Cohere's and Jina's shape; `model` and fields of theirs are ignored."""

    model_config = ConfigDict(extra="ignore")
    query: str
    documents: list[str | RerankTextBody] = Field(description="up to 1,000 texts to score")
    top_n: int | None = Field(None, ge=1, description="how many results to return; all if left out")
    return_documents: bool = False

    @property
    def texts(self) -> list[str]:
        return [each if isinstance(each, str) else each.text for each in self.documents]


def search_json(result: SearchResult) -> dict[str, Any]:
    hits = [
        {
            "chunk_id": str(found.chunk.chunk_id),
            "document_id": found.chunk.document_id,
            "uri": found.chunk.uri,
            "title": found.chunk.title,
            "text": found.chunk.text,
            "start": found.chunk.start,
            "end": found.chunk.end,
            "score": found.score,
            "heading": list(found.chunk.heading),
            "page": found.chunk.page,
            "metadata": dict(found.chunk.metadata),
        }
        for found in result.found
    ]
    return {
        "hits": hits,
        "snapshot": result.snapshot,
        "degraded": list(result.degraded),
        "usage": {"timings_ms": dict(result.timings_ms)},
    }


def passage_json(passage: Passage) -> dict[str, Any]:
    return {
        "n": passage.n,
        "document_id": passage.document_id,
        "uri": passage.uri,
        "title": passage.title,
        "chunk_id": str(passage.chunk_id),
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
        "score": passage.score,
        "heading": list(passage.heading),
        "page": passage.page,
    }


def answer_json(answer: Answer) -> dict[str, Any]:
    return {
        "id": answer.id,
        "answer": answer.text,
        "answerable": answer.answerable,
        "short": answer.short,
        "confidence": answer.confidence,
        "citations": [
            {
                "n": citation.n,
                "document_id": citation.document_id,
                "uri": citation.uri,
                "chunk_id": str(citation.chunk_id),
                "start": citation.start,
                "end": citation.end,
                "quote": citation.quote,
            }
            for citation in answer.citations
        ],
        "sources": [passage_json(passage) for passage in answer.sources],
        "unsupported": [{"start": s.start, "end": s.end} for s in answer.unsupported],
        "usage": {
            "timings_ms": dict(answer.usage.timings_ms),
            "prompt_tokens": answer.usage.prompt_tokens,
            "completion_tokens": answer.usage.completion_tokens,
            "model": answer.usage.model,
            "context_tokens": answer.usage.context_tokens,
            "saved_tokens": answer.usage.saved_tokens,
            "cached_tokens": answer.usage.cached_tokens,
        },
        "cache": answer.cache,
        "bundle": answer.bundle,
        "snapshot": answer.snapshot,
        "degraded": list(answer.degraded),
    }


def document_json(row: DocumentRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "uri": row.uri,
        "title": row.title,
        "collection": row.collection,
        "state": row.state.value,
        "error": row.error,
        "num_chunks": row.num_chunks,
        "updated_at": datetime.fromtimestamp(row.updated_at, UTC).isoformat(),
        "media_type": row.media_type,
        "metadata": dict(row.metadata),
        "groups": list(row.groups),
    }
