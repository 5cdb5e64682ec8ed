"""A tiny cross-encoder with random weights, and adapters to it as training leaves them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from steelyard.core.tuning import Binding, TuneKind
from steelyard.flows.registry import Registry
from steelyard.infra.bert.config import read_card
from steelyard.infra.bert.weights import expected_shapes
from steelyard.infra.binding import base_model, write_binding
from steelyard.settings import option_value
from steelyard.store import DATABASE, Store

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *".,:!?", *(f"##{c}" for c in LETTERS)]
HIDDEN = 32
CONFIG = {
    "model_type": "bert",
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": len(WORDS),
    "max_position_embeddings": 64,
}
TARGET = "bert.encoder.layer.0.attention.self.query"


def write_base(path: Path, *, seed: int = 7) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(CONFIG))
    vocab = {word: n for n, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(path / "tokenizer.json"))
    rng = np.random.default_rng(seed)
    shapes = expected_shapes(read_card(path).architecture) | {
        "pooler.dense.weight": (HIDDEN, HIDDEN),
        "pooler.dense.bias": (HIDDEN,),
        "classifier.weight": (1, HIDDEN),
        "classifier.bias": (1,),
    }
    tensors = {}
    for name, shape in shapes.items():
        place = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        tensors[name] = (place + rng.normal(0, 0.3, shape)).astype(np.float32)
    save_file(tensors, path / "model.safetensors")
    return path


def write_adapter(folder: Path, trained_on: Path, *, seed: int = 1, **told: object) -> Path:
    """Write what a training run of a reranker leaves behind."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    lora = {
        f"base_model.model.{TARGET}.lora_{side}.weight": rng.normal(0, 0.3, shape).astype(
            np.float32
        )
        for side, shape in (("A", (2, HIDDEN)), ("B", (HIDDEN, 2)))
    }
    save_file(lora, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["query"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    model = base_model(trained_on, name=str(trained_on))
    binding = Binding(TuneKind.RERANKER, model, "lora", 48, run=f"run-{seed}", licence="MIT")
    write_binding(folder, replace(binding, **told))  # type: ignore[arg-type]
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_base(tmp_path / "base")


MakeAdapter = Callable[..., Path]


@pytest.fixture
def make_adapter(tmp_path: Path, base: Path) -> MakeAdapter:
    def make(name: str = "artefact", **told: object) -> Path:
        return write_adapter(tmp_path / name, base, **told)  # type: ignore[arg-type]

    return make


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    home = tmp_path / "home"
    with Store.open(home / DATABASE) as store:
        yield Registry(home, store, option_value=option_value)
