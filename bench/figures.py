"""Percentiles of calls, and recall against exact search. Q questions, N rows, D dimensions."""

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

K = 10  # recall@K
WARM_UP = 50
TIE = 2e-6  # of a score: sums in another order

Figures = dict[str, float]


def timed(call: Callable[[int], object], count: int) -> dict[str, Figures]:
    """Return percentiles of wall and processor time over `count` calls, after a warm-up."""
    for i in range(min(WARM_UP, count)):
        call(i)
    wall, cpu = [], []
    for i in range(count):
        started, computed = time.perf_counter(), time.thread_time()
        call(i)
        cpu.append((time.thread_time() - computed) * 1000)
        wall.append((time.perf_counter() - started) * 1000)
    return {"ms": summary(wall), "cpu_ms": summary(cpu)}


def summary(times_ms: list[float]) -> Figures:
    return {
        "p50": round(statistics.median(times_ms), 3),
        "p95": round(float(np.quantile(times_ms, 0.95)), 3),
        "p99": round(float(np.quantile(times_ms, 0.99)), 3),
    }


def recall(
    rows_ND: NDArray[np.float16],
    vectors_QD: NDArray[np.float32],
    least_Q: NDArray[np.float32],
    slots: Sequence[NDArray[np.int64]],
) -> float:
    """Return the share of the K slots found for each question that score no less than the K-th
    best. So equal rows may stand in for each other; what f16 sums swap counts as missed."""
    scores = [
        rows_ND[found].astype(np.float32) @ vector
        for found, vector in zip(slots, vectors_QD, strict=True)
    ]
    good = sum(
        int(np.count_nonzero(some >= least - TIE))
        for some, least in zip(scores, least_Q, strict=True)
    )
    return round(good / (K * len(slots)), 4)


def tenth_best(
    rows_ND: NDArray[np.float16], vectors_QD: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the K-th best score of each question over all rows, in full precision."""
    best_QK = np.zeros((len(vectors_QD), 0), dtype=np.float32)
    for start in range(0, len(rows_ND), 20_000):
        scores = vectors_QD @ rows_ND[start : start + 20_000].astype(np.float32).T
        both = np.concatenate([best_QK, scores], axis=1)
        best_QK = np.partition(both, both.shape[1] - K, axis=1)[:, -K:]
    least: NDArray[np.float32] = best_QK.min(axis=1)
    return least
