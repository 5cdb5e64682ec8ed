"""Haystack: a pipeline of its FAISS and BM25 retrievers and DocumentJoiner. See peer.py.

Needs: torch, sentence-transformers, haystack-ai, faiss-haystack, starlette, uvicorn, uvloop,
httptools
"""

import asyncio
from collections.abc import AsyncIterator

from haystack import Document, Pipeline, component
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.components.joiners import DocumentJoiner
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.dataclasses import ChatMessage, StreamingChunk
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import Secret
from haystack_integrations.components.retrievers.faiss import FAISSEmbeddingRetriever
from haystack_integrations.document_stores.faiss import FAISSDocumentStore
from peer import POOL, SOURCES, Encoder, Given, Row, Threads, given, prompt, serve


@component
class MiniLM:
    """Its SentenceTransformersTextEmbedder in short: the same call of the same library."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, list[float]]:
        return {"embedding": self.encoder.encode([text])[0].tolist()}


class Haystack:
    """The in-memory store has BM25 and would convert all embeddings at each question, so a FAISS
    store holds those."""

    def __init__(self, here: Given) -> None:
        self.encoder = Encoder(here)
        self.words = InMemoryDocumentStore()
        self.vectors = FAISSDocumentStore(embedding_dim=here.vectors.shape[1])
        self._write(here.rows, here.vectors.tolist())
        self.encoder.forget()
        self.pipeline = Pipeline()
        self.pipeline.add_component("embed", MiniLM(self.encoder))
        self.pipeline.add_component(
            "dense", FAISSEmbeddingRetriever(document_store=self.vectors, top_k=POOL)
        )
        self.pipeline.add_component("lexical", InMemoryBM25Retriever(self.words, top_k=POOL))
        joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=POOL)
        self.pipeline.add_component("join", joiner)
        self.pipeline.connect("embed.embedding", "dense.query_embedding")
        self.pipeline.connect("dense", "join")
        self.pipeline.connect("lexical", "join")
        self.pipeline.warm_up()
        self.threads = Threads()
        self.llm = OpenAIChatGenerator(
            model="mock",
            api_base_url=here.llm_url,
            api_key=Secret.from_token("none"),
            max_retries=0,
        )

    def _write(self, rows: list[Row], vectors: list[list[float]]) -> None:
        self.words.write_documents([Document(id=row["id"], content=row["text"]) for row in rows])
        self.vectors.write_documents(
            [
                Document(id=row["id"], content=row["text"], embedding=vector)
                for row, vector in zip(rows, vectors, strict=True)
            ]
        )

    async def search(self, query: str, k: int) -> list[Row]:
        asked = {"embed": {"text": query}, "lexical": {"query": query}}
        found = await self.threads(self.pipeline.run, asked)
        return [{"id": one.id, "text": one.content} for one in found["join"]["documents"][:k]]

    async def answer(self, query: str) -> AsyncIterator[str]:
        rows = await self.search(query, SOURCES)
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        async def on_piece(piece: StreamingChunk) -> None:
            pieces.put_nowait(piece.content)

        async def write() -> None:
            messages = [ChatMessage.from_user(prompt(query, rows))]
            try:
                await self.llm.run_async(messages, streaming_callback=on_piece)
            finally:
                pieces.put_nowait(None)

        writing = asyncio.create_task(write())
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await writing
        finally:
            writing.cancel()

    async def add(self, rows: list[Row]) -> None:
        def change() -> None:
            self._write(rows, self.encoder.encode([row["text"] for row in rows]).tolist())

        await self.threads(change)


if __name__ == "__main__":
    here = given()
    serve(
        Haystack(here),
        here,
        search="Pipeline of FAISSEmbeddingRetriever (exact) and InMemoryBM25Retriever, "
        "DocumentJoiner (RRF)",
        server="Starlette; Pipeline.run on two threads (run_async takes longer), "
        "OpenAIChatGenerator.run_async",
    )
