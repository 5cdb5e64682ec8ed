"""Kind `classifier`: texts told apart by labels, intents for example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.core.errors import InputError
from steelyard.core.training import Labelled, TrainingRow
from steelyard.core.tuning import BaseModel, TokenAccount
from steelyard.tune.encoder import SCORES, Encoder, Head, masks, padded
from steelyard.tune.recipe import Recipe
from steelyard.tune.task import Batch, Prepared, Shape
from steelyard.tune.tokens import Ids, Texts, added

if TYPE_CHECKING:
    import torch

_TOLD = 64  # texts at once, when measuring


@dataclass(frozen=True, slots=True)
class Text:
    ids: Ids
    label: int


class ClassifierTask:
    """A softmax over labels; those of the training rows unless the recipe lists them."""

    metric = "accuracy"

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._labels = recipe.classifier.labels
        self._encoder = Encoder(recipe, Head(SCORES, len(self._labels), self._labels))
        self._texts = Texts(self._encoder.path)

    @property
    def labels(self) -> tuple[str, ...]:
        return self._labels

    def base(self) -> BaseModel:
        return self._encoder.identity

    def shape(self) -> Shape:
        return self._encoder.shape()

    def prepare(self, rows: Sequence[TrainingRow], *, training: bool) -> Prepared:
        given = [row.example for row in rows if isinstance(row.example, Labelled)]
        if training and not self._recipe.classifier.labels:
            self._labels = tuple(sorted({one.label for one in given}))
            self._encoder.head = Head(SCORES, len(self._labels), self._labels)
        self._check(given)
        place = {label: n for n, label in enumerate(self._labels)}
        cuts = self._texts.cut([one.text for one in given], limit=self._recipe.max_tokens)
        accounts = [
            TokenAccount(
                kept=cut.kept,
                truncated=cut.cut,
                targets_kept=cut.kept,
                targets_lost=cut.cut,
                rows_kept=1,
                rows_truncated=int(cut.cut > 0),
            )
            for cut in cuts
        ]
        examples = [Text(cut.ids, place[one.label]) for cut, one in zip(cuts, given, strict=True)]
        return Prepared(examples, [len(one.ids) for one in examples], added(accounts))

    def model(self) -> "torch.nn.Module":
        return self._encoder.load()

    def head(self, name: str) -> bool:
        return self._encoder.in_head(name)

    def collate(self, examples: Sequence[Any]) -> Batch:
        import torch

        ids = [one.ids for one in examples]
        return {
            "inputs": {"input_ids": padded(ids), "attention_mask": masks(ids)},
            "labels": torch.tensor([one.label for one in examples]),
        }

    def weight(self, batch: Batch) -> float:
        return float(len(batch["labels"]))

    def loss(self, model: "torch.nn.Module", batch: Batch) -> "torch.Tensor":
        from torch.nn.functional import cross_entropy

        logits = model(**batch["inputs"]).logits.float()
        return cross_entropy(logits, batch["labels"], reduction="sum")

    def evaluate(self, model: "torch.nn.Module", examples: Sequence[Any]) -> Mapping[str, float]:
        """Return accuracy, and F1 averaged over the labels that occur."""
        device = next(model.parameters()).device
        told: list[int] = []
        for start in range(0, len(examples), _TOLD):
            batch = self.collate(examples[start : start + _TOLD])
            inputs = {key: value.to(device) for key, value in batch["inputs"].items()}
            told += model(**inputs).logits.argmax(dim=1).tolist()
        gold = [one.label for one in examples]
        right = [one == other for one, other in zip(told, gold, strict=True)]
        scores = [_f1(label, told, gold) for label in sorted(set(gold))]
        return {"accuracy": float(np.mean(right)), "macro_F1": float(np.mean(scores))}

    def save(self, model: "torch.nn.Module", folder: Path) -> Mapping[str, Any]:
        self._encoder.save(model, folder)
        return {}

    def _check(self, given: Sequence[Labelled]) -> None:
        if len(self._labels) < 2:
            raise InputError(
                f"a classifier needs two labels or more, and there is {len(self._labels)}; add "
                "rows of another label"
            )
        unknown = sorted({one.label for one in given} - set(self._labels))
        if unknown:
            raise InputError(
                f"label {unknown[0]!r} ({len(unknown)} such) is none of the {len(self._labels)} "
                "that are trained; add rows of it to data.train, or to classifier.labels"
            )


def _f1(label: int, told: Sequence[int], gold: Sequence[int]) -> float:
    both = sum(t == g == label for t, g in zip(told, gold, strict=True))
    return 2 * both / (told.count(label) + gold.count(label))
