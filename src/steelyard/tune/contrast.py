"""The contrastive loss over a batch, and over the batches of all processes.

Shapes: Q questions, C candidates, D dimensions, R relevant texts of a question.
"""

from collections.abc import Sequence

import torch
from torch import distributed


def contrastive_loss(
    queries_QD: torch.Tensor,
    candidates_CD: torch.Tensor,
    *,
    keys: torch.Tensor,
    relevant: torch.Tensor,
    temperature: float,
    guide: Sequence[torch.Tensor] | None = None,
    margin: float = 0.0,
) -> torch.Tensor:
    """Return InfoNCE summed over questions: question q's positive is candidate q.

    What is relevant to a question (by its key) is no negative of it, nor is what the `guide`
    (vectors of questions and candidates) scores above the positive less `margin`. Candidates
    of other processes join as negatives.

    Source: van den Oord et al., 2018; the margin after Solatorio's GISTEmbed, 2024.
    """
    num_local = len(candidates_CD)
    labels = torch.arange(len(queries_QD), device=queries_QD.device)
    everyone_CD, first = _of_everyone(candidates_CD)
    everyone_keys, _ = _of_everyone(keys)
    assert len(everyone_CD) == len(everyone_keys) >= num_local
    labels = labels + first
    scores_QC = queries_QD @ everyone_CD.T / temperature
    known_QC = (everyone_keys[None, None, :] == relevant[:, :, None]).any(dim=1)
    if guide is not None:
        guide_CD, _ = _of_everyone(guide[1])
        guide_QC = guide[0] @ guide_CD.T
        positive_Q1 = guide_QC.gather(1, labels[:, None])
        known_QC = known_QC | (guide_QC > positive_Q1 - margin)
    known_QC = known_QC.scatter(1, labels[:, None], False)
    scores_QC = scores_QC.masked_fill(known_QC, float("-inf"))
    return torch.nn.functional.cross_entropy(scores_QC, labels, reduction="sum")


def _of_everyone(rows: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Return all processes' rows, with gradients, and where ours begin."""
    if not distributed.is_available() or not distributed.is_initialized():
        return rows, 0
    from torch.distributed.nn.functional import all_gather

    size, rank = distributed.get_world_size(), distributed.get_rank()
    counts = [torch.zeros(1, dtype=torch.long, device=rows.device) for _ in range(size)]
    distributed.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    numbers = [int(one) for one in counts]
    short = max(numbers) - len(rows)
    filled = torch.cat([rows, rows.new_zeros((short, *rows.shape[1:]))]) if short else rows
    if rows.is_floating_point():
        gathered = list(all_gather(filled.contiguous()))
    else:
        gathered = [torch.empty_like(filled) for _ in range(size)]
        distributed.all_gather(gathered, filled.contiguous())
    kept = [one[:number] for one, number in zip(gathered, numbers, strict=True)]
    return torch.cat(kept), sum(numbers[:rank])
