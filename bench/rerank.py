"""How long does reranking 20 passages of 120 words take, and what does the cut to a window lose?

    python bench/rerank.py [--data DIR] [--rounds N] [--layers 2,3,6] [--peer-python PYTHON]

Models of 2, 3 and 6 layers are made here, of the default embedder's shape and tokenizer and of
random weights: their scores mean nothing, their speed is that of any model of this width. Each
is run in int8 and float32, at most 96, 128 and 192 tokens a pair, with and without the
passages' kept token ids; all take turns in each round. p50 and p95 are of whole calls. On a busy
machine read `best_ms`, the quickest call, and `cpu_ms`, the processor time of a call, which two
lanes share.

`windows` tells, for squad2's questions and the passages that answer them, how often the
answer's tokens are still there when the pair is cut: to the best window, and to the head.
`shipped` is the reranker in the package over passages of 90 words, some 115 tokens, as default
chunks are: that were read ahead, as a server does, that it has not met, and that it remembers, in
turns with a cross-encoder of three layers at 96 tokens. The peer, sentence-transformers'
CrossEncoder, runs on the same directories in its own process.
Writes bench/out/rerank.json.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from machine import write_result
from safetensors.numpy import load_file, save_file
from sets import data_folder, load_set

from steelyard.chunk import ChunkOptions, StructureChunker
from steelyard.core.documents import Parsed
from steelyard.core.ranking import RerankPassage
from steelyard.infra.bert import BertTokenizer, open_tokenizer
from steelyard.infra.models import find_model
from steelyard.rerank import RerankOptions
from steelyard.rerank.cross_encoder import CrossEncoder
from steelyard.rerank.inputs import PairInputs
from steelyard.rerank.late import LateInteraction

NUM_PASSAGES = 20
NUM_WORDS = 120
CHUNK_WORDS = 90
LENGTHS = (96, 128, 192)
PLENTY_S = 60.0

PEER = """
import json, sys, time
import torch
torch.set_num_threads(2)
from sentence_transformers import CrossEncoder
model = CrossEncoder(sys.argv[1], device="cpu", max_length=int(sys.argv[2]))
pairs, rounds = json.loads(sys.stdin.read())
times = []
for _ in range(rounds + 1):
    start = time.perf_counter(), time.process_time()
    model.predict(pairs, show_progress_bar=False)
    ends = time.perf_counter(), time.process_time()
    times.append([(end - begin) * 1e3 for begin, end in zip(start, ends)])
print(json.dumps(times[1:]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--layers", default="2,3,6")
    parser.add_argument("--peer-python")
    parser.add_argument("--shipped-only", action="store_true")
    asked = parser.parse_args()
    questions, texts = material()
    if asked.shipped_only:
        write_result("rerank_shipped", shipped(questions, texts, rounds=asked.rounds))
        return
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
        models = {
            layers: make_model(Path(folder) / f"minilm-{layers}", layers=layers)
            for layers in map(int, asked.layers.split(","))
        }
        result: dict[str, Any] = {
            "passages": NUM_PASSAGES,
            "words a passage": NUM_WORDS,
            "speed": speed(models, questions, texts, rounds=asked.rounds),
            "windows": windows(),
        }
        if asked.peer_python:
            result["sentence-transformers"] = {
                f"{layers} layers, {length} tokens": peer(
                    asked.peer_python, path, length, [(questions[0], text) for text in texts]
                )
                for layers, path in models.items()
                for length in LENGTHS
            }
    write_result("rerank", result)


def material() -> tuple[list[str], list[str]]:
    """Return questions, and passages of exactly NUM_WORDS words."""
    one = load_set("squad2")
    draw = random.Random(0)
    words = " ".join(document.text for document in one.documents[:80]).split()
    texts = [" ".join(words[n * NUM_WORDS : (n + 1) * NUM_WORDS]) for n in range(NUM_PASSAGES)]
    return draw.sample(list(one.queries.values()), 20), texts


def make_model(path: Path, *, layers: int) -> Path:
    """Write a cross-encoder of the default embedder's shape, with random weights."""
    base = find_model("all-MiniLM-L6-v2")
    path.mkdir()
    shapes = {
        name: array.shape
        for name, array in load_file(base / "model.safetensors").items()
        if array.dtype == np.float32
        and (not name.startswith("encoder.layer.") or int(name.split(".")[2]) < layers)
    }
    shapes |= {"classifier.weight": (1, shapes["pooler.dense.bias"][0]), "classifier.bias": (1,)}
    rng = np.random.default_rng(layers)
    tensors = {
        name if name.startswith("classifier") else f"bert.{name}": rng.normal(
            "LayerNorm.weight" in name, 0.1, shape
        ).astype(np.float32)
        for name, shape in shapes.items()
    }
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config |= {
        "num_hidden_layers": layers,
        "architectures": ["BertForSequenceClassification"],
        "id2label": {"0": "score"},
    }
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (base / name).is_file():
            (path / name).write_bytes((base / name).read_bytes())
    return path


def speed(
    models: dict[int, Path], questions: Sequence[str], texts: Sequence[str], *, rounds: int
) -> list[dict[str, Any]]:
    contestants = [
        (layers, precision, length, kept)
        for layers in models
        for precision in ("int8", "fp32")
        for length in LENGTHS
        for kept in (True, False)
    ]
    rerankers = {
        (layers, precision, length): CrossEncoder(
            RerankOptions(model=str(models[layers]), precision=precision, max_tokens=length)
        )
        for layers, precision, length, kept in contestants
        if kept
    }
    tokenizer = BertTokenizer(open_tokenizer(next(iter(models.values()))))
    ids = [tokenizer.own_ids(text, limit=512) for text in texts]
    times: dict[tuple[int, str, int, bool], list[tuple[float, float]]] = {}
    for turn in range(rounds + 1):
        for contestant in contestants:
            *which, kept = contestant
            reranker = rerankers[tuple(which)]  # type: ignore[index]
            passages = [
                # A space more each round, so that no text has been tokenised before.
                RerankPassage(n, text + " " * turn, one if kept else None)
                for n, (text, one) in enumerate(zip(texts, ids, strict=True))
            ]
            taken = timed(reranker, questions[turn % len(questions)], passages)
            if turn:
                times.setdefault(contestant, []).append(taken)
    rows = [
        row(contestant, times[contestant], rerankers[contestant[:3]]) for contestant in contestants
    ]
    for reranker in rerankers.values():
        reranker.close()
    return rows


def shipped(
    questions: Sequence[str], texts: Sequence[str], *, rounds: int
) -> dict[str, dict[str, float]]:
    """Return what a call of the shipped reranker takes, beside a cross-encoder's."""
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
        path = make_model(Path(folder) / "minilm-3", layers=3)
        pairs = CrossEncoder(RerankOptions(model=str(path), max_tokens=96))
    late = LateInteraction(RerankOptions(model="default"))
    tokenizer = BertTokenizer(open_tokenizer(find_model("all-MiniLM-L6-v2")))
    texts = [" ".join(text.split()[:CHUNK_WORDS]) for text in texts]
    ids = [tokenizer.own_ids(text, limit=512) for text in texts]
    passages = [
        RerankPassage(n, text, one) for n, (text, one) in enumerate(zip(texts, ids, strict=True))
    ]
    made = late.read(passages)
    ahead = [replace(one, vectors=rows) for one, rows in zip(passages, made, strict=True)]
    times: dict[str, list[tuple[float, float]]] = {}
    for turn in range(rounds + 1):
        question = questions[turn % len(questions)]
        late.forget()
        taken = {
            "shipped, passages read ahead": timed(late, question, ahead),
            "shipped, new passages": timed(late, question, passages),
            "shipped, remembered passages": timed(late, question, passages),
            "cross-encoder, 3 layers, 96 tokens": timed(pairs, question, passages),
        }
        if turn:
            for name, one in taken.items():
                times.setdefault(name, []).append(one)
    late.close()
    pairs.close()
    return {
        name: {
            "p50_ms": round(statistics.median(wall for wall, _ in ones), 1),
            "best_ms": round(min(wall for wall, _ in ones), 1),
            "cpu_ms": round(statistics.median(cpu for _, cpu in ones), 1),
        }
        for name, ones in times.items()
    }


def timed(
    reranker: CrossEncoder | LateInteraction, question: str, passages: Sequence[RerankPassage]
) -> tuple[float, float]:
    """Return the wall and processor milliseconds of one call."""

    async def once() -> tuple[float, float]:
        start = time.perf_counter(), time.process_time()
        scores = await reranker.scores(question, passages, budget_s=PLENTY_S)
        assert len(scores) == len(passages)
        return (time.perf_counter() - start[0]) * 1e3, (time.process_time() - start[1]) * 1e3

    return asyncio.run(once())


def row(
    contestant: tuple[int, str, int, bool], times: list[tuple[float, float]], reranker: CrossEncoder
) -> dict[str, Any]:
    layers, _, length, kept = contestant
    walls = sorted(wall for wall, _ in times)
    return {
        "layers": layers,
        "precision": reranker.built.precision,
        "max_tokens": length,
        "kept ids": kept,
        "p50_ms": round(statistics.median(walls), 1),
        "p95_ms": round(float(np.percentile(walls, 95)), 1),
        "best_ms": round(walls[0], 1),
        "cpu_ms": round(statistics.median(cpu for _, cpu in times), 1),
        "ms_per_token": round(reranker.pace.ms_per_token, 4),
        "correlation": round(reranker.built.cosine, 4),
    }


def windows(max_questions: int = 500) -> dict[str, dict[str, float]]:
    """Return the share of answers that a cut pair still holds, among passages that are cut."""
    one = load_set("squad2")
    tokenizer = BertTokenizer(open_tokenizer(find_model("all-MiniLM-L6-v2")))
    chunker = StructureChunker(tokenizer, ChunkOptions())
    texts = {document.id: document for document in one.documents}
    cases: list[tuple[str, str, str]] = []
    for name in random.Random(0).sample(sorted(one.queries), len(one.queries)):
        fields = one.rows[name]
        document = texts[fields["doc_id"]]
        parsed = Parsed(document.text, (), document.title, "text/plain")
        for chunk in chunker.chunk(parsed):
            if fields["answers"] and fields["answers"][0] in chunk.text:
                text = chunk.embedded_text(document.title)
                cases.append((one.queries[name], text, fields["answers"][0]))
                break
        if len(cases) == max_questions:
            break
    table = {}
    for length in LENGTHS:
        inputs = PairInputs(tokenizer, max_tokens=length)
        best = head = cut = 0
        for question, text, answer in cases:
            ids = tokenizer.own_ids(text, limit=512)
            wanted = tokenizer.own_ids(answer, limit=64)
            asked = inputs.question(question)
            pair = inputs.pair(asked, RerankPassage(0, text, ids))
            if len(pair.ids) >= length and holds(ids, wanted):
                cut += 1
                best += holds(pair.ids, wanted)
                head += holds(ids[: length - 3 - len(asked)], wanted)
        table[str(length)] = {
            "questions": len(cases),
            "cut": cut,
            "best window": round(best / max(cut, 1), 3),
            "head": round(head / max(cut, 1), 3),
        }
    return table


def holds(ids: np.ndarray, wanted: np.ndarray) -> bool:
    """Tell whether `wanted` is a stretch of `ids`."""
    width = len(wanted)
    return any(np.array_equal(ids[n : n + width], wanted) for n in range(len(ids) - width + 1))


def peer(python: str, path: Path, length: int, pairs: list[tuple[str, str]]) -> dict[str, float]:
    done = subprocess.run(
        [python, "-c", PEER, str(path), str(length)],
        input=json.dumps([pairs, 5]),
        capture_output=True,
        text=True,
        check=True,
    )
    times = json.loads(done.stdout.splitlines()[-1])
    walls = [wall for wall, _ in times]
    return {
        "p50_ms": round(statistics.median(walls), 1),
        "p95_ms": round(float(np.percentile(walls, 95)), 1),
        "best_ms": round(min(walls), 1),
        "cpu_ms": round(statistics.median(cpu for _, cpu in times), 1),
    }


if __name__ == "__main__":
    main()
