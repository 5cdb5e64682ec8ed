"""Index speed, recall and memory at 100,000 chunks: vectors and texts are made up.

    python bench/index_100k.py [--rows 100000] [--directory DIR]

Vectors are a mixture of 2,000 clusters on the sphere, shaped like those of real passages;
questions lie near some of them. Texts
are 90 words by Zipf's law over 60,000; a question has 4 to 9 words of one text, without the
50 most frequent. Building and serving run in two processes, so that the memory reported is
what a server needs that opens a finished index.
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from machine import rss_mb, write_result
from numpy.typing import NDArray

from steelyard.core.protocols import Change, IndexRows
from steelyard.core.ranking import Allowed, Ranking
from steelyard.index import IndexOptions, Shadows
from steelyard.retrieve.fuse import fuse_rrf

DIM = 384
NUM_CLUSTERS = 2000
VOCABULARY = 60_000
WORDS_PER_TEXT = 90
NUM_FREQUENT = 50
# With these, eigenvalues and nearest cosines resemble those of 16,000 real passages as
# all-MiniLM-L6-v2 embeds them: first eigenvalue .05, hundredth .003, nearest neighbour at .73.
SPREAD = 0.7
DECAY = 0.36
NUM_QUERIES = 400
NUM_CLASSES = 100  # the first half by cluster (correlated), the second half at random
K = 10
POOL = 50  # hits of each leg that a hybrid search fuses
SYLLABLES = ["ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo"]


@dataclass(slots=True)
class MadeUpTruth:
    """A feed over memory-mapped files; it holds next to nothing in memory itself."""

    directory: Path
    num_rows: int  # beyond them, chunk ids begin with the first rows again
    seq: int

    def last_seq(self) -> int:
        return self.seq

    def changes(self, *, after: int, limit: int) -> list[Change] | None:
        if after < self.num_rows:
            return None
        last = min(self.seq, after + limit)
        return [Change(seq, seq, True) for seq in range(after + 1, last + 1)]

    def live_chunk_ids(self) -> tuple[int, NDArray[np.int64]]:
        return self.seq, np.arange(1, self.seq + 1, dtype=np.int64)

    def rows(self, chunk_ids: Sequence[int]) -> IndexRows:
        ids = np.array(chunk_ids, dtype=np.int64)
        places = (ids - 1) % self.num_rows
        tokens = self.read("tokens")[places]
        return IndexRows(
            chunk_ids=ids,
            classes=self.read("classes")[places],
            texts=[" ".join(word(token) for token in row) for row in tokens.tolist()],
            vectors=self.read("vectors")[places],
        )

    def read(self, name: str) -> NDArray[np.generic]:
        return np.load(self.directory / f"{name}.npy", mmap_mode="r")


def word(token: int) -> str:
    """Spell a number, frequent ones short."""
    syllables = [SYLLABLES[token % 14]]
    while token >= 14:
        token //= 14
        syllables.append(SYLLABLES[token % 14])
    return "".join(syllables) + "x"


def make(directory: Path, *, num_rows: int) -> None:
    """Write vectors, tokens, classes and queries."""
    rng = np.random.default_rng(20260801)
    axes = _axes(rng)
    centres = rng.standard_normal((NUM_CLUSTERS, DIM), dtype=np.float32) @ axes
    sizes = rng.dirichlet(np.full(NUM_CLUSTERS, 0.7))
    cluster = rng.choice(NUM_CLUSTERS, size=num_rows, p=sizes)
    noise = rng.standard_normal((num_rows, DIM), dtype=np.float32) @ axes
    vectors = _unit(centres[cluster] + SPREAD * noise)
    asked = rng.choice(num_rows, size=NUM_QUERIES, replace=False)
    near = rng.standard_normal((NUM_QUERIES, DIM), dtype=np.float32) @ axes
    by_cluster = cluster * (NUM_CLASSES // 2) // NUM_CLUSTERS
    at_random = NUM_CLASSES // 2 + rng.integers(0, NUM_CLASSES // 2, num_rows)
    classes = np.where(rng.random(num_rows) < 0.5, by_cluster, at_random)
    law = 1.0 / np.arange(1, VOCABULARY + 1) ** 1.05
    tokens = rng.choice(VOCABULARY, size=(num_rows, WORDS_PER_TEXT), p=law / law.sum())
    for name, array in {
        "vectors": vectors.astype(np.float16),
        "queries": _unit(vectors[asked] + SPREAD * near),
        "classes": classes.astype(np.int32),
        "tokens": tokens.astype(np.int32),
        "asked": asked,
    }.items():
        np.save(directory / f"{name}.npy", array)


def _axes(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a random rotation whose axes shrink by a power law; squared lengths sum to 1."""
    rotation, _ = np.linalg.qr(rng.standard_normal((DIM, DIM)))
    lengths = np.arange(1, DIM + 1, dtype=np.float64) ** -DECAY
    scaled = lengths[:, None] / np.linalg.norm(lengths) * rotation
    return scaled.astype(np.float32)


def build(directory: Path, *, num_rows: int, options: IndexOptions) -> dict[str, float]:
    start = time.perf_counter()
    shadows = _open(directory / "index", MadeUpTruth(directory, num_rows, seq=num_rows), options)
    searchable = time.perf_counter()
    shadows.settle()
    merged = time.perf_counter()
    num_loose = len(shadows.view().dense_view.graph.loose)
    shadows.close()
    return {
        "searchable_s": searchable - start,
        "graph_s": merged - searchable,
        "save_s": time.perf_counter() - merged,
        "loose_vectors": num_loose,
    }


def serve(directory: Path, *, num_rows: int, options: IndexOptions) -> dict[str, object]:
    truth = MadeUpTruth(directory, num_rows, seq=num_rows)
    served = directory / "served"  # a copy, for the updates change it
    shutil.copytree(directory / "index", served, dirs_exist_ok=True)
    memory_before = rss_mb(os.getpid())
    start = time.perf_counter()
    shadows = _open(served, truth, options)
    reopened_s = time.perf_counter() - start
    view = shadows.view()
    queries, texts = truth.read("queries"), _questions(truth)
    result: dict[str, object] = {
        "reopen_s": reopened_s,
        "at_open_mb": rss_mb(os.getpid()) - memory_before,
    }
    everything = Allowed()

    def hybrid(i: int) -> Ranking:
        legs = [
            view.dense(queries[i], k=POOL, allowed=everything),
            view.lexical(texts[i], k=POOL, allowed=everything),
        ]
        return fuse_rrf(legs)

    result["latency_ms"] = {
        "dense": _percentiles(lambda i: view.dense(queries[i], k=POOL, allowed=everything)),
        "lexical": _percentiles(lambda i: view.lexical(texts[i], k=POOL, allowed=everything)),
        "hybrid": _percentiles(hybrid),
    }
    result["searched_mb"] = rss_mb(os.getpid()) - memory_before
    result["costs_us"] = _costs(shadows, queries)
    result["filters"] = _filters(shadows, truth, texts)
    result["update_ms"] = _updates(shadows, truth)
    shadows.close()
    shutil.rmtree(served)
    return result


def _filters(shadows: Shadows, truth: MadeUpTruth, texts: list[str]) -> dict[str, object]:
    """Return recall@10 against exact search and the latency of both legs under each filter."""
    view = shadows.view()
    queries, vectors = truth.read("queries"), truth.read("vectors")
    classes, ids = truth.read("classes"), np.arange(1, len(vectors) + 1, dtype=np.int64)
    exact_scores = _exact(queries, vectors)
    rng = np.random.default_rng(7)

    def sample(share: float) -> NDArray[np.int64]:
        return np.sort(rng.choice(ids, int(share * len(ids)), replace=False))

    cases = {
        "none": Allowed(),
        "random 1 % by class": Allowed(classes=frozenset({NUM_CLASSES - 1})),
        "correlated 1.4 % by class": Allowed(classes=frozenset({3})),
        "correlated half by class": Allowed(classes=frozenset(range(NUM_CLASSES // 2))),
        "random 0.1 % by id": Allowed(chunk_ids=sample(0.001)),
        "random 1 % by id": Allowed(chunk_ids=sample(0.01)),
        "random 10 % by id": Allowed(chunk_ids=sample(0.1)),
        "random 50 % by id": Allowed(chunk_ids=sample(0.5)),
    }
    result: dict[str, object] = {}
    for name, allowed in cases.items():
        mask = np.ones(len(ids), dtype=np.bool_)
        if allowed.classes is not None:
            mask &= np.isin(classes, list(allowed.classes))
        if allowed.chunk_ids is not None:
            mask &= np.isin(ids, allowed.chunk_ids)
        result[name] = {
            "share": float(mask.mean()),
            "recall_at_10": _recall(shadows, queries, exact_scores, mask, allowed),
            "dense_ms": _percentiles(partial(_ask, view.dense, queries, allowed)),
            "lexical_ms": _percentiles(partial(_ask, view.lexical, texts, allowed)),
        }
    return result


def _ask(
    search: Callable[..., Ranking], questions: Sequence[object], allowed: Allowed, i: int
) -> Ranking:
    return search(questions[i], k=POOL, allowed=allowed)


def _recall(
    shadows: Shadows,
    queries: NDArray[np.float32],
    exact_scores: NDArray[np.float32],
    mask: NDArray[np.bool_],
    allowed: Allowed,
) -> float:
    found = 0
    for i, scores in enumerate(exact_scores):
        best = np.argpartition(np.where(mask, -scores, np.inf), K)[:K] + 1
        ranking = shadows.view().dense(queries[i], k=K, allowed=allowed)
        found += len(set(best.tolist()) & set(ranking.chunk_ids))
    return found / (K * len(queries))


def _costs(shadows: Shadows, queries: NDArray[np.float32]) -> dict[str, float]:
    """Return the two constants of the planner, as this machine has them."""
    dense = shadows.view().dense_view
    num_scanned = min(10_000, len(dense.rows))
    some = np.sort(np.random.default_rng(3).choice(len(dense.rows), num_scanned, replace=False))
    scan = _percentiles(lambda i: dense.rows.nearest(queries[i], some, k=K))["p50"]
    narrow = _percentiles(lambda i: dense.graph.candidates(queries[i], count=64))["p50"]
    wide = _percentiles(lambda i: dense.graph.candidates(queries[i], count=512))["p50"]
    return {
        "scan_per_row": scan * 1000 / num_scanned,
        "walk_per_candidate_64": narrow * 1000 / 64,
        "walk_per_candidate_512": wide * 1000 / 512,
    }


def _updates(shadows: Shadows, truth: MadeUpTruth) -> dict[str, object]:
    """Return how long it takes from a change's announcement until it is searchable."""
    result: dict[str, object] = {}
    for batch in (1, 100):
        times = []
        for _ in range(15):
            start = time.perf_counter()
            truth.seq += batch
            shadows.refresh()
            times.append((time.perf_counter() - start) * 1000)
        result[f"{batch} chunks"] = _summary(times)
    return result


def _questions(truth: MadeUpTruth) -> list[str]:
    rng = np.random.default_rng(11)
    questions = []
    for row in truth.read("tokens")[truth.read("asked")]:
        rare = list(dict.fromkeys(int(token) for token in row if token >= NUM_FREQUENT))
        words = [word(token) for token in rare[: int(rng.integers(4, 10))]]
        questions.append(f"what is the {' '.join(words)}?")
    return questions


def _exact(queries: NDArray[np.float32], vectors: NDArray[np.float16]) -> NDArray[np.float32]:
    blocks = [
        queries @ vectors[start : start + 20_000].astype(np.float32).T
        for start in range(0, len(vectors), 20_000)
    ]
    return np.concatenate(blocks, axis=1)


def _percentiles(search: Callable[[int], object]) -> dict[str, float]:
    for i in range(20):
        search(i)
    times = []
    for i in range(NUM_QUERIES):
        start = time.perf_counter()
        search(i)
        times.append((time.perf_counter() - start) * 1000)
    return _summary(times)


def _summary(times_ms: list[float]) -> dict[str, float]:
    return {
        "p50": statistics.median(times_ms),
        "p95": float(np.quantile(times_ms, 0.95)),
        "max": max(times_ms),
    }


def _open(directory: Path, truth: MadeUpTruth, options: IndexOptions) -> Shadows:
    return Shadows.open(directory, truth, dim=DIM, fingerprint="made-up/1", options=options)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _phase(arguments: tuple[str, Path, int, IndexOptions]) -> dict[str, object]:
    phase, directory, num_rows, options = arguments
    run: Callable[..., dict[str, object]] = build if phase == "build" else serve
    return run(directory, num_rows=num_rows, options=options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--directory", type=Path, help="keep the index here and reuse it")
    arguments = parser.parse_args()
    directory = arguments.directory or Path(tempfile.mkdtemp())
    directory.mkdir(parents=True, exist_ok=True)
    options = replace(IndexOptions(), save_after_changes=10 * arguments.rows)
    if not (directory / "vectors.npy").exists():
        make(directory, num_rows=arguments.rows)
    result: dict[str, object] = {
        "command": f"python bench/index_100k.py --rows {arguments.rows}",
    }
    fresh_process = multiprocessing.get_context("spawn")
    for phase in ("build", "serve"):
        with fresh_process.Pool(1) as pool:
            (result[phase],) = pool.map(
                _phase, [(phase, directory, arguments.rows, options)], chunksize=1
            )
    write_result("index_100k", result)
    if arguments.directory is None:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
