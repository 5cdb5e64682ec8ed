"""How well scores rank what is relevant; ties go to the earlier place, as everywhere."""

from collections.abc import Collection
from typing import Any

import numpy as np

CUT = 10


def ndcg(scores: Any, gold: Collection[int]) -> float:
    """Return nDCG@10 of one question's scores over passages, binary gains."""
    if not gold:
        return 0.0
    found = sum(1 / np.log2(rank + 2) for rank, at in enumerate(_top(scores)) if int(at) in gold)
    best = sum(1 / np.log2(rank + 2) for rank in range(min(CUT, len(gold))))
    return float(found / best)


def reciprocal_rank(scores: Any, gold: Collection[int]) -> float:
    """Return 1 / rank of the first relevant passage of the first 10; 0.0: none is there."""
    for rank, at in enumerate(_top(scores)):
        if int(at) in gold:
            return 1.0 / (rank + 1)
    return 0.0


def _top(scores: Any) -> Any:
    return np.argsort(-np.asarray(scores), kind="stable")[:CUT]
