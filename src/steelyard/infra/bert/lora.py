"""LoRA adapters, as peft saves them, merged into an encoder's weights."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import SetupError
from steelyard.infra.bert.config import read_json
from steelyard.infra.bert.weights import Weights, canonical_name, read_tensors

_LORA_KEY = re.compile(r"^(?:base_model\.model\.)?(.+)\.lora_([AB])(?:\.default)?\.weight$")


def merge_adapter(weights: Weights, adapter: Path, *, beside: Collection[str] = ()) -> None:
    """Add (alpha / r) B A to each adapted weight, in place.

    Whole tensors that the adapter brings along (`modules_to_save`) are taken over if `beside`
    has their canonical names, and refused otherwise.

    Raises:
        SetupError: the adapter is not plain LoRA, or does not fit these weights.
    """
    lora = _read_lora(adapter / "adapter_config.json")
    pairs: dict[str, dict[str, NDArray[np.float32]]] = {}
    num_whole = 0
    for key, matrix in read_tensors(adapter / "adapter_model.safetensors").items():
        match = _LORA_KEY.match(key)
        whole = canonical_name(key.removeprefix("base_model.model."))
        if match is None and whole in beside:
            weights[whole] = matrix
            num_whole += 1
            continue
        if match is None:
            raise SetupError(
                f"tensor {key!r} of adapter {str(adapter)!r} is not a LoRA matrix; "
                "train the adapter with plain LoRA (no DoRA, no modules_to_save)"
            )
        pairs.setdefault(match[1], {})[match[2]] = matrix
    if not pairs and not num_whole:
        raise SetupError(f"adapter {str(adapter)!r} holds no LoRA matrix; train it again")
    for module, pair in pairs.items():
        if not lora.is_target(module):
            raise SetupError(
                f"adapter {str(adapter)!r} holds matrices for {module!r}, which its "
                f"target_modules {lora.targets!r} do not name; train it again"
            )
        _merge_pair(weights, adapter=adapter, module=module, pair=pair, lora=lora)


def read_whole(adapter: Path) -> Weights:
    """Return the tensors that an adapter brings along whole (a head), by canonical name.

    Raises:
        SetupError: the adapter is missing or damaged.
    """
    tensors = read_tensors(adapter / "adapter_model.safetensors")
    return {
        canonical_name(key.removeprefix("base_model.model.")): tensor
        for key, tensor in tensors.items()
        if not _LORA_KEY.match(key)
    }


@dataclass(frozen=True, slots=True)
class _Lora:
    """The settings of a peft adapter that decide how strongly each matrix pair counts."""

    rank: int
    alpha: float
    rank_stabilised: bool
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    targets: str | tuple[str, ...]

    def rank_of(self, module: str) -> float:
        return _by_pattern(self.rank_pattern, module, self.rank)

    def scale(self, module: str) -> float:
        rank = self.rank_of(module)
        alpha = _by_pattern(self.alpha_pattern, module, self.alpha)
        return alpha / (math.sqrt(rank) if self.rank_stabilised else rank)

    def is_target(self, module: str) -> bool:
        """Tell whether `module` is adapted: a full-match pattern, or name endings (as peft)."""
        if isinstance(self.targets, str):
            everything = self.targets == "all-linear"
            return everything or re.fullmatch(self.targets, module) is not None
        return any(module == name or module.endswith(f".{name}") for name in self.targets)


def _by_pattern(patterns: Mapping[str, Any], module: str, default: float) -> float:
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return float(value)
    return default


def _merge_pair(
    weights: Weights,
    *,
    adapter: Path,
    module: str,
    pair: Mapping[str, NDArray[np.float32]],
    lora: _Lora,
) -> None:
    name = canonical_name(f"{module}.weight")
    down, up = pair.get("A"), pair.get("B")
    if name not in weights or down is None or up is None:
        raise SetupError(
            f"adapter {str(adapter)!r} does not fit this model: module {module!r} is "
            f"{'unknown to it' if name not in weights else 'half there (lora_A or lora_B)'}; "
            "use the base model that it was trained on"
        )
    base = weights[name]
    # A is (r, in) and B (out, r), as torch's linear layers are (out, in).
    rank = lora.rank_of(module)
    if rank < 1 or (up.shape, down.shape) != ((base.shape[0], rank), (rank, base.shape[1])):
        raise SetupError(
            f"adapter {str(adapter)!r} does not fit this model: {module!r} is {base.shape}, rank "
            f"{rank:g}, but lora_B is {up.shape} and lora_A {down.shape}; use the base model that "
            "it was trained on"
        )
    weights[name] = np.ascontiguousarray(base + np.float32(lora.scale(module)) * (up @ down))


def _read_lora(path: Path) -> _Lora:
    config = read_json(path)
    refused = {
        "peft_type": config.get("peft_type", "LORA") != "LORA",
        "use_dora": bool(config.get("use_dora")),
        "fan_in_fan_out": bool(config.get("fan_in_fan_out")),
        "bias": config.get("bias", "none") != "none",
    }
    wrong = [key for key, bad in refused.items() if bad]
    if wrong:
        raise SetupError(
            f"{str(path)!r} has {wrong[0]} = {config[wrong[0]]!r}, which cannot be merged; "
            "train the adapter with plain LoRA"
        )
    try:
        for pattern in _patterns(config):
            re.compile(pattern)
        targets = config["target_modules"]
        return _Lora(
            rank=int(config["r"]),
            alpha=float(config["lora_alpha"]),
            rank_stabilised=bool(config.get("use_rslora")),
            rank_pattern=dict(config.get("rank_pattern") or {}),
            alpha_pattern=dict(config.get("alpha_pattern") or {}),
            targets=targets if isinstance(targets, str) else tuple(targets),
        )
    except (KeyError, TypeError, ValueError, AttributeError, re.error) as error:
        raise SetupError(f"{str(path)!r} lacks or garbles {error}; train it again") from error


def _patterns(config: Mapping[str, Any]) -> list[str]:
    targets = config["target_modules"]
    patterns = [targets] if isinstance(targets, str) else []
    return [*patterns, *(config.get("rank_pattern") or {}), *(config.get("alpha_pattern") or {})]


def adapter_acts(adapter: Path) -> bool:
    """Tell whether an adapter changes anything: some B A is not zero, or it has no LoRA matrix.

    Raises:
        SetupError: its tensors cannot be read.
    """
    pairs: dict[str, dict[str, NDArray[np.float32]]] = {}
    for key, matrix in read_tensors(adapter / "adapter_model.safetensors").items():
        if match := _LORA_KEY.match(key):
            pairs.setdefault(match[1], {})[match[2]] = matrix
    whole = [pair for pair in pairs.values() if len(pair) == 2]
    return not whole or any(bool(np.any(pair["B"] @ pair["A"])) for pair in whole)
