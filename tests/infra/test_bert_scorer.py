"""Cross-encoders: heads, pairs, segments, and what is refused."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import save_file

from steelyard.core.errors import SetupError
from steelyard.infra.bert import (
    BertTokenizer,
    Pair,
    PairTemplate,
    open_scorer,
    open_session,
    open_tokenizer,
    ready_encoder,
    ready_scorer,
    trial,
)
from steelyard.infra.bert.session import GRAPH_FILE

Tensors = dict[str, np.ndarray]
IDS = np.array([2, 30, 11, 3, 52, 7, 64, 3], np.int32)
SEGMENTS = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int32)
H = 32


def draw(*shape: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype(np.float32)


def bert_head(labels: int = 1) -> Tensors:
    return {
        "pooler.dense.weight": draw(H, H),
        "pooler.dense.bias": draw(H, seed=6),
        "classifier.weight": draw(labels, H, seed=7),
        "classifier.bias": draw(labels, seed=8),
    }


def first_row(make_model, tensors: Tensors, name: str = "twin") -> np.ndarray:
    """Return the first token's last hidden state, by the embedder's graph.

    It knows one segment, so a second vocabulary stands for the tokens of the second one.
    """
    words = tensors["embeddings.word_embeddings.weight"]
    types = tensors["embeddings.token_type_embeddings.weight"]
    both = np.concatenate([words, words + types[1] - types[0]])
    twin = tensors | {"embeddings.word_embeddings.weight": both}
    path = make_model(name, tensors=twin, config={"vocab_size": len(both)})
    built = ready_encoder(path, precision="fp32")
    ids = (IDS + len(words) * SEGMENTS).astype(np.int32)
    return open_session(built.folder / GRAPH_FILE).hidden(ids)[0]


def score(path: Path, **options: object) -> float:
    built = ready_scorer(path, **{"precision": "fp32", **options})  # type: ignore[arg-type]
    return open_scorer(built.folder / GRAPH_FILE).score(Pair(IDS, SEGMENTS))


def pooled(row: np.ndarray, head: Tensors) -> np.ndarray:
    return np.tanh(head["pooler.dense.weight"] @ row + head["pooler.dense.bias"])


def test_score_is_the_logit_over_the_pooled_first_token(make_model, tiny_tensors: Tensors) -> None:
    head = bert_head()
    prefixed = {f"bert.{name}": array for name, array in tiny_tensors.items()}
    prefixed |= {(f"bert.{n}" if "pooler" in n else n): array for n, array in head.items()}
    row = pooled(first_row(make_model, tiny_tensors), head)
    expected = float(head["classifier.weight"][0] @ row + head["classifier.bias"][0])
    assert score(make_model("pairs", tensors=prefixed)) == pytest.approx(expected, abs=1e-5)


def test_score_of_two_labels_is_the_second_logit_minus_the_first(
    make_model, tiny_tensors: Tensors
) -> None:
    head = bert_head(labels=2)
    row = pooled(first_row(make_model, tiny_tensors), head)
    no, yes = head["classifier.weight"] @ row + head["classifier.bias"]
    path = make_model("pairs", tensors=tiny_tensors | head)
    assert score(path) == pytest.approx(float(yes - no), abs=1e-5)


def test_roberta_head_is_dense_then_out_proj_without_segments(
    make_model, tiny_tensors: Tensors
) -> None:
    tiny_tensors["embeddings.token_type_embeddings.weight"] = draw(1, H)
    body = {f"roberta.{name}": array for name, array in tiny_tensors.items()}
    head = {
        "classifier.dense.weight": draw(H, H),
        "classifier.dense.bias": draw(H, seed=6),
        "classifier.out_proj.weight": draw(1, H, seed=7),
        "classifier.out_proj.bias": draw(1, seed=8),
    }
    config = {"model_type": "roberta", "pad_token_id": 1, "type_vocab_size": 1}
    path = make_model("pairs", tensors=body | head, config=config)
    built = ready_encoder(make_model("plain", tensors=body, config=config), precision="fp32")
    row = open_session(built.folder / GRAPH_FILE).hidden(IDS)[0]
    dense = np.tanh(head["classifier.dense.weight"] @ row + head["classifier.dense.bias"])
    expected = head["classifier.out_proj.weight"][0] @ dense + head["classifier.out_proj.bias"][0]
    assert score(path) == pytest.approx(float(expected), abs=1e-5)


def test_classifier_without_a_pooler_reads_the_first_row_itself(
    make_model, tiny_tensors: Tensors
) -> None:
    head = {"classifier.weight": draw(1, H), "classifier.bias": draw(1, seed=8)}
    row = first_row(make_model, tiny_tensors)
    expected = float(head["classifier.weight"][0] @ row + head["classifier.bias"][0])
    path = make_model("pairs", tensors=tiny_tensors | head)
    assert score(path) == pytest.approx(expected, abs=1e-5)


def test_last_layer_computes_one_row_of_everything_but_keys_and_values(
    make_model, tiny_tensors: Tensors
) -> None:
    path = make_model("pairs", tensors=tiny_tensors | bert_head())
    graph = onnx.load(ready_scorer(path, precision="fp32").folder / GRAPH_FILE).graph
    assert [n.op_type for n in graph.node].count("MultiHeadAttention") == 2
    wide = [n for n in graph.node if n.op_type == "MatMul" and "layer.1" in n.input[1]]
    inputs = {n.input[1].removeprefix("encoder.layer.1."): n.input[0] for n in wide}
    assert inputs["attention.self.key+value.weight"] != inputs["attention.self.query.weight"]


def test_int8_scores_correlate_with_fp32_or_are_not_served(
    make_model, tiny_tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_model("pairs", tensors=tiny_tensors | bert_head())
    built = ready_scorer(path)
    assert built.precision == "int8"
    assert 0.98 <= built.cosine < 1.0
    assert score(path, precision="int8") == pytest.approx(score(path), abs=0.2)
    monkeypatch.setattr(trial, "_MIN_CORRELATION", 1.1)
    other = make_model("other", tensors=tiny_tensors | bert_head() | {"classifier.bias": draw(1)})
    fallen = ready_scorer(other)
    assert fallen.precision == "fp32"
    assert "correlation of int8 to fp32" in fallen.fallback


def test_scorer_and_embedder_of_one_model_are_kept_apart(make_model, tiny_tensors: Tensors) -> None:
    path = make_model("pairs", tensors=tiny_tensors | bert_head())
    assert ready_scorer(path).folder != ready_encoder(path).folder
    assert ready_scorer(path).identity != ready_encoder(path).identity


def test_adapter_may_bring_the_head_along(
    make_model, tmp_path: Path, tiny_tensors: Tensors
) -> None:
    head, query = bert_head(), "encoder.layer.0.attention.self.query"
    down, up = draw(2, H), draw(H, 2, seed=9)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["query"]}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    lora = {
        f"base_model.model.bert.{query}.lora_{x}.weight": m
        for x, m in zip("AB", (down, up), strict=True)
    }
    brought = {f"base_model.model.{n}": a for n, a in head.items() if "classifier" in n}
    save_file(lora | brought, adapter / "adapter_model.safetensors")
    pooler = {name: array for name, array in head.items() if "pooler" in name}
    base = make_model("base", tensors=tiny_tensors | pooler)
    merged = tiny_tensors | head
    merged[f"{query}.weight"] = merged[f"{query}.weight"] + 2 * up @ down
    expected = score(make_model("merged", tensors=merged))
    assert score(base, adapter=adapter) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(SetupError, match="no classification head"):
        ready_scorer(base)
    with pytest.raises(SetupError, match="not a LoRA matrix"):
        ready_encoder(base, adapter=adapter)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ({}, "no classification head .* choose a sequence-classification model"),
        (bert_head(labels=3), "has 3 labels"),
        (bert_head() | {"classifier.weight": draw(1, 8)}, r"shape \(1, 8\)"),
        (bert_head() | {"pooler.dense.bias": draw(4)}, "pooler.dense.bias"),
        (bert_head() | {"classifier.bias": np.array([np.nan], "f4")}, "not finite"),
    ],
)
def test_head_that_cannot_score_is_refused(
    make_model, tiny_tensors: Tensors, head: Tensors, words: str
) -> None:
    with pytest.raises(SetupError, match=words):
        ready_scorer(make_model("pairs", tensors=tiny_tensors | head))


def test_joined_ids_are_those_of_the_tokenizers_own_pair(make_model) -> None:
    tokenizer = BertTokenizer(open_tokenizer(make_model()))
    encoding = tokenizer.pair("how do i reset the password?", "reset of 12 abc.")
    first, second = (
        tokenizer.own_ids(text, limit=40)
        for text in ("how do i reset the password?", "reset of 12 abc.")
    )
    pair = PairTemplate.of(tokenizer).join(first, second)
    assert pair.ids.tolist() == encoding.ids
    assert pair.segments.tolist() == encoding.type_ids


def test_kept_ids_are_the_texts_own_and_the_prefix_counts_for_the_model_only(make_model) -> None:
    tokenizer = BertTokenizer(open_tokenizer(make_model()))
    tokens = tokenizer.tokens("how: reset the password", limit=40, prefix_chars=5)
    assert tokens.own.tolist() == tokenizer.own_ids("reset the password", limit=40).tolist()
    assert tokens.whole == tokenizer.ids("how: reset the password", limit=40)


def test_tokenizers_with_other_padding_share_an_identity(make_model, tmp_path: Path) -> None:
    shipped = open_tokenizer(make_model())
    identity = BertTokenizer(shipped).identity
    shipped.enable_padding(length=64)
    shipped.enable_truncation(32)
    assert BertTokenizer(shipped).identity == identity
    shipped.add_tokens(["steelyard"])
    assert BertTokenizer(shipped).identity != identity
