"""What a model directory says about its encoder: architecture, pooling, length, prompts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.core.errors import SetupError

ROBERTA_LIKE = ("roberta", "xlm-roberta", "camembert")
SUPPORTED = ("bert", *ROBERTA_LIKE, "distilbert")
POOLINGS = ("mean", "cls")

# `hidden_act` of config.json -> how the graph computes it.
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """The numbers of a BERT-family encoder.

    `position_offset` is the row of the first token in the position table: 0, except in
    RoBERTa-like models, where positions start after the padding id. `max_tokens` counts
    special tokens.
    """

    model_type: str
    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    activation: str
    epsilon: float
    positions: int
    position_offset: int

    @property
    def max_tokens(self) -> int:
        return self.positions - self.position_offset


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model directory's word on itself; `max_tokens` is its author's limit, or the table's.

    `prompts` maps `query` and `passage` (or `document`) to prefixes.
    """

    architecture: Architecture
    pooling: str
    max_tokens: int
    prompts: Mapping[str, str] = field(default_factory=dict)


def read_card(path: Path) -> ModelCard:
    """Read a model directory's configuration files.

    Raises:
        SetupError: a file is missing or damaged, or the model is of a kind that is not built.
    """
    architecture = _architecture(read_json(path / "config.json"), place=path)
    sentence = read_json(path / "sentence_bert_config.json", missing_ok=True)
    prompts = read_json(path / "config_sentence_transformers.json", missing_ok=True).get("prompts")
    wanted = sentence.get("max_seq_length") or architecture.max_tokens
    return ModelCard(
        architecture=architecture,
        pooling=_pooling(path),
        max_tokens=min(int(wanted), architecture.max_tokens),
        prompts={str(k): str(v) for k, v in (prompts or {}).items()},
    )


def read_json(path: Path, *, missing_ok: bool = False) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        SetupError: the file is missing or is not a JSON object.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        if missing_ok:
            return {}
        raise SetupError(f"{str(path)!r} is missing; download the model again") from None
    except (OSError, ValueError) as error:
        raise SetupError(
            f"{str(path)!r} cannot be read ({error}); download the model again"
        ) from error
    if not isinstance(content, dict):
        raise SetupError(f"{str(path)!r} is not a JSON object; download the model again")
    return content


def _architecture(config: Mapping[str, Any], *, place: Path) -> Architecture:
    model_type = config.get("model_type")
    if model_type not in SUPPORTED:
        raise SetupError(
            f"model_type {model_type!r} in {str(place / 'config.json')!r} cannot be built; "
            f"choose a model of type {', '.join(SUPPORTED)}"
        )
    try:
        made = _distilbert(config) if model_type == "distilbert" else _bert(config)
    except (KeyError, TypeError, ValueError) as error:
        raise SetupError(
            f"{str(place / 'config.json')!r} lacks or garbles {error}; download the model again"
        ) from error
    if made.hidden < 1 or made.heads < 1 or made.hidden % made.heads:
        raise SetupError(
            f"hidden size {made.hidden} in {str(place / 'config.json')!r} is not a multiple of "
            f"{made.heads} heads; download the model again"
        )
    return made


def _bert(config: Mapping[str, Any]) -> Architecture:
    model_type = config["model_type"]
    positions = config.get("position_embedding_type", "absolute")
    if positions != "absolute":
        raise ValueError(f"position_embedding_type {positions!r} (only 'absolute' is built)")
    # transformers: create_position_ids_from_input_ids counts from padding_idx + 1.
    offset = int(config.get("pad_token_id", 1)) + 1 if model_type in ROBERTA_LIKE else 0
    return Architecture(
        model_type=model_type,
        hidden=int(config["hidden_size"]),
        layers=int(config["num_hidden_layers"]),
        heads=int(config["num_attention_heads"]),
        intermediate=int(config["intermediate_size"]),
        vocabulary=int(config["vocab_size"]),
        activation=_activation(config.get("hidden_act", "gelu")),
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        positions=int(config["max_position_embeddings"]),
        position_offset=offset,
    )


def _distilbert(config: Mapping[str, Any]) -> Architecture:
    return Architecture(
        model_type="distilbert",
        hidden=int(config["dim"]),
        layers=int(config["n_layers"]),
        heads=int(config["n_heads"]),
        intermediate=int(config["hidden_dim"]),
        vocabulary=int(config["vocab_size"]),
        activation=_activation(config.get("activation", "gelu")),
        epsilon=1e-12,  # transformers: fixed in modeling_distilbert
        positions=int(config["max_position_embeddings"]),
        position_offset=0,
    )


def _activation(name: str) -> str:
    if name not in _ACTIVATIONS:
        raise ValueError(f"activation {name!r} (built: {', '.join(_ACTIVATIONS)})")
    return _ACTIVATIONS[name]


def _pooling(path: Path) -> str:
    """Return `mean` or `cls`; without modules.json sentence-transformers' default, the mean."""
    modules_path = path / "modules.json"
    if not modules_path.is_file():
        return "mean"
    try:
        modules = json.loads(modules_path.read_bytes())
        kinds = [(str(m["type"]).rsplit(".", 1)[-1], str(m["path"])) for m in modules]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"{str(modules_path)!r} cannot be read ({error}); download the model again"
        ) from error
    unknown = [kind for kind, _ in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
    if unknown:
        raise SetupError(
            f"module {unknown[0]!r} of {str(modules_path)!r} cannot be built; "
            "choose a model of Transformer, Pooling and Normalize modules"
        )
    for kind, folder in kinds:
        if kind == "Pooling":
            return _pooling_mode(path / folder / "config.json")
    return "mean"


def _pooling_mode(path: Path) -> str:
    config = read_json(path)
    if "pooling_mode" in config:  # sentence-transformers >= 5.3 writes one word
        modes = [str(config["pooling_mode"])]
    else:
        modes = [
            key.removeprefix("pooling_mode_")
            for key, on in config.items()
            if key.startswith("pooling_mode_") and on is True
        ]
    named = {"mean_tokens": "mean", "cls_token": "cls"}
    pooling = "+".join(named.get(mode, mode) for mode in modes)
    if pooling not in POOLINGS:
        raise SetupError(
            f"pooling {pooling or None!r} in {str(path)!r} cannot be built; "
            f"choose a model with {' or '.join(POOLINGS)} pooling"
        )
    return pooling
