"""Span readers: two logits a token, with and without an adapter, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from steelyard.core.errors import SetupError
from steelyard.infra.bert import (
    Pair,
    open_reader,
    open_session,
    ready_encoder,
    ready_reader,
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


def span_head() -> Tensors:
    return {"qa_outputs.weight": draw(2, H), "qa_outputs.bias": draw(2, seed=6)}


def hidden_of(make_model, tensors: Tensors) -> np.ndarray:
    """Return all tokens' last hidden states, by the embedder's graph.

    It knows one segment, so a second vocabulary stands for the tokens of the second one.
    """
    words = tensors["embeddings.word_embeddings.weight"]
    types = tensors["embeddings.token_type_embeddings.weight"]
    both = np.concatenate([words, words + types[1] - types[0]])
    twin = tensors | {"embeddings.word_embeddings.weight": both}
    path = make_model("twin", tensors=twin, config={"vocab_size": len(both)})
    built = ready_encoder(path, precision="fp32")
    ids = (IDS + len(words) * SEGMENTS).astype(np.int32)
    return open_session(built.folder / GRAPH_FILE).hidden(ids)


def logits(path: Path, **options: object) -> np.ndarray:
    built = ready_reader(path, **{"precision": "fp32", **options})  # type: ignore[arg-type]
    return open_reader(built.folder / GRAPH_FILE).logits(Pair(IDS, SEGMENTS))


def test_logits_are_the_head_over_every_tokens_row(make_model, tiny_tensors: Tensors) -> None:
    head = span_head()
    rows = hidden_of(make_model, tiny_tensors)
    expected = rows @ head["qa_outputs.weight"].T + head["qa_outputs.bias"]
    found = logits(make_model("reader", tensors=tiny_tensors | head))
    assert found.shape == (len(IDS), 2)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_int8_logits_correlate_with_fp32_or_are_not_served(
    make_model, tiny_tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_model("reader", tensors=tiny_tensors | span_head())
    built = ready_reader(path)
    assert built.precision == "int8"
    assert 0.98 <= built.cosine < 1.0
    monkeypatch.setattr(trial, "_MIN_SPAN_CORRELATION", 1.1)
    other = make_model("other", tensors=tiny_tensors | span_head() | {"qa_outputs.bias": draw(2)})
    fallen = ready_reader(other)
    assert fallen.precision == "fp32"
    assert "correlation of int8 to fp32" in fallen.fallback


def test_adapter_brings_the_head_along(make_model, tmp_path: Path, tiny_tensors: Tensors) -> None:
    head, key = span_head(), "encoder.layer.1.attention.self.key"
    down, up = draw(2, H), draw(H, 2, seed=9)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["key"]}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    lora = {
        f"base_model.model.bert.{key}.lora_{x}.weight": m.astype(np.float16)
        for x, m in zip("AB", (down, up), strict=True)
    }
    brought = {f"base_model.model.{name}": array for name, array in head.items()}
    save_file(lora | brought, adapter / "adapter_model.safetensors")
    merged = tiny_tensors | head
    merged[f"{key}.weight"] = merged[f"{key}.weight"] + 2 * up @ down
    expected = logits(make_model("merged", tensors=merged))
    base = make_model("base", tensors=tiny_tensors)
    np.testing.assert_allclose(logits(base, adapter=adapter), expected, atol=5e-3)
    with pytest.raises(SetupError, match=r"no question-answering head .* give an adapter"):
        ready_reader(base)


def test_reader_is_kept_apart_from_other_graphs_of_its_model(
    make_model, tiny_tensors: Tensors
) -> None:
    both = span_head() | {"classifier.weight": draw(1, H), "classifier.bias": draw(1)}
    path = make_model("both", tensors=tiny_tensors | both)
    made = [ready(path) for ready in (ready_reader, ready_scorer, ready_encoder)]
    assert len({one.folder for one in made}) == 3
    assert len({one.identity for one in made}) == 3


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (span_head() | {"qa_outputs.weight": draw(3, H)}, r"shape \(3, 32\)"),
        ({"qa_outputs.weight": draw(2, H)}, "qa_outputs.bias.* has shape None"),
        (span_head() | {"qa_outputs.bias": np.array([np.nan, 0], "f4")}, "not finite"),
    ],
)
def test_head_that_cannot_read_is_refused(
    make_model, tiny_tensors: Tensors, head: Tensors, words: str
) -> None:
    with pytest.raises(SetupError, match=words):
        ready_reader(make_model("reader", tensors=tiny_tensors | head))
