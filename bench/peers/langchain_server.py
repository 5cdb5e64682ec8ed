"""LangChain: Chroma and its BM25Retriever joined by EnsembleRetriever, ChatOpenAI. See peer.py.

Needs: torch, sentence-transformers, langchain, langchain-classic, langchain-community,
langchain-chroma, langchain-openai, rank-bm25, starlette, uvicorn, uvloop, httptools
"""

from collections.abc import AsyncIterator

from langchain_chroma import Chroma
from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.retrievers import BM25Retriever
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from peer import POOL, PROMPT, SOURCES, Encoder, Given, Row, Threads, given, serve

BATCH = 5000  # Chroma takes no more at once


class MiniLM(Embeddings):
    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.encoder.encode(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.encoder.encode([text])[0].tolist()


class LangChain:
    def __init__(self, here: Given) -> None:
        self.encoder = Encoder(here)
        self.store = Chroma(
            embedding_function=MiniLM(self.encoder),
            collection_metadata={"hnsw:space": "cosine"},
        )
        self.rows = list(here.rows)
        for start in range(0, len(self.rows), BATCH):
            self._store(self.rows[start : start + BATCH])
        self.encoder.forget()
        self.dense = self.store.as_retriever(search_kwargs={"k": POOL})
        self._join()
        self.threads = Threads(1)
        messages = ChatPromptTemplate.from_messages([("user", PROMPT)])
        llm = ChatOpenAI(model="mock", base_url=here.llm_url, api_key="none", max_retries=0)
        self.chain = messages | llm

    def _store(self, rows: list[Row]) -> None:
        metadatas = [{"id": row["id"]} for row in rows]
        texts, ids = [row["text"] for row in rows], [row["id"] for row in rows]
        self.store.add_texts(texts, metadatas=metadatas, ids=ids)

    def _join(self) -> None:
        documents = [
            Document(page_content=row["text"], metadata={"id": row["id"]}) for row in self.rows
        ]
        lexical = BM25Retriever.from_documents(documents, k=POOL)
        self.retriever = EnsembleRetriever(
            retrievers=[self.dense, lexical], weights=[0.5, 0.5], id_key="id"
        )

    async def search(self, query: str, k: int) -> list[Row]:
        found = await self.retriever.ainvoke(query)
        return [{"id": one.metadata["id"], "text": one.page_content} for one in found[:k]]

    async def answer(self, query: str) -> AsyncIterator[str]:
        rows = await self.search(query, SOURCES)
        context = "\n\n".join(f"[{n}] {row['text']}" for n, row in enumerate(rows, start=1))
        async for piece in self.chain.astream({"context": context, "question": query}):
            yield str(piece.content)

    async def add(self, rows: list[Row]) -> None:
        def change() -> None:
            self._store(rows)
            self.rows = self.rows + rows
            self._join()  # its BM25 cannot update

        await self.threads(change)


if __name__ == "__main__":
    here = given()
    serve(
        LangChain(here),
        here,
        search="EnsembleRetriever (RRF) of Chroma in process (HNSW) and BM25Retriever (rank-bm25)",
        server="Starlette around EnsembleRetriever.ainvoke and prompt | ChatOpenAI, .astream",
    )
