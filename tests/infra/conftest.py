"""A tiny random BERT, written to disk as models are published."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 4, 64, 40
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz0123456789.,?$%|-:()"]
WORDS += ["##" + letter for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
WORDS += ["the", "is", "of", "and", "password", "reset", "how", "do"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "cache"
    monkeypatch.setenv("STEELYARD_CACHE", str(cache))
    return cache


@pytest.fixture
def tiny_tensors() -> dict[str, np.ndarray]:
    """Random tensors under BertModel's names."""
    rng = np.random.default_rng(7)

    def draw(*shape: int, scale: float = 0.3) -> np.ndarray:
        return rng.normal(0, scale, shape).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": draw(len(WORDS), HIDDEN),
        "embeddings.position_embeddings.weight": draw(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": draw(2, HIDDEN),
    }
    norms = ["embeddings.LayerNorm"]
    for n in range(LAYERS):
        layer = f"encoder.layer.{n}"
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        for name, shape in (
            ("attention.self.query", (HIDDEN, HIDDEN)),
            ("attention.self.key", (HIDDEN, HIDDEN)),
            ("attention.self.value", (HIDDEN, HIDDEN)),
            ("attention.output.dense", (HIDDEN, HIDDEN)),
            ("intermediate.dense", (INNER, HIDDEN)),
            ("output.dense", (HIDDEN, INNER)),
        ):
            tensors[f"{layer}.{name}.weight"] = draw(*shape)
            tensors[f"{layer}.{name}.bias"] = draw(shape[0], scale=0.1)
    for norm in norms:
        tensors[f"{norm}.weight"] = 1 + draw(HIDDEN, scale=0.1)
        tensors[f"{norm}.bias"] = draw(HIDDEN, scale=0.1)
    return tensors


def tiny_config() -> dict[str, object]:
    return {
        "model_type": "bert",
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "vocab_size": len(WORDS),
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS,
        "pad_token_id": 0,
        "type_vocab_size": 2,
    }


def tiny_tokenizer() -> Tokenizer:
    """Return a WordPiece tokenizer that pads and truncates, as shipped ones do."""
    vocab = {word: n for n, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_padding(length=16)
    tokenizer.enable_truncation(16)
    return tokenizer


MakeModel = Callable[..., Path]


@pytest.fixture
def make_model(tmp_path: Path, tiny_tensors: dict[str, np.ndarray]) -> MakeModel:
    """Return a writer of model directories; keyword `config` overrides entries of config.json."""

    def make(
        name: str = "model",
        *,
        tensors: dict[str, np.ndarray] | None = None,
        config: dict[str, object] | None = None,
        whole_config: dict[str, object] | None = None,
        extra: dict[str, object] | None = None,
    ) -> Path:
        path = tmp_path / name
        path.mkdir()
        save_file(tensors if tensors is not None else tiny_tensors, path / "model.safetensors")
        merged = whole_config or {**tiny_config(), **(config or {})}
        (path / "config.json").write_text(json.dumps(merged))
        tiny_tokenizer().save(str(path / "tokenizer.json"))
        for file, content in (extra or {}).items():
            (path / file).parent.mkdir(exist_ok=True)
            (path / file).write_text(json.dumps(content))
        return path

    return make
