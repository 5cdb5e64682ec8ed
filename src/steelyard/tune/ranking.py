"""Losses over lists of scored passages, each list's positive first; sums over lists or pairs.

Shapes: P pairs of all lists, L lists, N passages of the longest list.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional


def listwise(scores_P: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Return the cross-entropy of each list's softmax with its positive, summed over lists."""
    scores_LN = _lists(scores_P, sizes)
    first_L = torch.zeros(len(sizes), dtype=torch.long, device=scores_P.device)
    return functional.cross_entropy(scores_LN, first_L, reduction="sum")


def pointwise(scores_P: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Return the binary cross-entropy of each pair, summed over pairs."""
    labels_P = torch.zeros_like(scores_P)
    at = 0
    for size in sizes:
        labels_P[at] = 1.0
        at += size
    return functional.binary_cross_entropy_with_logits(scores_P, labels_P, reduction="sum")


def distilled(scores_P: torch.Tensor, taught_P: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Return how far each list's softmax is from its teacher's (KL), summed over lists."""
    taught_LN = _lists(taught_P, sizes).softmax(dim=1)
    own_LN = _lists(scores_P, sizes).log_softmax(dim=1)
    there_LN = taught_LN > 0
    own_LN = own_LN.masked_fill(~there_LN, 0.0)
    known_LN = taught_LN.clamp(min=1e-30).log().masked_fill(~there_LN, 0.0)
    return (taught_LN * (known_LN - own_LN)).sum()


def _lists(scores_P: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Return one row a list, filled up with minus infinity."""
    rows = scores_P.split(list(sizes))
    width = max(sizes)
    return torch.stack(
        [functional.pad(row, (0, width - len(row)), value=float("-inf")) for row in rows]
    )
