"""An encoder whose forward gives unit vectors, of several groups of texts in one call."""

from collections.abc import Sequence

import torch

Texts = Sequence[tuple[torch.Tensor, torch.Tensor]]  # (ids, mask) of each group, (N, T) both


class Pooled(torch.nn.Module):  # type: ignore[misc]
    """One forward a batch, whatever its groups, as several processes' wrappers need it."""

    def __init__(self, encoder: torch.nn.Module, *, pooling: str) -> None:
        super().__init__()
        self.encoder = encoder
        self._pooling = pooling

    def forward(self, texts: Texts) -> list[torch.Tensor]:
        """Return the unit vectors (N, D) of each group."""
        return [self._embed(ids, mask) for ids, mask in texts]

    def _embed(self, ids_NT: torch.Tensor, mask_NT: torch.Tensor) -> torch.Tensor:
        hidden_NTD = self.encoder(input_ids=ids_NT, attention_mask=mask_NT).last_hidden_state
        hidden_NTD = hidden_NTD.float()
        if self._pooling == "cls":
            pooled_ND = hidden_NTD[:, 0]
        else:
            weights_NT1 = mask_NT[:, :, None].to(hidden_NTD.dtype)
            pooled_ND = (hidden_NTD * weights_NT1).sum(1) / weights_NT1.sum(1).clamp(min=1e-9)
        return torch.nn.functional.normalize(pooled_ND, dim=1)


def untuned(model: torch.nn.Module, texts: Texts) -> list[torch.Tensor]:
    """Return what the base, without its adapter, makes of texts; no gradients."""
    plain = getattr(model, "module", model)
    was_training = plain.training
    plain.eval()
    try:
        with torch.no_grad(), plain.encoder.disable_adapter():
            vectors: list[torch.Tensor] = plain(texts)
    finally:
        plain.train(was_training)
    return vectors
