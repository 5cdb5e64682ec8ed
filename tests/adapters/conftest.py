"""A base, an adapter on it, and its probes: made once for all tests of deploying."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from tests.tiny_llm import make_tiny_llm

from steelyard.adapters.probing import make_probes

TARGETS = ("down_proj", "q_proj", "v_proj")


def make_adapter(base: Path, folder: Path, *, seed: int = 1, rank: int = 4, scale: float = 0.6):
    """Write a random LoRA that moves its base's outputs by `scale`."""
    rng = np.random.default_rng(seed)
    tensors = {}
    with safe_open(base / "model.safetensors", framework="numpy") as weights:
        for key in weights.keys():  # noqa: SIM118
            module = key.removesuffix(".weight")
            if module.rpartition(".")[2] not in TARGETS:
                continue
            out, into = weights.get_slice(key).get_shape()
            stem = f"base_model.model.{module}"
            tensors[f"{stem}.lora_A.weight"] = normal(rng, (rank, into), 1 / into**0.5)
            tensors[f"{stem}.lora_B.weight"] = normal(rng, (out, rank), scale)
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": rank,
        "target_modules": list(TARGETS), "base_model_name_or_path": str(base),
        "inference_mode": True,
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def normal(rng, shape, scale):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A base, an adapter on it, and its probes."""
    folder = tmp_path_factory.mktemp("deploy")
    base = make_tiny_llm(folder / "base", initializer_range=0.3)
    adapter = make_adapter(base, folder / "adapter")
    return base, adapter, make_probes(base, adapter)
