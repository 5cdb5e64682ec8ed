"""A document cut into chunks by hand, and a reader that decides who sees what of it."""

from collections.abc import Sequence
from dataclasses import replace

from steelyard.core.documents import StoredChunk
from steelyard.core.ranking import Allowed, FoundChunk, Query


def make_chunk(
    text: str,
    *,
    chunk_id: int = 1,
    document_id: str = "d",
    title: str = "",
    start: int = 0,
    heading: tuple[str, ...] = (),
    collection: str = "default",
    num_tokens: int = 0,
) -> StoredChunk:
    return StoredChunk(
        chunk_id=chunk_id,
        document_id=document_id,
        uri=f"file:{document_id}",
        title=title,
        collection=collection,
        text=text,
        start=start,
        end=start + len(text),
        heading=heading,
        page=None,
        updated_at=0.0,
        metadata={},
        num_tokens=num_tokens,
    )


def ranked(*chunks: StoredChunk) -> list[FoundChunk]:
    """Return chunks as found, the first with score 1, the second with 1/2, and so on."""
    numbered = [
        replace(chunk, chunk_id=10 * place) if chunk.chunk_id == 1 else chunk
        for place, chunk in enumerate(chunks, start=1)
    ]
    return [FoundChunk(chunk, 1 / place) for place, chunk in enumerate(numbered, start=1)]


class Truth:
    """Holds chunks; only those of `readable` documents, of the query's collection, are given."""

    def __init__(self, chunks: Sequence[StoredChunk], *, hidden: frozenset[str] = frozenset()):
        self.chunks = {chunk.chunk_id: chunk for chunk in chunks}
        self.hidden = hidden
        self.asked: list[list[int]] = []

    def allowed(self, query: Query) -> Allowed:
        raise AssertionError("the context asks for chunks only")

    def fetch(self, chunk_ids: Sequence[int], *, query: Query) -> list[StoredChunk]:
        self.asked.append(list(chunk_ids))
        found = [self.chunks[each] for each in chunk_ids if each in self.chunks]
        return [
            chunk
            for chunk in found
            if chunk.document_id not in self.hidden and chunk.collection == query.collection
        ]
