"""Weights of a BERT-family encoder under one set of names.

The names are those of `transformers`' BertModel; other families are renamed to them.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from steelyard.core.errors import SetupError
from steelyard.infra.bert.config import Architecture

Weights = dict[str, NDArray[np.float32]]

WORDS = "embeddings.word_embeddings.weight"
POSITIONS = "embeddings.position_embeddings.weight"
TYPES = "embeddings.token_type_embeddings.weight"

_PREFIX = re.compile(r"^(bert|roberta|distilbert)\.")
_DISTILBERT = (
    ("transformer.layer.", "encoder.layer."),
    (".attention.q_lin.", ".attention.self.query."),
    (".attention.k_lin.", ".attention.self.key."),
    (".attention.v_lin.", ".attention.self.value."),
    (".attention.out_lin.", ".attention.output.dense."),
    (".sa_layer_norm.", ".attention.output.LayerNorm."),
    (".ffn.lin1.", ".intermediate.dense."),
    (".ffn.lin2.", ".output.dense."),
    (".output_layer_norm.", ".output.LayerNorm."),
)
# Names written by old TensorFlow conversions.
_LEGACY = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))


def load_weights(
    path: Path, *, architecture: Architecture, beside: Collection[str] = ()
) -> Weights:
    """Return the encoder's float32 tensors by canonical name, shapes checked, and those of
    `beside` (names of a head) that are there, as they are.

    Raises:
        SetupError: the file is damaged, or a tensor is missing or has a wrong shape.
    """
    source = path / "model.safetensors"
    tensors = {canonical_name(name): array for name, array in read_tensors(source).items()}
    shapes = expected_shapes(architecture)
    if TYPES in tensors:  # DistilBERT has none
        shapes[TYPES] = (tensors[TYPES].shape[0], architecture.hidden)
    weights: Weights = {}
    for name, shape in shapes.items():
        if name not in tensors:
            raise SetupError(f"{str(source)!r} lacks tensor {name!r}; download the model again")
        if tensors[name].shape != shape:
            raise SetupError(
                f"tensor {name!r} of {str(source)!r} has shape {tensors[name].shape}, but "
                f"config.json says {shape}; download the model again"
            )
        weights[name] = tensors[name]
    return weights | {name: tensors[name] for name in beside if name in tensors}


def expected_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor that the graph needs, by canonical name."""
    hidden, inner = architecture.hidden, architecture.intermediate
    shapes: dict[str, tuple[int, ...]] = {
        WORDS: (architecture.vocabulary, hidden),
        POSITIONS: (architecture.positions, hidden),
    }
    linears = {
        "attention.self.query": (hidden, hidden),
        "attention.self.key": (hidden, hidden),
        "attention.self.value": (hidden, hidden),
        "attention.output.dense": (hidden, hidden),
        "intermediate.dense": (inner, hidden),
        "output.dense": (hidden, inner),
    }
    norms = ["embeddings.LayerNorm"]
    for n in range(architecture.layers):
        layer = f"encoder.layer.{n}"
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        for name, shape in linears.items():
            shapes[f"{layer}.{name}.weight"] = shape
            shapes[f"{layer}.{name}.bias"] = shape[:1]
    for norm in norms:
        shapes[f"{norm}.weight"] = shapes[f"{norm}.bias"] = (hidden,)
    return shapes


def canonical_name(name: str) -> str:
    """Return BertModel's name for a tensor of any family that is built."""
    name = _PREFIX.sub("", name)
    for theirs, ours in _LEGACY:
        name = name.replace(theirs, ours)
    if name.startswith("transformer.layer."):
        for theirs, ours in _DISTILBERT:
            name = name.replace(theirs, ours)
    return name


def read_tensors(path: Path) -> Weights:
    """Return all floating-point tensors of a safetensors file as float32."""
    try:
        with safe_open(path, framework="np") as file:
            names = list(file.keys())
            return {name: _tensor(file, name) for name in names if _is_float(file, name)}
    except FileNotFoundError as error:
        raise SetupError(f"{str(path)!r} is missing; download the model again") from error
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise SetupError(f"{str(path)!r} is damaged ({error}); download the model again") from error


def _is_float(file: Any, name: str) -> bool:
    return str(file.get_slice(name).get_dtype()) in ("F64", "F32", "F16", "BF16")


def _tensor(file: Any, name: str) -> NDArray[np.float32]:
    return np.ascontiguousarray(file.get_tensor(name), dtype=np.float32)
