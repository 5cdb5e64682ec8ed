"""What each form of the graph's vectors costs and finds: f32, f16, i8 and binary.

    python bench/vectors.py [--rows 100000] [--forms f32,f16,i8,binary] [--note TEXT]

Rows and questions are those of growth_corpus.py. Every form is rescored with the same f16 rows;
recall is against an exact scan of these with the question in full precision. `build_s` and `cpu_ms`
are processor time of one thread; `graph_bytes` is the saved graph's size a row, beside the 768
bytes of the row itself.
"""

import argparse
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from figures import K, recall, tenth_best, timed
from growth import POOL
from growth_corpus import BLOCK, base, block
from machine import write_result
from numpy.typing import NDArray

from steelyard.core.protocols import IndexRows
from steelyard.core.ranking import Allowed
from steelyard.index import IndexOptions
from steelyard.index.dense import Dense, DenseView, merge
from steelyard.index.options import VECTORS


@dataclass(frozen=True, slots=True)
class Figures:
    build_s: float
    graph_bytes: float
    recall_asked_10: float
    recall_asked_50: float
    asked_10: dict[str, dict[str, float]]
    asked_50: dict[str, dict[str, float]]


def measure(
    form: str,
    rows_ND: NDArray[np.float16],
    questions_QD: NDArray[np.float32],
    least_Q: NDArray[np.float32],
) -> Figures:
    options = IndexOptions(vectors=form)
    started = time.thread_time()
    view = built(rows_ND, options)
    build_s = time.thread_time() - started
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph"
        view.graph.save(path)
        graph_bytes = path.stat().st_size / len(rows_ND)

    def search(i: int, k: int) -> list[int]:
        return view.search(questions_QD[i], k=k, allowed=Allowed()).chunk_ids

    def found(k: int) -> float:
        slots = [np.array(search(i, k)[:K]) for i in range(len(questions_QD))]
        return recall(rows_ND, questions_QD, least_Q, slots)

    return Figures(
        build_s=round(build_s, 1),
        graph_bytes=round(graph_bytes, 1),
        recall_asked_10=found(K),
        recall_asked_50=found(POOL),
        asked_10=timed(lambda i: search(i, K), len(questions_QD)),
        asked_50=timed(lambda i: search(i, POOL), len(questions_QD)),
    )


def built(rows_ND: NDArray[np.float16], options: IndexOptions) -> DenseView:
    """Return a view whose graph covers every row; chunk ids are the rows' numbers."""
    dense = Dense(dim=rows_ND.shape[1], options=options)
    dense.add(
        IndexRows(
            chunk_ids=np.arange(len(rows_ND), dtype=np.int64),
            classes=np.zeros(len(rows_ND), dtype=np.int32),
            texts=[],
            vectors=rows_ND,
        )
    )
    dense.publish()
    while dense.view.num_tail:
        merged = merge(dense.view, options=options, stopped=lambda: False)
        assert merged is not None
        dense.adopt(merged)
    return dense.view


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--forms", default=",".join(VECTORS))
    parser.add_argument("--note", default="")
    asked = parser.parse_args()
    real = base()
    sentences = real.sentences
    blocks = [block(real, sentences, n).vectors for n in range(-(-asked.rows // BLOCK))]
    rows_ND = np.concatenate(blocks)[: asked.rows]
    least_Q = tenth_best(rows_ND, real.questions_QD)
    forms = {}
    for form in asked.forms.split(","):
        forms[form] = asdict(measure(form, rows_ND, real.questions_QD, least_Q))
        result = {"rows": len(rows_ND), "note": asked.note, "load": os.getloadavg(), "forms": forms}
        write_result("vectors", result)


if __name__ == "__main__":
    main()
