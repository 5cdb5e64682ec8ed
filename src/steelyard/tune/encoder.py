"""BERT-family bases for training: opened without torch, loaded with it, saved as artefacts."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from steelyard.core.errors import InputError
from steelyard.core.tuning import BaseModel
from steelyard.infra.bert import ModelCard, read_card
from steelyard.infra.bert.config import read_json
from steelyard.infra.binding import base_model
from steelyard.infra.models import WEIGHTS_FILE, find_model
from steelyard.tune.needs import quiet
from steelyard.tune.recipe import Recipe
from steelyard.tune.task import Shape

if TYPE_CHECKING:
    import torch

# The linear layers of an encoder's blocks, by the ends of their names.
_LINEAR: Mapping[str, tuple[str, ...]] = {
    "distilbert": ("q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"),
}
_BERT_LINEAR = (
    "query",
    "key",
    "value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
# The modules of a classification head, by the model's type.
_HEADS: Mapping[str, tuple[str, ...]] = {
    "bert": ("pooler", "classifier"),
    "distilbert": ("pre_classifier", "classifier"),
}
SPANS, SCORES, TOKENS, NONE = "spans", "scores", "tokens", "none"


@dataclass(frozen=True, slots=True)
class Head:
    """What stands on the encoder: nothing, spans (start and end of each token), scores of a text,
    or scores of each token."""

    kind: str = NONE
    outputs: int = 0
    labels: tuple[str, ...] = ()


class Encoder:
    """A base of the BERT family, and how a recipe trains it."""

    def __init__(self, recipe: Recipe, head: Head) -> None:
        """Open the base's files; nothing heavy.

        Raises:
            SetupError: the base is missing or of a kind that is not served.
            InputError: the recipe wants more layers or tokens than the base has.
        """
        self.recipe, self.head = recipe, head
        self.path = find_model(recipe.base)
        self.card: ModelCard = read_card(self.path)
        has = self.card.architecture
        if recipe.layers > has.layers:
            raise InputError(
                f"layers {recipe.layers} is more than base {recipe.base!r} has; give at most "
                f"{has.layers}"
            )
        if recipe.max_tokens > has.max_tokens:
            raise InputError(
                f"max_tokens {recipe.max_tokens} is more than base {recipe.base!r} can take; "
                f"give at most {has.max_tokens}"
            )
        self.layers = recipe.layers or has.layers

    @cached_property
    def identity(self) -> BaseModel:
        return base_model(self.path, name=Path(self.recipe.base).name)

    @property
    def head_modules(self) -> tuple[str, ...]:
        if self.head.kind == SPANS:
            return ("qa_outputs",)
        if self.head.kind == TOKENS:
            return ("classifier",)
        if self.head.kind == SCORES:
            return _HEADS.get(self.card.architecture.model_type, ("classifier",))
        return ()

    def in_head(self, name: str) -> bool:
        return any(module in name.split(".") for module in self.head_modules)

    def prompt(self, *names: str) -> str:
        """Return the base's prefix for queries or passages, "" if it has none."""
        return next((self.card.prompts[name] for name in names if name in self.card.prompts), "")

    def shape(self) -> Shape:
        """Return the size, by the weights file's head."""
        has, rank = self.card.architecture, self.recipe.lora.rank
        with safe_open(self.path / WEIGHTS_FILE, framework="np") as file:
            sizes = {name: prod(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        used = {n: size for n, size in sizes.items() if _layer(n) < self.layers}
        head = self.head.outputs * (has.hidden + 1)
        head += has.hidden * (has.hidden + 1) * (len(self.head_modules) - 1 if head else 0)
        if self.recipe.method == "full":
            trainable = sum(used.values()) + head
        else:
            block = 8 * has.hidden + 2 * (has.hidden + has.intermediate)
            trainable = rank * block * self.layers + head
        return Shape(sum(used.values()) + head, trainable, has.hidden, self.layers)

    def load(self) -> "torch.nn.Module":
        """Load the base with its head, and make trainable what the method trains."""
        import transformers

        names = {
            NONE: "AutoModel",
            SPANS: "AutoModelForQuestionAnswering",
            SCORES: "AutoModelForSequenceClassification",
            TOKENS: "AutoModelForTokenClassification",
        }
        given: dict[str, Any] = {"num_hidden_layers": self.layers}
        if self.head.kind in (SCORES, TOKENS):
            given["num_labels"] = self.head.outputs
        if self.head.kind == NONE and self.card.architecture.model_type != "distilbert":
            given["add_pooling_layer"] = False
        loader = getattr(transformers, names[self.head.kind])
        with quiet():
            model: torch.nn.Module = loader.from_pretrained(
                self.path, local_files_only=True, dtype="float32", **given
            )
            return model if self.recipe.method == "full" else self._with_lora(model)

    def save(self, model: "torch.nn.Module", folder: Path) -> None:
        """Write what was trained: a plain peft adapter, or a whole model directory."""
        if self.recipe.method != "full":
            save_adapter(model, folder, base=self.identity.name)
            return
        for file in self.path.rglob("*"):
            if file.suffix in (".json", ".txt") and file.is_file():
                target = folder / file.relative_to(self.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        model.save_pretrained(folder)
        config = read_json(folder / "config.json")
        config.pop("_name_or_path", None)
        if self.head.labels:
            config["id2label"] = dict(enumerate(self.head.labels))
            config["label2id"] = {label: n for n, label in enumerate(self.head.labels)}
        (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")

    def _with_lora(self, model: "torch.nn.Module") -> "torch.nn.Module":
        from peft import LoraConfig, get_peft_model

        lora = self.recipe.lora
        known = _LINEAR.get(self.card.architecture.model_type, _BERT_LINEAR)
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=list(lora.targets or known),
            modules_to_save=list(self.head_modules) or None,
        )
        try:
            made: torch.nn.Module = get_peft_model(model, config)
        except ValueError as error:
            raise InputError(
                f"lora.targets {list(lora.targets or known)} do not fit base "
                f"{self.recipe.base!r}: {error}"
            ) from error
        return made


def save_adapter(model: "torch.nn.Module", folder: Path, *, base: str) -> None:
    """Write a peft model's adapter: its weights, and a configuration that names no path."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    config: Any = model.peft_config["default"]
    named, inference = config.base_model_name_or_path, config.inference_mode
    config.base_model_name_or_path, config.inference_mode = base, True
    try:
        config.save_pretrained(folder)
    finally:
        config.base_model_name_or_path, config.inference_mode = named, inference
    state = get_peft_model_state_dict(model)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def padded(rows: "list[Any]", *, value: int = 0) -> "torch.Tensor":
    """Return int rows as one (N, T) tensor, filled up with `value`."""
    import torch

    width = max(len(row) for row in rows)
    out = torch.full((len(rows), width), value, dtype=torch.long)
    for n, row in enumerate(rows):
        out[n, : len(row)] = torch.as_tensor(row)
    return out


def masks(rows: "list[Any]") -> "torch.Tensor":
    """Return where padded rows have tokens, (N, T), 1 or 0."""
    import torch

    lengths = torch.tensor([len(row) for row in rows])
    width = int(lengths.max())
    return (torch.arange(width)[None, :] < lengths[:, None]).long()


def _layer(name: str) -> int:
    """Return the number of the block that a tensor is of, -1 for none."""
    parts = name.split(".")
    at = next((n for n, part in enumerate(parts) if part in ("layer", "layers", "h")), None)
    return int(parts[at + 1]) if at is not None and parts[at + 1].isdigit() else -1
