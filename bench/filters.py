"""What the first filtered question after a commit costs the truth.

    python bench/filters.py [--documents 20000]

Each of EDITS commits replaces one document of one chunk; then the store is asked what a filter
admits. Processor time of the asking thread beside wall time.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from figures import summary
from machine import write_result

from steelyard.core.documents import Chunk, Document
from steelyard.core.ranking import PUBLIC, Query
from steelyard.store import Replacement, Store

DIM = 8
EDITS = 60
FILTERS = {
    "one team of eight": {"team": "team 3"},
    "two teams, ten years of twenty-five": {
        "year": {"$gte": 2015},
        "team": ["team 1", "team 2"],
    },
}


def replacement(number: int, rng: np.random.Generator) -> Replacement:
    row = rng.standard_normal((1, DIM)).astype(np.float32)
    text = f"text {number} {rng.integers(10**9)}"
    document = Document(
        id=f"document {number}",
        uri=f"made/{number}",
        title="",
        text=text,
        metadata={"team": f"team {number % 8}", "year": 2000 + number % 25},
    )
    return Replacement(document, [Chunk(0, 0, len(text), text)], row / np.linalg.norm(row), "made")


def measure(store: Store, rng: np.random.Generator, num_documents: int) -> dict[str, object]:
    result: dict[str, object] = {}
    for name, wanted in FILTERS.items():
        query = Query("question", PUBLIC, filter=wanted)
        store.allowed(query)
        wall, cpu = [], []
        for _ in range(EDITS):
            store.replace(replacement(int(rng.integers(num_documents)), rng))
            started, computed = time.perf_counter(), time.thread_time()
            store.allowed(query)
            cpu.append((time.thread_time() - computed) * 1000)
            wall.append((time.perf_counter() - started) * 1000)
        result[name] = {"ms": summary(wall), "cpu_ms": summary(cpu)}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=20_000)
    asked = parser.parse_args()
    rng = np.random.default_rng(5)
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "truth.db") as store:
        store.claim_embedder("made", DIM)
        store.replace_many([replacement(number, rng) for number in range(asked.documents)])
        result = measure(store, rng, asked.documents)
    write_result("filters", {"documents": asked.documents, **result})


if __name__ == "__main__":
    main()
