"""What every peer's server shares: arguments, vectors made beforehand, three routes.

    python NAME_server.py MODEL_DIR CHUNKS.jsonl VECTORS.npy PORT LLM_URL

Runs in the peer's own environment: nothing here but numpy, Starlette and uvicorn. `VECTORS.npy`
holds the chunks' embeddings by the peer's own encoder (embed_chunks.py), so that a run need not
embed for a quarter of an hour; questions and edits are encoded when they come.

`POST /search` {"query", "k"}; `POST /answer` {"query"}: events `token` and `done`;
`PUT /chunks` [{"id", "text"}]: searchable when it returns.
"""

import asyncio
import json
import os
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("ANONYMIZED_TELEMETRY", "false")
os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "false")

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
POOL = 100  # hits taken from each leg before fusion, as the other servers do
SOURCES = 8  # passages given to the language model
PROMPT = "Answer from these sources, citing [n].\n\n{context}\n\nQuestion: {question}"

Row = dict[str, str]


class Peer(Protocol):
    async def search(self, query: str, k: int) -> list[Row]: ...

    def answer(self, query: str) -> AsyncIterator[str]: ...

    async def add(self, rows: list[Row]) -> None: ...


@dataclass(frozen=True)
class Given:
    model_dir: str
    rows: list[Row]
    vectors: np.ndarray  # (N, D) float32, unit length
    port: int
    llm_url: str


def given() -> Given:
    model_dir, chunks, vectors, port, llm_url = sys.argv[1:6]
    with open(chunks, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    found = np.load(vectors).astype(np.float32)
    assert len(found) == len(rows), f"{len(found)} vectors for {len(rows)} chunks"
    return Given(model_dir, rows, found, int(port), llm_url)


class Encoder:
    """sentence-transformers, except for texts whose vectors are known already."""

    def __init__(self, here: Given) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(THREADS)
        self.model = SentenceTransformer(here.model_dir, device="cpu")
        self._known = {
            row["text"]: vector for row, vector in zip(here.rows, here.vectors, strict=True)
        }

    def forget(self) -> None:
        """Drop the known vectors once the index is built: a server does not carry them."""
        self._known = {}

    def encode(self, texts: list[str]) -> np.ndarray:
        known = [self._known.get(text) for text in texts]
        if texts and all(vector is not None for vector in known):
            return np.stack(known)
        return self.model.encode(
            texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False
        )


class Threads:
    """Runs blocking calls beside the event loop, as many at once as there are cores."""

    def __init__(self, num: int = 2) -> None:
        self._pool = ThreadPoolExecutor(num)

    async def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, partial(function, *args)
        )


def prompt(question: str, rows: list[Row]) -> str:
    context = "\n\n".join(f"[{n}] {row['text']}" for n, row in enumerate(rows, start=1))
    return PROMPT.format(context=context, question=question)


def serve(peer: Peer, here: Given, **about: str) -> None:
    """Serve until told to stop; `about` says how the framework is used, for the report."""

    async def search(request: Request) -> Response:
        body = await request.json()
        return JSONResponse({"hits": await peer.search(body["query"], body.get("k", 10))})

    async def answer(request: Request) -> Response:
        body = await request.json()
        return StreamingResponse(
            _events(peer.answer(body["query"])), media_type="text/event-stream"
        )

    async def put(request: Request) -> Response:
        await peer.add(await request.json())
        return JSONResponse({})

    app = Starlette(
        routes=[
            Route("/search", search, methods=["POST"]),
            Route("/answer", answer, methods=["POST"]),
            Route("/chunks", put, methods=["PUT"]),
        ]
    )
    sys.stdout.write(json.dumps(about) + "\n")
    sys.stdout.flush()
    uvicorn.run(app, host="127.0.0.1", port=here.port, log_level="warning", access_log=False)


async def _events(texts: AsyncIterator[str]) -> AsyncIterator[str]:
    try:
        async for text in texts:
            if text:
                yield f"event: token\ndata: {json.dumps({'text': text})}\n\n"
        yield "event: done\ndata: {}\n\n"
    except Exception as error:  # told to the client, as a server would
        traceback.print_exc()
        yield f"event: error\ndata: {json.dumps({'code': type(error).__name__})}\n\n"
