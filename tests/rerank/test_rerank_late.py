"""Late interaction: question and passage are read apart, and their tokens compared."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from steelyard.core.errors import SetupError, UpstreamError
from steelyard.core.late import LateScoring
from steelyard.core.protocols import ReadingReranker
from steelyard.core.ranking import RerankPassage
from steelyard.core.tuning import Binding, TuneKind
from steelyard.infra.bert import open_tokens
from steelyard.infra.bert.session import GRAPH_FILE
from steelyard.infra.binding import base_model, read_binding, write_binding
from steelyard.rerank import RerankOptions, choose
from steelyard.rerank.late import LateInteraction

Run = Callable[[Awaitable[Any]], Any]
DIM, WINDOW = 8, 3
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
        "base_model.model.classifier.weight": draw(1 + DIM, 32),
        "base_model.model.classifier.bias": draw(1 + DIM),
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
        settings={
            "scale": 20.0,
            "window": WINDOW,
            "window_scale": 10.0,
            "exact": 5.0,
            "adjacent": 7.0,
            "first_stage": 4.0,
        },
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


def by_hand(late: LateInteraction, question: str, passage: str) -> float:
    """Return a score by the words of `core/late.py`, token by token."""
    session = open_tokens(late.built.folder / GRAPH_FILE)

    def read(text: str) -> tuple[list[int], list[float], np.ndarray]:
        ids = late._tokenizer.ids(text, limit=99)
        made = session.tokens(np.array(ids, np.int32))[1:-1]
        assert made.shape == (len(ids) - 2, 1 + DIM)
        rows = made[:, 1:] / np.linalg.norm(made[:, 1:], axis=1, keepdims=True)
        return ids[1:-1], [float(np.log1p(np.exp(logit))) for logit in made[:, 0]], rows

    asked_ids, weights, asked = read(question)
    told_ids, _, told = read(passage)
    if not told_ids:
        return -30.0
    cosines = asked @ told.T
    stretches = [range(n, min(n + WINDOW, len(told_ids))) for n in range(0, len(told_ids), 6)]

    def mean(values: list[float]) -> float:
        return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)

    whole = mean([row.max() for row in cosines])
    best = max(mean([max(row[n] for n in some) for row in cosines]) for some in stretches)
    often = [told_ids.count(token) for token in asked_ids]
    told_pairs = set(pairwise(told_ids))
    both = [(a * b) ** 0.5 for a, b in pairwise(weights)]
    kept = [w for w, two in zip(both, pairwise(asked_ids), strict=True) if two in told_pairs]
    shared = sum(kept) / sum(both)
    return 20 * whole + 10 * best + 5 * mean([n / (n + 1.2) for n in often]) + 7 * shared


def test_whole_passage_best_stretch_equal_tokens_and_neighbours_add_up(
    options: RerankOptions, passages: list[RerankPassage], run: Run
) -> None:
    late = LateInteraction(options)
    scores = run(late.scores("how many days", passages, budget_s=10))
    late.close()
    expected = [by_hand(late, "how many days", passage.text) for passage in passages]
    assert scores == pytest.approx(expected, abs=0.15)  # vectors are kept as int8
    assert len(set(scores)) == len(scores)


def test_a_passage_is_read_once_and_its_kept_ids_spare_its_text(
    options: RerankOptions, run: Run
) -> None:
    late = LateInteraction(options)
    ids = late._tokenizer.own_ids("password reset", limit=22)
    read = counted(late)
    kept = RerankPassage(1, "not looked at", ids)
    first = run(late.scores("reset", [kept, RerankPassage(2, "password reset")], budget_s=10))
    again = run(late.scores("reset", [kept], budget_s=10))
    late.close()
    assert first[0] == first[1] == again[0]
    assert sorted(read)[-1] == len(ids) + 2
    assert len([n for n in read if n == len(ids) + 2]) <= 2  # two lanes may meet it at once


def counted(late: LateInteraction) -> list[int]:
    """Return a list to which every run of the model adds how many tokens it read."""
    read: list[int] = []
    tokens = late._session.tokens
    late._session.tokens = lambda ids: (read.append(len(ids)), tokens(ids))[1]  # type: ignore
    return read


def test_a_passage_read_ahead_scores_alike_and_is_not_read_again(
    options: RerankOptions, passages: list[RerankPassage], run: Run
) -> None:
    late = LateInteraction(options)
    plain = run(late.scores("how many days", passages, budget_s=10))
    made = late.read(passages)
    late.forget()
    read = counted(late)
    ahead = [replace(one, vectors=rows) for one, rows in zip(passages, made, strict=True)]
    assert run(late.scores("how many days", ahead, budget_s=10)) == plain
    late.close()
    question = len(late._tokenizer.ids("how many days", limit=99))
    assert set(read) == {question}
    assert {rows.dtype for rows in made} == {np.dtype(np.int8)}


def test_what_is_longer_than_the_input_is_read_with_its_question(
    options: RerankOptions, run: Run
) -> None:
    late = LateInteraction(options)
    long = RerankPassage(1, " ".join("abcdefghij" * 4))
    (nothing,) = late.read([long])
    assert nothing.shape[0] == 0
    plain = run(late.scores("b c d", [long], budget_s=10))
    stale = replace(long, vectors=np.ones((3, DIM), np.int8))  # of another length than its ids
    assert run(late.scores("b c d", [replace(long, vectors=nothing), stale], budget_s=10)) == [
        *plain,
        *plain,
    ]
    late.close()


def test_a_model_that_fails_at_reading_ahead_is_named(
    options: RerankOptions, passages: list[RerankPassage]
) -> None:
    late = LateInteraction(options)

    def fails(ids: object) -> np.ndarray:
        raise RuntimeError("out of memory")

    late._session.tokens = fails  # type: ignore
    with pytest.raises(UpstreamError, match="failed: out of memory"):
        late.read(passages)
    late.close()


def test_readings_are_named_after_all_that_decides_them(
    options: RerankOptions, adapter: Path
) -> None:
    late = LateInteraction(options)
    names = {late.reads_as}
    late.close()
    for changed in (replace(options, max_tokens=20), replace(options, precision="int8")):
        other = LateInteraction(changed)
        names.add(other.reads_as)
        other.close()
    bind(adapter, layers=2)
    deeper = LateInteraction(options)
    deeper.close()
    assert len(names | {deeper.reads_as}) == 4
    assert isinstance(deeper, ReadingReranker)


def test_an_adapter_whose_head_only_weighs_is_refused(
    options: RerankOptions, adapter: Path
) -> None:
    tensors = load_file(adapter / "adapter_model.safetensors")
    for name in ("weight", "bias"):
        key = f"base_model.model.classifier.{name}"
        tensors[key] = tensors[key][:1]
    save_file(tensors, adapter / "adapter_model.safetensors")
    with pytest.raises(SetupError, match="has no head that weighs and projects tokens"):
        LateInteraction(options)


def test_the_adapter_says_how_many_layers_and_tokens_count(
    options: RerankOptions, adapter: Path
) -> None:
    chosen = choose(options)
    assert (chosen.max_tokens, chosen.first_stage) == (24, 4.0)
    assert chosen.late == LateScoring(20.0, WINDOW, 10.0, 5.0, 7.0)
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
        ({"settings": {"scale": 20, "exact": True}}, "settings.exact = True"),
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
