"""Kind `llm`: a language model taught to reply (SFT), or which reply is better (DPO)."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import InputError
from steelyard.core.training import Chat, Preference, TrainingRow
from steelyard.core.tuning import BaseModel
from steelyard.tune.causal import CausalBase, first_text
from steelyard.tune.chat.dpo import (
    collate_pairs,
    log_probabilities,
    margins,
    preference_loss,
    reference_log_probabilities,
)
from steelyard.tune.chat.encode import Encoded, EncodedPair, Fitted, fit_chat, fit_preference
from steelyard.tune.chat.packing import IGNORED, Pack, collate_packs, pack
from steelyard.tune.recipe import Recipe
from steelyard.tune.task import Batch, Prepared, Shape
from steelyard.tune.tokens import added

if TYPE_CHECKING:
    import torch

_AT_ONCE = 8  # examples, when measuring


class LlmTask:
    """Next-token loss on the assistant's turns, or the preference loss on pairs of them."""

    metric = "score"

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._dpo = recipe.llm.loss == "dpo"
        if self._dpo and recipe.method == "full":
            raise InputError(
                "llm.loss: 'dpo' compares with the base, which is the model without its adapter; "
                "use method 'lora' or 'qlora'"
            )
        self._base = CausalBase(recipe)

    @property
    def labels(self) -> tuple[str, ...]:
        return ()

    def base(self) -> BaseModel:
        return self._base.identity

    def shape(self) -> Shape:
        return self._base.shape()

    def prepare(self, rows: Sequence[TrainingRow], *, training: bool) -> Prepared:
        fitted = [self._fitted(row) for row in rows]
        dropped = Counter(one.reason for one in fitted if one.reason)
        notes = [first_text(dropped)] if dropped else []
        kept: list[Any] = [one.example for one in fitted if one.example is not None]
        examples: list[Any] = kept
        if not self._dpo:
            examples, told = self._packed(kept, training=training)
            notes += told
        self._check_lengths(examples)
        lengths = [self._cost(one) for one in examples]
        return Prepared(examples, lengths, added([one.account for one in fitted]), tuple(notes))

    def model(self) -> "torch.nn.Module":
        return self._base.load()

    def head(self, name: str) -> bool:
        return False

    def collate(self, examples: Sequence[Any]) -> Batch:
        pad_id = self._base.pad_id
        if self._dpo:
            return collate_pairs(examples, pad_id=pad_id)
        return collate_packs(examples, pad_id=pad_id)

    def weight(self, batch: Batch) -> float:
        """Return the number of targets: tokens of SFT, pairs of DPO."""
        if self._dpo:
            return len(batch["labels"]) / 2
        return float((batch["labels"] != IGNORED).sum())

    def loss(self, model: "torch.nn.Module", batch: Batch) -> "torch.Tensor":
        inputs = {key: value for key, value in batch.items() if key != "labels"}
        if not self._dpo:
            return _token_loss(model(**inputs).logits, batch["labels"])
        reference = reference_log_probabilities(_plain(model), batch)
        policy = log_probabilities(model(**inputs).logits, batch["labels"])
        return preference_loss(policy, reference, beta=self._recipe.llm.beta).sum()

    def evaluate(self, model: "torch.nn.Module", examples: Sequence[Any]) -> Mapping[str, float]:
        """Return the loss and what it means: perplexity, or how often the better one wins.

        `score` is the negative loss, so that higher is better.
        """
        import torch

        device = next(model.parameters()).device
        total, targets, won = 0.0, 0.0, 0.0
        for start in range(0, len(examples), _AT_ONCE):
            batch = {
                key: value.to(device)
                for key, value in self.collate(examples[start : start + _AT_ONCE]).items()
            }
            with torch.no_grad():
                if self._dpo:
                    loss, wins = self._compared(model, batch)
                    won += wins
                else:
                    loss = float(self.loss(model, batch))
            total += loss
            targets += self.weight(batch)
        mean = total / targets
        if self._dpo:
            return {"score": -mean, "loss": mean, "preferred": won / targets}
        return {"score": -mean, "loss": mean, "perplexity": math.exp(min(mean, 700.0))}

    def save(self, model: "torch.nn.Module", folder: Path) -> Mapping[str, Any]:
        self._base.save(model, folder)
        return {"llm": asdict(self._recipe.llm)}

    def _fitted(self, row: TrainingRow) -> Fitted:
        template, limit = self._base.template, self._recipe.max_tokens
        if self._dpo and isinstance(row.example, Preference):
            return fit_preference(template, row.example, max_tokens=limit)
        if not self._dpo and isinstance(row.example, Chat):
            return fit_chat(template, row.example, max_tokens=limit)
        wanted = "preference rows" if self._dpo else "chats"
        raise InputError(
            f"llm.loss {self._recipe.llm.loss!r} learns from {wanted}, and the data has rows of "
            f"kind {row.kind.value!r}; give other data, or llm.loss: "
            f"{'sft' if self._dpo else 'dpo'}"
        )

    def _packed(
        self, rows: Sequence[Encoded], *, training: bool
    ) -> tuple[list[Pack], Sequence[str]]:
        if not (training and self._recipe.llm.packing):
            return [Pack((one,)) for one in rows], ()
        if why := self._base.unpackable():
            return [Pack((one,)) for one in rows], (f"rows are not packed: {why}",)
        packs = pack(rows, max_tokens=self._recipe.max_tokens)
        filled = sum(map(len, packs)) / (len(packs) * self._recipe.max_tokens) if packs else 0.0
        return packs, (f"{len(rows):,} rows in {len(packs):,} packs, {filled:.0%} full",)

    def _check_lengths(self, examples: Sequence[Any]) -> None:
        longest = max((len(one) for one in examples), default=0)
        limit = self._recipe.max_tokens
        assert longest <= limit, f"an example of {longest} tokens passed the limit of {limit}"

    def _cost(self, example: Any) -> int:
        if isinstance(example, EncodedPair):
            return len(example.preferred) + len(example.rejected)
        return len(example)

    def _compared(self, model: "torch.nn.Module", batch: Batch) -> tuple[float, float]:
        inputs = {key: value for key, value in batch.items() if key != "labels"}
        reference = reference_log_probabilities(_plain(model), batch)
        policy = log_probabilities(model(**inputs).logits, batch["labels"])
        loss = preference_loss(policy, reference, beta=self._recipe.llm.beta).sum()
        return float(loss), float((margins(policy, reference) > 0).sum())


def _token_loss(logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
    from torch.nn.functional import cross_entropy

    return cross_entropy(
        logits[:, :-1].flatten(0, 1).float(),
        labels[:, 1:].flatten(),
        ignore_index=IGNORED,
        reduction="sum",
    )


def _plain(model: Any) -> Any:
    """Return the peft model itself, out of what wraps it for several processes."""
    return getattr(model, "module", model)
