"""The bare parts, as a good engineer would put them together in a day: sentence-transformers,
numpy and bm25s, the openai client. See peer.py.

Needs: torch, sentence-transformers, bm25s, PyStemmer, openai, starlette, uvicorn, uvloop,
httptools
"""

from collections.abc import AsyncIterator

import bm25s
import numpy as np
import Stemmer
from openai import AsyncOpenAI
from peer import POOL, SOURCES, Encoder, Given, Row, Threads, given, prompt, serve

RRF_K = 60


class Parts:
    def __init__(self, here: Given) -> None:
        self.encoder = Encoder(here)
        self.encoder.forget()
        self.stemmer = Stemmer.Stemmer("english")
        self.rows, self.vectors = list(here.rows), here.vectors
        self._index_words()
        self.threads = Threads()
        self.llm = AsyncOpenAI(base_url=here.llm_url, api_key="none", max_retries=0)

    def _tokens(self, texts: list[str]) -> bm25s.tokenization.Tokenized:
        return bm25s.tokenize(texts, stopwords="en", stemmer=self.stemmer, show_progress=False)

    def _index_words(self) -> None:
        self.bm25 = bm25s.BM25(k1=1.2, b=0.75)
        self.bm25.index(self._tokens([row["text"] for row in self.rows]), show_progress=False)

    def _search(self, query: str, k: int) -> list[Row]:
        scores = self.vectors @ self.encoder.encode([query])[0]
        pool = min(POOL, len(self.rows))
        dense = np.argpartition(-scores, pool - 1)[:pool]
        dense = dense[np.argsort(-scores[dense])]
        lexical, _ = self.bm25.retrieve(self._tokens([query]), k=pool, show_progress=False)
        earned: dict[int, float] = {}
        for ranking in (dense, lexical[0]):
            for rank, row in enumerate(ranking, start=1):
                earned[int(row)] = earned.get(int(row), 0.0) + 1 / (RRF_K + rank)
        best = sorted(earned.items(), key=lambda item: -item[1])[:k]
        return [self.rows[row] for row, _ in best]

    async def search(self, query: str, k: int) -> list[Row]:
        return await self.threads(self._search, query, k)

    async def answer(self, query: str) -> AsyncIterator[str]:
        rows = await self.search(query, SOURCES)
        messages = [{"role": "user", "content": prompt(query, rows)}]
        stream = await self.llm.chat.completions.create(
            model="mock", messages=messages, stream=True
        )
        async for chunk in stream:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""

    async def add(self, rows: list[Row]) -> None:
        def change() -> None:
            fresh = self.encoder.encode([row["text"] for row in rows])
            self.vectors = np.concatenate([self.vectors, fresh])
            self.rows = self.rows + rows
            self._index_words()  # bm25s cannot update

        await self.threads(change)


if __name__ == "__main__":
    here = given()
    serve(
        Parts(here),
        here,
        search="numpy (exact) and bm25s, RRF",
        server="Starlette; search on two threads, AsyncOpenAI",
    )
