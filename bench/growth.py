"""How latency, recall, memory and disk grow from 1,000 to 1,000,000 chunks.

    python bench/growth.py [--sizes 1000,10000,100000,1000000] [--vectors i8] [--note TEXT]
    python bench/growth.py --build 1000000     # only fill and build: resumable, take nice
    python bench/growth.py --plot              # bench/out/growth.html from growth.json

The corpus is growth_corpus.py's; each size has a home of its own below bench/out/growth/, which
is kept. A size is built in one process and measured in another, alone, one question at a time:
50 hits of each leg one after the other, fused, the first 10 read from SQLite. `cpu_ms` is the
processor time of the same calls: on a busy machine it is the truer figure.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from figures import Figures, K, recall, summary, tenth_best, timed
from growth_corpus import BLOCK, CHUNKS_A_DOCUMENT, FINGERPRINT, FOLDER, base, block, document, fill
from growth_plot import write_plot
from machine import OUT, rss_mb, write_result
from numpy.typing import NDArray

from steelyard.core.ranking import Allowed, Principal, Query, Ranking
from steelyard.index import IndexOptions, Shadows
from steelyard.retrieve import RetrieveOptions
from steelyard.retrieve.fuse import fuse_convex
from steelyard.store import OPERATOR, Store

SIZES = (1_000, 10_000, 100_000, 1_000_000)
POOL = RetrieveOptions().pool
SHARE = RetrieveOptions().dense_share
EDITS = 20
EDITED = 10**9  # number of the first edited document
EVERYONE = Principal("everyone", frozenset({"public", "staff"}))
PUBLIC = Principal("public", frozenset({"public"}))
STAFF = Principal("staff", frozenset({"staff"}))
TEAM = {"team": "team 3"}


class Home:
    """A store and its index, open."""

    def __init__(self, path: Path, *, vectors: str) -> None:
        started = time.perf_counter()
        self.store = Store.open(path / "truth.sqlite")
        self.dim = base().vectors_BD.shape[1]
        self.store.claim_embedder(FINGERPRINT, self.dim)
        self.store_s = time.perf_counter() - started
        started = time.perf_counter()
        self.index = Shadows.open(
            path / "index",
            self.store,
            dim=self.dim,
            fingerprint=FINGERPRINT,
            options=IndexOptions(vectors=vectors),
        )
        self.open_s = time.perf_counter() - started

    def close(self) -> None:
        self.index.close()
        self.store.close()


def home_of(num_rows: int) -> Path:
    return FOLDER / f"home-{num_rows}"


def build(num_rows: int, *, vectors: str) -> None:
    """Fill the truth and build the index, going on where a former call ended; note the time."""
    path = home_of(num_rows)
    started, cpu = time.perf_counter(), time.process_time()
    fill(path, num_rows=num_rows)
    _note(path, "truth", started, cpu)
    started, cpu = time.perf_counter(), time.process_time()
    home = Home(path, vectors=vectors)
    _note(path, f"searchable {vectors}", started, cpu)
    started, cpu = time.perf_counter(), time.process_time()
    try:
        while not home.index.settle(timeout_s=20):
            graph = home.index.view().dense_view.graph
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {graph.covers:,} in the graph\n")
    finally:
        _note(path, f"graph {vectors}", started, cpu)
        home.close()


def _note(path: Path, stage: str, started: float, cpu: float) -> None:
    """Add this call's seconds to what former calls took for a stage."""
    file = path / "built.json"
    noted = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    before = noted.get(stage, {"wall_s": 0.0, "cpu_s": 0.0})
    noted[stage] = {
        "wall_s": round(before["wall_s"] + time.perf_counter() - started, 2),
        "cpu_s": round(before["cpu_s"] + time.process_time() - cpu, 2),
    }
    file.write_text(json.dumps(noted, indent=1), encoding="utf-8")


def measure(num_rows: int, *, vectors: str) -> dict[str, object]:
    """Return every figure of one size; the home is left as it was found but for its log."""
    path, real = home_of(num_rows), base()
    before_mb = rss_mb(os.getpid())
    home = Home(path, vectors=vectors)
    opened_mb = rss_mb(os.getpid())
    asked = [Query(text=text, principal=EVERYONE) for text in real.questions]
    latency = _latencies(home, asked, real.questions_QD)
    searched_mb = rss_mb(os.getpid())
    dense = home.index.view().dense_view
    assert dense.num_tail <= IndexOptions().tail_rows, "build the graph first"
    result: dict[str, object] = {
        "chunks": home.index.view().num_chunks,
        "vectors": vectors,
        "built": json.loads((path / "built.json").read_text(encoding="utf-8")),
        "reopen_s": {"store": round(home.store_s, 3), "index": round(home.open_s, 3)},
        "rss_mb": {
            "before": round(before_mb),
            "opened": round(opened_mb),
            "searched": round(searched_mb),
        },
        "disk_mb": _disk(path),
        "in_graph": len(dense.graph),
        "loose": len(dense.graph.loose),
        "latency": latency,
        "recall@10": _recall(home, real.questions_QD),
        "filtered": _filtered(home, real.questions, real.questions_QD),
        "edits": _edits(home, num_rows),
    }
    home.close()
    return result


def _latencies(home: Home, asked: list[Query], vectors_QD: NDArray[np.float32]) -> object:
    view, everything = home.index.view(), Allowed()

    def hybrid(i: int) -> object:
        legs = [
            view.dense(vectors_QD[i], k=POOL, allowed=everything),
            view.lexical(asked[i].text, k=POOL, allowed=everything),
        ]
        fused = fuse_convex(legs, weights=[SHARE, 1 - SHARE])
        return home.store.fetch(fused.chunk_ids[:K], query=asked[i])

    return {
        "dense": timed(lambda i: view.dense(vectors_QD[i], k=POOL, allowed=everything), len(asked)),
        "lexical": timed(
            lambda i: view.lexical(asked[i].text, k=POOL, allowed=everything), len(asked)
        ),
        "hybrid": timed(hybrid, len(asked)),
    }


def _filtered(home: Home, questions: list[str], vectors_QD: NDArray[np.float32]) -> object:
    """Return both legs' latency for principals and a filter that let a part through."""
    view, result = home.index.view(), {}
    for name, principal, wanted in (
        ("public, 90 %", PUBLIC, {}),
        ("staff, 10 %", STAFF, {}),
        ("one team of eight, 12.5 %", EVERYONE, TEAM),
    ):
        asked = [Query(text=text, principal=principal, filter=wanted) for text in questions]

        def dense(i: int, asked: list[Query] = asked) -> Ranking:
            allowed = home.store.allowed(asked[i])
            return view.dense(vectors_QD[i], k=POOL, allowed=allowed)

        def lexical(i: int, asked: list[Query] = asked) -> Ranking:
            return view.lexical(asked[i].text, k=POOL, allowed=home.store.allowed(asked[i]))

        result[name] = {
            "dense": timed(dense, len(asked)),
            "lexical": timed(lexical, len(asked)),
        }
    return result


def _recall(home: Home, vectors_QD: NDArray[np.float32]) -> Figures:
    """Return the share of hits that are among the 10 nearest rows, by exact scan."""
    view = home.index.view()
    ids = view.dense_view.rows.chunk_ids

    def slots(k: int) -> list[NDArray[np.int64]]:
        found = [view.dense(vector, k=k, allowed=Allowed()).chunk_ids for vector in vectors_QD]
        return [np.searchsorted(ids, hits[:K]) for hits in found]

    rows_ND = view.dense_view.rows.vectors
    least_Q = tenth_best(rows_ND, vectors_QD)
    return {f"asked for {k}": recall(rows_ND, vectors_QD, least_Q, slots(k)) for k in (K, POOL)}


def _edits(home: Home, num_rows: int) -> object:
    """Time new documents of ten chunks until they are found, and the first filtered question."""
    real = base()
    rows = block(real, real.sentences, num_rows // BLOCK + 1)
    query = Query(text=real.questions[0], principal=EVERYONE, filter=TEAM)
    home.store.allowed(query)
    searchable, first, second = [], [], []
    for edit in range(EDITS):
        new = document(rows, edit * CHUNKS_A_DOCUMENT, CHUNKS_A_DOCUMENT, number=EDITED + edit)
        started = time.perf_counter()
        home.store.replace_many([new])
        home.index.refresh()
        searchable.append(_ms(started))
        for times in (first, second):
            started = time.perf_counter()
            allowed = home.store.allowed(query)
            home.index.view().dense(real.questions_QD[0], k=POOL, allowed=allowed)
            times.append(_ms(started))
    gone = [f"made-{EDITED + edit}" for edit in range(EDITS)]
    home.store.delete("default", gone, principal=OPERATOR)
    home.index.refresh()
    return {
        "commit to searchable_ms": summary(searchable),
        "first filtered question after it_ms": summary(first),
        "second_ms": summary(second),
    }


def _ms(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _disk(path: Path) -> Figures:
    def size(pattern: str) -> float:
        return round(sum(file.stat().st_size for file in path.glob(pattern)) / 2**20, 1)

    return {
        "truth": size("truth.sqlite*"),
        "rows": size("index/dense-*/*.npy"),
        "graph": size("index/dense-*/*.usearch"),
        "lexical": size("index/lexical-*/*"),
    }


def _alone(*arguments: str) -> None:
    """Run this script in a process of its own."""
    subprocess.run([sys.executable, __file__, *arguments], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--vectors", default=IndexOptions().vectors)
    parser.add_argument("--note", default="", help="said beside the figures: what else ran")
    parser.add_argument("--build", type=int, metavar="CHUNKS")
    parser.add_argument("--measure", type=int, metavar="CHUNKS", help=argparse.SUPPRESS)
    parser.add_argument("--plot", action="store_true")
    asked = parser.parse_args()
    if asked.build:
        build(asked.build, vectors=asked.vectors)
    elif asked.measure:
        figures = measure(asked.measure, vectors=asked.vectors)
        (home_of(asked.measure) / "measured.json").write_text(json.dumps(figures, indent=1))
    elif not asked.plot:
        _run([int(size) for size in asked.sizes.split(",")], asked.vectors, asked.note)
    if not (asked.build or asked.measure):
        write_plot(OUT / "growth.json", OUT / "growth.html")


def _run(sizes: list[int], vectors: str, note: str) -> None:
    results = []
    for size in sizes:
        _alone("--build", str(size), "--vectors", vectors)
        _alone("--measure", str(size), "--vectors", vectors)
        results.append(json.loads((home_of(size) / "measured.json").read_text(encoding="utf-8")))
    write_result("growth", {"note": note, "load": os.getloadavg(), "sizes": results})


if __name__ == "__main__":
    main()
