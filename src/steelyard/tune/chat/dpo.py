"""Direct preference optimisation: which of two answers is better, learnt without a reward model."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steelyard.tune.chat.encode import EncodedPair
from steelyard.tune.chat.packing import IGNORED, Pack, collate_packs

if TYPE_CHECKING:
    import torch


def collate_pairs(pairs: Sequence[EncodedPair], *, pad_id: int) -> dict[str, "torch.Tensor"]:
    """Return one padded batch of 2 B rows: all preferred answers, then the rejected ones."""
    ways = [one.preferred for one in pairs] + [one.rejected for one in pairs]
    return collate_packs([Pack((one,)) for one in ways], pad_id=pad_id)


def log_probabilities(logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
    """Return (N,): the log-probability of each row's targets, summed."""
    import torch

    wanted = labels[:, 1:]
    learnt = wanted != IGNORED
    steps = torch.log_softmax(logits[:, :-1].float(), dim=-1)
    chosen = steps.gather(-1, wanted.masked_fill(~learnt, 0)[..., None])[..., 0]
    return (chosen * learnt).sum(-1)


def preference_loss(
    policy: "torch.Tensor", reference: "torch.Tensor", *, beta: float
) -> "torch.Tensor":
    """Return (B,) losses from (2 B,) log-probabilities, laid out as `collate_pairs` does.

    Source: Rafailov et al. 2023, equation 7.
    """
    from torch.nn.functional import logsigmoid

    return -logsigmoid(beta * margins(policy, reference))


def margins(policy: "torch.Tensor", reference: "torch.Tensor") -> "torch.Tensor":
    """Return (B,): by how much more the policy than the reference prefers what is preferred."""
    preferred, rejected = (policy - reference).chunk(2)
    return preferred - rejected


def reference_log_probabilities(model: Any, batch: Mapping[str, Any]) -> "torch.Tensor":
    """Return (2 B,) log-probabilities of the base, which is the model without its adapter."""
    import torch

    inputs = {key: value for key, value in batch.items() if key != "labels"}
    training = model.training
    model.eval()  # the reference is a fixed model: chance has no part in it
    try:
        with torch.no_grad(), model.disable_adapter():
            return log_probabilities(model(**inputs).logits, batch["labels"])
    finally:
        model.train(training)
