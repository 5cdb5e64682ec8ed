"""LlamaIndex: a FAISS index and its BM25Retriever joined by QueryFusionRetriever. See peer.py.

Needs: torch, sentence-transformers, llama-index-core, llama-index-retrievers-bm25,
llama-index-llms-openai-like, llama-index-vector-stores-faiss, faiss-cpu, starlette, uvicorn,
uvloop, httptools
"""

from collections.abc import AsyncIterator
from typing import Any

import faiss
from llama_index.core import Settings, StorageContext, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import TextNode
from llama_index.llms.openai_like import OpenAILike
from llama_index.retrievers.bm25 import BM25Retriever
from llama_index.vector_stores.faiss import FaissVectorStore
from peer import POOL, SOURCES, Encoder, Given, Row, Threads, given, prompt, serve


class MiniLM(BaseEmbedding):
    encoder: Any

    def _get_query_embedding(self, query: str) -> list[float]:
        return self.encoder.encode([query])[0].tolist()

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_query_embedding(text)


class LlamaIndex:
    def __init__(self, here: Given) -> None:
        Settings.llm = MockLLM()  # the fusion wants one, and asks it for nothing
        encoder = Encoder(here)
        self.nodes = [
            TextNode(id_=row["id"], text=row["text"], embedding=vector.tolist())
            for row, vector in zip(here.rows, here.vectors, strict=True)
        ]
        encoder.forget()
        store = FaissVectorStore(faiss_index=faiss.IndexFlatIP(here.vectors.shape[1]))
        self.index = VectorStoreIndex(
            self.nodes,
            storage_context=StorageContext.from_defaults(vector_store=store),
            embed_model=MiniLM(encoder=encoder),
        )
        self._join()
        self.threads = Threads()
        self.llm = OpenAILike(
            model="mock", api_base=here.llm_url, api_key="none", is_chat_model=True, max_retries=0
        )

    def _join(self) -> None:
        lexical = BM25Retriever.from_defaults(nodes=self.nodes, similarity_top_k=POOL)
        self.retriever = QueryFusionRetriever(
            [self.index.as_retriever(similarity_top_k=POOL), lexical],
            similarity_top_k=POOL,
            num_queries=1,  # no query is rewritten by a language model
            mode="reciprocal_rerank",
            use_async=False,
        )

    async def search(self, query: str, k: int) -> list[Row]:
        found = await self.threads(self.retriever.retrieve, query)
        return [{"id": one.node.node_id, "text": one.node.get_content()} for one in found[:k]]

    async def answer(self, query: str) -> AsyncIterator[str]:
        rows = await self.search(query, SOURCES)
        message = ChatMessage(role="user", content=prompt(query, rows))
        async for piece in await self.llm.astream_chat([message]):
            yield piece.delta or ""

    async def add(self, rows: list[Row]) -> None:
        def change() -> None:
            nodes = [TextNode(id_=row["id"], text=row["text"]) for row in rows]
            self.index.insert_nodes(nodes)
            self.nodes = self.nodes + nodes
            self._join()  # its BM25 cannot update

        await self.threads(change)


if __name__ == "__main__":
    here = given()
    serve(
        LlamaIndex(here),
        here,
        search="QueryFusionRetriever (RRF) of FAISS (exact) and BM25Retriever (bm25s)",
        server="Starlette; .retrieve on two threads (its async retrieval blocks the loop), "
        "OpenAILike.astream_chat",
    )
