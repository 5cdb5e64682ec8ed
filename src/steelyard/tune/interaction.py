"""Late interaction in torch: what `rerank/late.py` serves, for training.

Shapes: L questions (Q tokens), P passages of all questions (T tokens), D of a vector, H hidden.
"""

from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional

from steelyard.core.late import SATURATION, WINDOW_STEP, LateScoring
from steelyard.tune.encoder import masks, padded
from steelyard.tune.tokens import Ids

Text = tuple[torch.Tensor, torch.Tensor]  # (ids, mask), (N, T) both

_FITTED = 300  # passages that the head's start is read off
_SOFTEST, _HARDEST = 0.1, 3.0  # of a token's weight, before training
_RARITY_SHARE = 0.25  # natural logarithms of inverse frequencies go up to 8
_RIDGE = 5.0


class Interaction(torch.nn.Module):  # type: ignore[misc]
    """A token classifier: its first logit weighs a question's token, the others are its vector."""

    def __init__(self, encoder: torch.nn.Module, scoring: LateScoring) -> None:
        super().__init__()
        self.encoder = encoder
        self._scoring = scoring

    def forward(self, questions: Text, passages: Text, which: torch.Tensor) -> torch.Tensor:
        """Return a score (P,) for each passage; `which` (P,) says whose question it is for."""
        compared_P4 = self.compared(questions, passages, which)
        return compared_P4 @ torch.tensor(self._scoring.mix, device=compared_P4.device)

    def compared(self, questions: Text, passages: Text, which: torch.Tensor) -> torch.Tensor:
        """Return the comparisons (P, 4) that the score adds up: `core/late.py`."""
        logits_LQ, asked_LQD = self._read(questions)
        _, told_PTD = self._read(passages)
        weights_LQ = functional.softplus(logits_LQ) * own(questions[1])
        weights_LQ = weights_LQ / weights_LQ.sum(dim=1, keepdim=True).clamp(min=1e-9)
        weights_PQ = weights_LQ[which]
        is_own_P1T = own(passages[1])[:, None, :]
        cosines_PQT = asked_LQD[which] @ told_PTD.transpose(1, 2)
        cosines_PQT = cosines_PQT.masked_fill(~is_own_P1T, -1.0)
        same_PQT = questions[0][which][:, :, None] == passages[0][:, None, :]
        same_PQT = same_PQT & is_own_P1T
        often_PQ = same_PQT.sum(dim=2).float()
        whole_P = (cosines_PQT.amax(dim=2) * weights_PQ).sum(dim=1)
        # Stretches begin at the first own token, behind the special one.
        best_P = best_window(cosines_PQT[:, :, 1:], weights_PQ, size=self._scoring.window)
        exact_P = (often_PQ / (often_PQ + SATURATION) * weights_PQ).sum(dim=1)
        adjacent_P = share_adjacent(same_PQT, weights_PQ)
        return torch.stack([whole_P, best_P, exact_P, adjacent_P], dim=1)

    def _read(self, text: Text) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits (N, T) and unit vectors (N, T, D) of a text's tokens."""
        ids, mask = text
        logits_NTD = self.encoder(input_ids=ids, attention_mask=mask).logits.float()
        return logits_NTD[:, :, 0], functional.normalize(logits_NTD[:, :, 1:], dim=-1)


def best_window(cosines_PQT: torch.Tensor, weights_PQ: torch.Tensor, *, size: int) -> torch.Tensor:
    """Return (P,): the best of each passage's stretches of `size` tokens."""
    best_PQN = functional.max_pool1d(
        cosines_PQT, min(size, cosines_PQT.shape[2]), stride=WINDOW_STEP, ceil_mode=True
    )
    return (best_PQN * weights_PQ[:, :, None]).sum(dim=1).amax(dim=1)


def share_adjacent(same_PQT: torch.Tensor, weights_PQ: torch.Tensor) -> torch.Tensor:
    """Return (P,): how many of a question's neighbours are neighbours in the passage too."""
    # A root's slope is endless at 0, and special tokens weigh nothing.
    product_PN = weights_PQ[:, :-1] * weights_PQ[:, 1:]
    pairs_PN = torch.where(product_PN > 0, product_PN.clamp(min=1e-12).sqrt(), product_PN)
    is_there_PN = (same_PQT[:, :-1, :-1] & same_PQT[:, 1:, 1:]).any(dim=2)
    return (pairs_PN * is_there_PN).sum(dim=1) / pairs_PN.sum(dim=1).clamp(min=1e-9)


def own(mask_NT: torch.Tensor) -> torch.Tensor:
    """Return where a text's own tokens are: not padding, not the special ones around them."""
    lengths_N1 = mask_NT.sum(dim=1, keepdim=True)
    at_T = torch.arange(mask_NT.shape[1], device=mask_NT.device)[None, :]
    return (at_T > 0) & (at_T < lengths_N1 - 1)


def start_head(encoder: torch.nn.Module, texts: Sequence[Ids], rarity: Mapping[int, float]) -> None:
    """Let the head begin where learning would only come late: a token's weight is fitted to how
    rare it is, by ridge regression, and its vector is its hidden state's principal components.

    `texts` have special tokens; `rarity` is the logarithm of a token's inverse frequency.
    """
    hidden_NH, wanted = _hidden(encoder, texts, rarity)
    ones_N1 = torch.ones(len(hidden_NH), 1, dtype=torch.double)
    x_NK = torch.cat([hidden_NH, ones_N1], dim=1)
    weights_N = torch.tensor(wanted, dtype=torch.double) * _RARITY_SHARE
    y_N = torch.log(torch.expm1(weights_N.clamp(_SOFTEST, _HARDEST)))  # softplus, inverted
    ridge = _RIDGE * torch.eye(x_NK.shape[1], dtype=torch.double)
    fitted_K = torch.linalg.solve(x_NK.T @ x_NK + ridge, x_NK.T @ y_N).float()
    unit_NH = functional.normalize(hidden_NH, dim=-1)
    components_HH, _, _ = torch.linalg.svd(unit_NH.T @ unit_NH)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if not parameter.requires_grad or "classifier" not in name:
                continue
            if name.endswith("weight"):
                parameter[0] = fitted_K[:-1]
                parameter[1:] = components_HH.T[: len(parameter) - 1].float()
            else:
                parameter.zero_()
                parameter[0] = fitted_K[-1]


def _hidden(
    encoder: torch.nn.Module, texts: Sequence[Ids], rarity: Mapping[int, float]
) -> tuple[torch.Tensor, list[float]]:
    """Return the hidden states (N, H) of some texts' own tokens, and how rare each is."""
    step = max(1, len(texts) // _FITTED)
    rows: list[torch.Tensor] = []
    wanted: list[float] = []
    with torch.no_grad():
        for ids in texts[::step][:_FITTED]:
            out = encoder(
                input_ids=padded([ids]), attention_mask=masks([ids]), output_hidden_states=True
            )
            rows.append(out.hidden_states[-1][0, 1:-1])
            wanted += [rarity[int(token)] for token in ids[1:-1]]
    return torch.cat(rows).double(), wanted
