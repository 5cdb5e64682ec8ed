"""The bare parts, as a good engineer would put them together in a day: sentence-transformers,
numpy and bm25s behind Starlette. The peer that `bench/serving.py` compares with.

Run by its own interpreter (torch, sentence-transformers, bm25s, PyStemmer, starlette, uvicorn):

    python parts_server.py MODEL_DIR CHUNKS.jsonl PORT

`CHUNKS.jsonl` has {"id", "text"} a line. Prints one JSON line with the ingestion's rate, then
serves `POST /v1/search` {"query", "k"} and `PUT /chunks` [{"id", "text"}], which adds texts.
"""

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import bm25s
import numpy as np
import Stemmer
import torch
import uvicorn
from sentence_transformers import SentenceTransformer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

RRF_K = 60


class Parts:
    def __init__(self, model_dir: str, rows: list[dict[str, str]]) -> None:
        self.model = SentenceTransformer(model_dir, device="cpu")
        self.stemmer = Stemmer.Stemmer("english")
        self.rows = rows
        started = time.perf_counter()
        sample = rows[: min(len(rows), 400)]
        vectors = self.embed([row["text"] for row in sample])
        self.chunks_per_s = len(sample) / (time.perf_counter() - started)
        self.vectors = vectors

    def embed(self, texts: list[str]) -> np.ndarray:
        return self.model.encode(
            texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False
        )

    def load_rest(self, vectors: np.ndarray) -> None:
        self.vectors = vectors
        self.index_words()

    def index_words(self) -> None:
        texts = [row["text"] for row in self.rows]
        tokens = bm25s.tokenize(texts, stopwords="en", stemmer=self.stemmer, show_progress=False)
        self.bm25 = bm25s.BM25(k1=1.2, b=0.75)
        self.bm25.index(tokens, show_progress=False)

    def add(self, rows: list[dict[str, str]]) -> None:
        fresh = self.embed([row["text"] for row in rows])
        self.rows = self.rows + rows
        self.vectors = np.concatenate([self.vectors, fresh])
        self.index_words()  # bm25s cannot update

    def search(self, query: str, k: int) -> list[dict[str, object]]:
        vector = self.embed([query])[0]
        scores = self.vectors @ vector
        pool = min(100, len(self.rows))
        dense = np.argpartition(-scores, pool - 1)[:pool]
        dense = dense[np.argsort(-scores[dense])]
        tokens = bm25s.tokenize([query], stopwords="en", stemmer=self.stemmer, show_progress=False)
        lexical, _ = self.bm25.retrieve(tokens, k=pool, show_progress=False)
        earned: dict[int, float] = {}
        for ranking in (dense, lexical[0]):
            for rank, row in enumerate(ranking, start=1):
                earned[int(row)] = earned.get(int(row), 0.0) + 1 / (RRF_K + rank)
        best = sorted(earned.items(), key=lambda item: -item[1])[:k]
        return [{**self.rows[row], "score": score} for row, score in best]


def main() -> None:
    model_dir, chunks_path, port = sys.argv[1:4]
    vectors_path = sys.argv[4] if len(sys.argv) > 4 else None
    threads = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    torch.set_num_threads(2)
    with open(chunks_path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    parts = Parts(model_dir, rows)
    if vectors_path:
        parts.load_rest(np.load(vectors_path).astype(np.float32))
    else:
        parts.load_rest(parts.embed([row["text"] for row in rows]))
    torch.set_num_threads(threads)
    pool = ThreadPoolExecutor(2)

    async def search(request: Request) -> JSONResponse:
        body = await request.json()
        loop = asyncio.get_running_loop()
        hits = await loop.run_in_executor(pool, parts.search, body["query"], body.get("k", 10))
        return JSONResponse({"hits": hits})

    async def put(request: Request) -> JSONResponse:
        rows = await request.json()
        await asyncio.get_running_loop().run_in_executor(pool, parts.add, rows)
        return JSONResponse({"num_chunks": len(parts.rows)})

    app = Starlette(
        routes=[
            Route("/v1/search", search, methods=["POST"]),
            Route("/chunks", put, methods=["PUT"]),
        ]
    )
    sys.stdout.write(json.dumps({"chunks_per_s": parts.chunks_per_s}) + "\n")
    sys.stdout.flush()
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
