"""Late interaction: question and passage are read apart, and their tokens compared."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from steelyard.core.errors import SetupError
from steelyard.core.ranking import RerankPassage
from steelyard.core.tuning import Binding, TuneKind
from steelyard.infra.bert import open_session
from steelyard.infra.bert.session import GRAPH_FILE
from steelyard.infra.binding import base_model, read_binding, write_binding
from steelyard.rerank import RerankOptions, choose
from steelyard.rerank.late import LateInteraction

Run = Callable[[Awaitable[Any]], Any]
QUERY = "base_model.model.bert.encoder.layer.0.attention.self.query"


@pytest.fixture
def adapter(tiny_model: Path, tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    folder = tmp_path / "adapter"
    folder.mkdir()
    tensors = {
        f"{QUERY}.lora_A.weight": draw(2, 32),
        f"{QUERY}.lora_B.weight": draw(32, 2),
        "base_model.model.classifier.weight": draw(1, 32),
        "base_model.model.classifier.bias": draw(1),
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["query"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    binding = Binding(
        kind=TuneKind.RERANKER,
        base=base_model(tiny_model, name="tiny"),
        method="lora",
        max_tokens=24,
        layers=1,
        settings={"scale": 20.0, "first_stage": 4.0},
    )
    write_binding(folder, binding)
    return folder


@pytest.fixture
def options(tiny_model: Path, adapter: Path) -> RerankOptions:
    return RerankOptions(model=str(tiny_model), adapter=str(adapter), precision="fp32")


def bind(adapter: Path, **changes: Any) -> None:
    binding = read_binding(adapter)
    assert binding is not None
    write_binding(adapter, replace(binding, **changes))


def test_each_question_token_takes_its_best_passage_token(
    options: RerankOptions, adapter: Path, passages: list[RerankPassage], run: Run
) -> None:
    late = LateInteraction(options)
    scores = run(late.scores("how many days", passages, budget_s=10))
    late.close()
    session = open_session(late.built.folder / GRAPH_FILE)
    tokenizer = late._tokenizer
    head = np.random.default_rng(2)
    head.normal(0, 0.3, (2, 32)), head.normal(0, 0.3, (32, 2))
    weight = head.normal(0, 0.3, (1, 32)).astype(np.float32)[0]
    bias = head.normal(0, 0.3, (1,)).astype(np.float32)[0]
    asked = session.hidden(np.array(tokenizer.ids("how many days", limit=99), np.int32))[1:-1]
    for passage, score in zip(passages, scores, strict=True):
        told = session.hidden(np.array(tokenizer.ids(passage.text, limit=99), np.int32))[1:-1]
        if not len(told):
            assert score == -20
            continue
        total = weights = 0.0
        for row in asked:
            best = max(
                float(row @ other / np.linalg.norm(row) / np.linalg.norm(other)) for other in told
            )
            weight_of_row = float(np.log1p(np.exp(row @ weight + bias)))
            total, weights = total + weight_of_row * best, weights + weight_of_row
        assert score == pytest.approx(20 * total / weights, abs=0.02)


def test_a_passage_is_read_once_and_its_kept_ids_spare_its_text(
    options: RerankOptions, run: Run
) -> None:
    late = LateInteraction(options)
    ids = late._tokenizer.own_ids("password reset", limit=22)
    read = []
    hidden = late._session.hidden
    late._session.hidden = lambda ids: (read.append(len(ids)), hidden(ids))[1]  # type: ignore
    kept = RerankPassage(1, "not looked at", ids)
    first = run(late.scores("reset", [kept, RerankPassage(2, "password reset")], budget_s=10))
    again = run(late.scores("reset", [kept], budget_s=10))
    late.close()
    assert first[0] == first[1] == again[0]
    assert sorted(read)[-1] == len(ids) + 2
    assert len([n for n in read if n == len(ids) + 2]) <= 2  # two lanes may meet it at once


def test_the_adapter_says_how_many_layers_and_tokens_count(
    options: RerankOptions, adapter: Path
) -> None:
    chosen = choose(options)
    assert (chosen.max_tokens, chosen.first_stage, chosen.scale) == (24, 4.0, 20.0)
    late = LateInteraction(options)
    bind(adapter, layers=2)
    deeper = LateInteraction(options)
    assert late.built.identity != deeper.built.identity
    late.close()
    deeper.close()
    assert choose(replace(options, first_stage=0.0, max_tokens=9)).first_stage == 0.0
    assert choose(replace(options, first_stage=0.0, max_tokens=9)).max_tokens == 9


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"layers": 3}, "bound to 3 layers, but its base 'tiny' has 2"),
        ({"kind": TuneKind.READER}, "is a trained reader, not a reranker"),
        ({"settings": {}}, "was not trained for late interaction"),
        ({"settings": {"scale": "much"}}, "settings.scale = 'much'"),
        ({"settings": {"scale": 20, "first_stage": -1}}, "settings.first_stage = -1"),
        ({"max_tokens": 65}, "max_tokens 65 does not suit model .* set 3 to 64"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(
    options: RerankOptions, adapter: Path, changes: dict[str, Any], told: str
) -> None:
    bind(adapter, **changes)
    with pytest.raises(SetupError, match=told):
        LateInteraction(options)


def test_an_adapter_of_other_weights_is_refused(options: RerankOptions, adapter: Path) -> None:
    # FIELD 17: an adapter is bound to its base by content, not by name.
    binding = read_binding(adapter)
    assert binding is not None
    bind(adapter, base=replace(binding.base, weights_sha256="0" * 64))
    with pytest.raises(SetupError, match="does not fit 'tiny': other weights"):
        LateInteraction(options)
