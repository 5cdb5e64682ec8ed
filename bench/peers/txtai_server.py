"""txtai: a hybrid Embeddings index and its LLM pipeline. See peer.py.

Needs: torch, sentence-transformers, txtai[api], litellm, starlette, uvicorn, uvloop, httptools
"""

import asyncio
import os
from collections.abc import AsyncIterator

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it asks the network when imported

from peer import SOURCES, Encoder, Given, Row, Threads, given, prompt, serve
from txtai import LLM, Embeddings


class Txtai:
    def __init__(self, here: Given) -> None:
        encoder = Encoder(here)

        def transform(texts: list[str]) -> object:
            return encoder.encode(list(texts))

        self.embeddings = Embeddings(
            method="external", transform=transform, content=True, hybrid=True, backend="faiss"
        )
        self.embeddings.index([(row["id"], row["text"], None) for row in here.rows])
        encoder.forget()
        self.threads = Threads(1)  # its SQLite connection is one for all threads
        self.writers = Threads(64)  # a stream of its LLM pipeline blocks a thread
        self.llm = LLM("openai/mock", method="litellm", api_base=here.llm_url, api_key="none")

    async def search(self, query: str, k: int) -> list[Row]:
        found = await self.threads(self.embeddings.search, query, k)
        return [{"id": one["id"], "text": one["text"]} for one in found]

    async def answer(self, query: str) -> AsyncIterator[str]:
        rows = await self.search(query, SOURCES)
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def write() -> None:
            messages = [{"role": "user", "content": prompt(query, rows)}]
            try:
                for piece in self.llm(messages, stream=True):
                    loop.call_soon_threadsafe(pieces.put_nowait, piece)
            finally:
                loop.call_soon_threadsafe(pieces.put_nowait, None)

        writing = asyncio.create_task(self.writers(write))
        while (piece := await pieces.get()) is not None:
            yield piece
        await writing

    async def add(self, rows: list[Row]) -> None:
        fresh = [(row["id"], row["text"], None) for row in rows]
        await self.threads(self.embeddings.upsert, fresh)


if __name__ == "__main__":
    here = given()
    serve(
        Txtai(here),
        here,
        search="Embeddings(hybrid=True): FAISS and its own BM25, scores combined",
        server="Starlette; Embeddings.search on one thread (its SQLite session is not for more), "
        "LLM (litellm) streaming on threads",
    )
