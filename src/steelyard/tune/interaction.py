"""Late interaction in torch: what `rerank/late.py` serves, for training.

Shapes: L questions (Q tokens), P passages of all questions (T tokens), H hidden.
"""

from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional

from steelyard.tune.encoder import masks, padded
from steelyard.tune.tokens import Ids

Text = tuple[torch.Tensor, torch.Tensor]  # (ids, mask), (N, T) both

_FITTED = 120  # passages that the head's start is read off
_SOFTEST, _HARDEST = 0.1, 3.0  # of a token's weight, before training
_RARITY_SHARE = 0.25  # natural logarithms of inverse frequencies go up to 8
_RIDGE = 5.0


class Interaction(torch.nn.Module):  # type: ignore[misc]
    """A token classifier whose hidden states are compared and whose logits weigh the question's."""

    def __init__(self, encoder: torch.nn.Module, *, scale: float) -> None:
        super().__init__()
        self.encoder = encoder
        self._scale = scale

    def forward(self, questions: Text, passages: Text, which: torch.Tensor) -> torch.Tensor:
        """Return a score (P,) for each passage; `which` (P,) says whose question it is for."""
        asked_LQH, logits_LQ = self._read(questions)
        told_PTH, _ = self._read(passages)
        weights_LQ = functional.softplus(logits_LQ) * own(questions[1])
        weights_LQ = weights_LQ / weights_LQ.sum(dim=1, keepdim=True).clamp(min=1e-9)
        asked_PQH = functional.normalize(asked_LQH, dim=-1)[which]
        told_PTH = functional.normalize(told_PTH, dim=-1)
        cosines_PQT = asked_PQH @ told_PTH.transpose(1, 2)
        cosines_PQT = cosines_PQT.masked_fill(~own(passages[1])[:, None, :], -1.0)
        return self._scale * (cosines_PQT.amax(dim=2) * weights_LQ[which]).sum(dim=1)

    def _read(self, text: Text) -> tuple[torch.Tensor, torch.Tensor]:
        ids, mask = text
        out = self.encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        return out.hidden_states[-1].float(), out.logits[:, :, 0].float()


def own(mask_NT: torch.Tensor) -> torch.Tensor:
    """Return where a text's own tokens are: not padding, not the special ones around them."""
    lengths_N1 = mask_NT.sum(dim=1, keepdim=True)
    at_T = torch.arange(mask_NT.shape[1], device=mask_NT.device)[None, :]
    return (at_T > 0) & (at_T < lengths_N1 - 1)


def start_from_rarity(
    encoder: torch.nn.Module, texts: Sequence[Ids], rarity: Mapping[int, float]
) -> None:
    """Fit the head to how rare tokens are, by ridge regression, so that it need not be learnt.

    `texts` have special tokens; `rarity` is the logarithm of a token's inverse frequency.
    """
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
        x_NH = torch.cat(rows).double()
        x_NH = torch.cat([x_NH, torch.ones(len(x_NH), 1, dtype=torch.double)], dim=1)
        weights_N = torch.tensor(wanted, dtype=torch.double) * _RARITY_SHARE
        y_N = torch.log(torch.expm1(weights_N.clamp(_SOFTEST, _HARDEST)))  # softplus, inverted
        ridge = _RIDGE * torch.eye(x_NH.shape[1], dtype=torch.double)
        found_H = torch.linalg.solve(x_NH.T @ x_NH + ridge, x_NH.T @ y_N).float()
        for name, parameter in encoder.named_parameters():
            if parameter.requires_grad and "classifier" in name:
                weight = name.endswith("weight")
                parameter.copy_(found_H[None, :-1] if weight else found_H[-1:])
