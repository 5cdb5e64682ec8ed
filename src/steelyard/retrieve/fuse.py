"""Merging rankings."""

from collections.abc import Sequence

from steelyard.core.errors import InputError
from steelyard.core.ranking import Hit, Ranking

RRF_K = 60  # Cormack, Clarke & Buettcher's choice


def fuse_rrf(
    rankings: Sequence[Ranking], *, k: int = RRF_K, weights: Sequence[float] | None = None
) -> Ranking:
    """Merge rankings by reciprocal rank fusion.

    The chunk at rank r of a ranking (first = 1) earns weight / (k + r); earnings add up.
    Weights default to 1.

    Raises:
        InputError: no ranking was given, `k` is negative, or the weights do not match.

    Source: Cormack, Clarke & Buettcher, SIGIR 2009; k = 60 is their choice.
    """
    if not rankings:
        raise InputError("fuse_rrf needs at least one ranking, got none")
    if k < 0:
        raise InputError(f"fuse_rrf needs k >= 0, got {k}")
    if weights is not None and len(weights) != len(rankings):
        raise InputError(f"fuse_rrf got {len(weights)} weights for {len(rankings)} rankings")
    earned: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, (chunk_id, _) in enumerate(ranking.hits, start=1):
            earned[chunk_id] = earned.get(chunk_id, 0.0) + weight / (k + rank)
    best = sorted(earned.items(), key=lambda item: (-item[1], item[0]))
    return Ranking(tuple(map(Hit._make, best)))


def fuse_convex(rankings: Sequence[Ranking], *, weights: Sequence[float]) -> Ranking:
    """Merge rankings by their scores, each stretched to [0, 1] over its own hits.

    A ranking's best hit earns its weight, its last one nothing, and what it lacks nothing either;
    earnings add up. A ranking whose scores are all equal gives each the whole weight.

    Raises:
        InputError: no ranking was given, or the weights do not match.

    Source: Bruch, Gai & Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", TOIS 2023.
    """
    if not rankings:
        raise InputError("fuse_convex needs at least one ranking, got none")
    if len(weights) != len(rankings):
        raise InputError(f"fuse_convex got {len(weights)} weights for {len(rankings)} rankings")
    earned: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        if not ranking.hits:
            continue
        best, last = ranking.hits[0].score, ranking.hits[-1].score
        scale = weight / (best - last) if best > last else 0.0
        for chunk_id, score in ranking.hits:
            share = (score - last) * scale if scale else weight
            earned[chunk_id] = earned.get(chunk_id, 0.0) + share
    order = sorted(earned.items(), key=lambda item: (-item[1], item[0]))
    return Ranking(tuple(map(Hit._make, order)))
