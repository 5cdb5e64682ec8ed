"""Tiny cross-encoders with random weights, an honest small endpoint, and async runs."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from steelyard.core.ranking import RerankPassage
from steelyard.infra.bert.config import read_card
from steelyard.infra.bert.weights import expected_shapes
from steelyard.rerank import RerankOptions
from steelyard.rerank.cross_encoder import CrossEncoder

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *".,:!?", *(f"##{c}" for c in LETTERS)]
CONFIG = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": len(WORDS),
    "max_position_embeddings": 64,
}


def write_model(path: Path) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(CONFIG))
    vocab = {word: n for n, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(path / "tokenizer.json"))
    rng = np.random.default_rng(1)
    shapes = expected_shapes(read_card(path).architecture) | {
        "embeddings.token_type_embeddings.weight": (2, 32),
        "pooler.dense.weight": (32, 32),
        "pooler.dense.bias": (32,),
        "classifier.weight": (1, 32),
        "classifier.bias": (1,),
    }
    tensors = {
        name: rng.normal("LayerNorm.weight" in name, 0.3, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    save_file(tensors, path / "model.safetensors")
    return path


@pytest.fixture(scope="package", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEELYARD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="package")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def tiny(tiny_model: Path) -> Iterator[CrossEncoder]:
    reranker = CrossEncoder(RerankOptions(model=str(tiny_model), max_tokens=48))
    yield reranker
    reranker.close()


@pytest.fixture
def passages() -> list[RerankPassage]:
    texts = ["ab cd ef", "password reset", "", "a b c d e f g h", "31 days"]
    return [RerankPassage(n, text) for n, text in enumerate(texts)]


@pytest.fixture
def run() -> Callable[[Awaitable[Any]], Any]:
    """Run a coroutine to its end and fail if it leaves a task behind or upsets the loop."""

    def run_to_end(job: Awaitable[Any]) -> Any:
        async def watched() -> Any:
            upsets: list[dict[str, Any]] = []
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: upsets.append(context))
            async with asyncio.timeout(20):
                result = await job
            await asyncio.sleep(0)
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            assert not left, f"left behind: {left}"
            assert not upsets, upsets
            return result

        return asyncio.run(watched())

    return run_to_end


class RerankServer:
    """Scores a document by its length, best first, or answers `reply`; keeps what it was sent."""

    def __init__(self) -> None:
        self.reply: bytes | None = None
        self.status = 200
        self.hang = Event()
        self.hang.set()
        self.arrived = Event()
        self.seen: list[tuple[str, dict[str, Any], str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                outer.seen.append((self.path, json.loads(raw), self.headers["authorization"]))
                outer.arrived.set()
                outer.hang.wait(10)
                body = outer.reply if outer.reply is not None else outer.scored(json.loads(raw))
                self.send_response(outer.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = Thread(target=self.server.serve_forever)
        self.thread.start()

    def scored(self, body: dict[str, Any]) -> bytes:
        rows = [{"index": n, "relevance_score": len(t)} for n, t in enumerate(body["documents"])]
        rows.sort(key=lambda row: -row["relevance_score"])
        return json.dumps({"results": rows[: body["top_n"]]}).encode()

    def close(self) -> None:
        self.hang.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def rerank_server() -> Iterator[RerankServer]:
    server = RerankServer()
    yield server
    server.close()
