"""Token ids from ingestion to reranking: each passage is tokenised once, when it is embedded."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from steelyard.app import App, open_app
from steelyard.core.ranking import RerankPassage
from steelyard.infra.bert import BertTokenizer
from steelyard.infra.bert.config import read_card
from steelyard.infra.bert.weights import expected_shapes
from steelyard.rerank import RerankOptions
from steelyard.rerank.cross_encoder import CrossEncoder

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *".,:!?#", *(f"##{c}" for c in LETTERS)]
CONFIG = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": len(WORDS),
    "max_position_embeddings": 512,
}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny model that can embed and, having a head, rerank."""
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(CONFIG))
    tokenizer = Tokenizer(models.WordPiece({w: n for n, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(path / "tokenizer.json"))
    rng = np.random.default_rng(1)
    shapes = expected_shapes(read_card(path).architecture)
    shapes |= {"classifier.weight": (1, 32), "classifier.bias": (1,)}
    tensors = {
        name: rng.normal("LayerNorm.weight" in name, 0.3, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    save_file(tensors, path / "model.safetensors")
    return path


@pytest.fixture
def app(tmp_path: Path, model: Path) -> Iterator[App]:
    opened = open_app(tmp_path / "home", flags={"embed.model": str(model)})
    yield opened
    opened.close()


@pytest.fixture
def tokenised(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that a model's input was made of, in order."""
    seen: list[str] = []
    cut = BertTokenizer._cut

    def counted(self: BertTokenizer, text: str, room: int):
        seen.append(text)
        return cut(self, text, room)

    monkeypatch.setattr(BertTokenizer, "_cut", counted)
    return seen


def write_pages(folder: Path, count: int) -> Path:
    folder.mkdir()
    for page in range(count):
        words = " ".join(f"w{page} x{n}" for n in range(20))
        (folder / f"page{page}.md").write_text(f"# page {page}\n\n{words}\n")
    return folder


def passages_of(app: App, identity: str) -> list[RerankPassage]:
    chunk_ids = app.store.live_chunk_ids()[1].tolist()
    ids = app.store.token_ids(chunk_ids, tokenizer=identity)
    texts = app.store.rows(chunk_ids).texts
    return [
        RerankPassage(chunk_id, text, ids.get(chunk_id))
        for chunk_id, text in zip(chunk_ids, texts, strict=True)
    ]


def test_passages_are_tokenised_once_at_ingestion_and_reranked_from_kept_ids(
    app: App, model: Path, tmp_path: Path, tokenised: list[str]
) -> None:
    assert app.embedder.dim == 32  # built and checked now
    tokenised.clear()
    asyncio.run(app.ingest_once([write_pages(tmp_path / "pages", 5)]))
    passages = passages_of(app, app.embedder.tokenizer.identity)
    assert len(passages) == 5
    assert all(passage.token_ids is not None for passage in passages)
    assert sorted(tokenised) == sorted(passage.text for passage in passages)

    reranker = CrossEncoder(RerankOptions(model=str(model)))
    try:
        assert reranker.tokenizer_identity == app.embedder.tokenizer.identity
        tokenised.clear()
        kept = asyncio.run(reranker.scores("w3 x7", passages, budget_s=10))
        assert tokenised == ["w3 x7"]
        texts = [RerankPassage(one.chunk_id, one.text) for one in passages]
        assert asyncio.run(reranker.scores("w3 x7", texts, budget_s=10)) == kept
    finally:
        reranker.close()


def test_long_documents_keep_the_ids_of_every_slice(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steelyard.flows.embedding.SLICE_CHUNKS", 2)
    asyncio.run(app.ingest_once([write_pages(tmp_path / "pages", 7)]))
    passages = passages_of(app, app.embedder.tokenizer.identity)
    assert len(passages) == 7
    tokenizer = app.embedder.tokenizer
    for passage in passages:
        assert passage.token_ids is not None
        assert passage.token_ids.tolist() == tokenizer.own_ids(passage.text, limit=512).tolist()


def test_reembedding_keeps_ids_too(app: App, tmp_path: Path, model: Path) -> None:
    asyncio.run(app.ingest_once([write_pages(tmp_path / "pages", 3)]))
    app.close()
    flags = {"embed.model": str(model), "embed.max_tokens": 300}
    other = open_app(tmp_path / "home", flags=flags)
    try:
        with other.store._database.writing() as connection:
            connection.execute("DELETE FROM tokens")
        assert other.reembed() == 3
        passages = passages_of(other, other.embedder.tokenizer.identity)
        assert [passage.token_ids is None for passage in passages] == [False] * 3
    finally:
        other.close()
