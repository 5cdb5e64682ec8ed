"""What a kind of training adds to the one loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from steelyard.core.training import TrainingRow
from steelyard.core.tuning import BaseModel, TokenAccount

if TYPE_CHECKING:
    import torch

Batch = Mapping[str, Any]  # tensors by name; what is no tensor stays where it is


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows made into tokenised examples. `lengths` are what each costs, in tokens as the model
    sees them, padding apart. `notes` are sentences for whoever reads the plan."""

    examples: Sequence[Any]
    lengths: Sequence[int]
    account: TokenAccount
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sets:
    """What is learnt from, what is measured on, and what shows a loss elsewhere; None: nothing."""

    train: Prepared
    eval: Prepared | None = None
    guard: Prepared | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """A model's size, told before its weights are loaded: for the plan's memory and time."""

    num_parameters: int
    num_trainable: int
    hidden: int
    layers: int


class Task(Protocol):
    """One kind of training. Nothing of it imports torch before `model` is called; the rows that
    are learnt from are prepared first.

    `metric` is the one of `evaluate`'s values that tells the best weights; higher is better.
    """

    metric: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the names of the head's outputs, known once rows are prepared; (): none."""

    def base(self) -> BaseModel:
        """Return what is trained on, by content; no weights are loaded."""

    def shape(self) -> Shape:
        """Return the model's size, read from its files' heads."""

    def prepare(self, rows: Sequence[TrainingRow], *, training: bool) -> Prepared:
        """Tokenise rows, every token accounted for; not `training`: for `evaluate`."""

    def model(self) -> "torch.nn.Module":
        """Load the base and make trainable what will be trained; torch's seed is set."""

    def head(self, name: str) -> bool:
        """Tell whether a parameter belongs to the new head, which learns at `head_lr`."""

    def collate(self, examples: Sequence[Any]) -> Batch:
        """Return one padded batch."""

    def weight(self, batch: Batch) -> float:
        """Return how many targets a batch's loss is the sum of."""

    def loss(self, model: "torch.nn.Module", batch: Batch) -> "torch.Tensor":
        """Return the loss summed over the batch's targets, a scalar.

        `model` may be wrapped (DDP): call it, once a batch, rather than its parts.
        """

    def evaluate(self, model: "torch.nn.Module", examples: Sequence[Any]) -> Mapping[str, float]:
        """Return measures on examples; the model is in eval mode and gradients are off."""

    def save(self, model: "torch.nn.Module", folder: Path) -> Mapping[str, Any]:
        """Write weights as an artefact into a folder that is there; return binding settings."""
