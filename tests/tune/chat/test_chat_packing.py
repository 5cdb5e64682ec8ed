"""Packed rows keep their masks and their loss, and see nothing of each other."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from steelyard.core.training import Chat, Turn
from steelyard.infra.chat_template import Template
from steelyard.tune.chat.encode import Encoded, fit_chat
from steelyard.tune.chat.packing import IGNORED, Pack, can_pack, collate_packs, pack

CHATS = (
    ("Which scale?", "The crane."),
    ("And who?", "Nobody answers before the bell rings."),
    ("The radio channel", "is 12."),
    ("gate", "dawn"),
)


@pytest.fixture(scope="module")
def rows(template: Template) -> list[Encoded]:
    made = []
    for question, answer in CHATS:
        chat = Chat((Turn("user", question), Turn("assistant", answer)))
        example = fit_chat(template, chat, max_tokens=512).example
        assert isinstance(example, Encoded)
        made.append(example)
    return made


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def model(tiny: Path, request: pytest.FixtureRequest) -> Any:
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(tiny, attn_implementation=request.param)
    return loaded.eval()


def loss_of(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    logits = model(**inputs).logits
    labels = batch["labels"][:, 1:].flatten()
    return cross_entropy(
        logits[:, :-1].flatten(0, 1), labels, ignore_index=IGNORED, reduction="sum"
    )


def test_packs_are_full_rows_and_no_row_is_lost(rows: list[Encoded]) -> None:
    packs = pack(rows, max_tokens=80)
    assert sorted(id(part) for one in packs for part in one.parts) == sorted(map(id, rows))
    assert all(len(one) <= 80 for one in packs)
    assert len(packs) < len(rows)


@given(lengths=st.lists(st.integers(1, 64), max_size=60))
def test_packs_hold_every_row_once_and_never_too_much(lengths: list[int]) -> None:
    import numpy as np

    made = [Encoded(np.zeros(n, np.int32), np.zeros(n, np.bool_)) for n in lengths]
    packs = pack(made, max_tokens=64)
    assert sorted(id(part) for one in packs for part in one.parts) == sorted(map(id, made))
    assert all(len(one) <= 64 for one in packs)
    half_full = sum(len(one) <= 32 for one in packs)
    assert half_full <= 1  # two half-empty packs would have been one


def test_masks_survive_packing_token_by_token(rows: list[Encoded]) -> None:
    # FIELD 6
    packed = collate_packs([Pack(tuple(rows))], pad_id=0)
    alone = collate_packs([Pack((row,)) for row in rows], pad_id=0)
    learnt = packed["labels"][packed["labels"] != IGNORED].tolist()
    expected = [n for one in alone["labels"] for n in one[one != IGNORED].tolist()]
    assert learnt == expected
    assert len(learnt) == sum(row.num_targets for row in rows)


def test_the_packed_loss_is_the_loss_of_the_rows_alone(model: Any, rows: list[Encoded]) -> None:
    # FIELD 7
    with torch.no_grad():
        alone = sum(loss_of(model, collate_packs([Pack((row,))], pad_id=0)) for row in rows)
        padded = loss_of(model, collate_packs([Pack((row,)) for row in rows], pad_id=0))
    eager = model.config._attn_implementation == "eager"
    for parts in ([rows], [rows[:1], rows[1:]], [rows[:3], rows[3:]]):
        batch = collate_packs([Pack(tuple(part)) for part in parts], pad_id=0)
        if eager and batch["attention_mask"].ndim == 4:
            batch["attention_mask"] = additive(batch["attention_mask"])
        with torch.no_grad():
            packed = loss_of(model, batch)
        torch.testing.assert_close(packed, torch.as_tensor(alone), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(padded, torch.as_tensor(alone), rtol=1e-5, atol=1e-4)


def additive(mask: torch.Tensor) -> torch.Tensor:
    return torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)


def test_the_packed_gradient_is_that_of_the_rows_alone(tiny: Path, rows: list[Encoded]) -> None:
    # FIELD 7: a loss that agrees by chance would not have the same gradient
    from transformers import AutoModelForCausalLM

    grads = []
    for packs in ([Pack(tuple(rows))], [Pack((row,)) for row in rows]):
        model = AutoModelForCausalLM.from_pretrained(tiny, attn_implementation="sdpa")
        loss_of(model, collate_packs(packs, pad_id=0)).backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-4, atol=1e-4)


def test_a_neighbour_in_the_pack_changes_nothing(model: Any, rows: list[Encoded]) -> None:
    def logits_of_last(first: Encoded) -> torch.Tensor:
        batch = collate_packs([Pack((first, rows[3]))], pad_id=0)
        mask = batch["attention_mask"]
        if model.config._attn_implementation == "eager":
            mask = additive(mask)
        with torch.no_grad():
            out = model(
                input_ids=batch["input_ids"],
                position_ids=batch["position_ids"],
                attention_mask=mask,
            )
        logits: torch.Tensor = out.logits[0, -len(rows[3]) :]
        return logits

    torch.testing.assert_close(
        logits_of_last(rows[0]), logits_of_last(rows[1]), rtol=1e-5, atol=1e-5
    )


def test_models_whose_layers_mix_a_row_are_not_packed() -> None:
    from transformers import AutoConfig, LlamaConfig

    assert can_pack(LlamaConfig(), max_tokens=512) == ""
    mixing = AutoConfig.for_model(
        "lfm2", num_hidden_layers=2, layer_types=["conv", "full_attention"]
    )
    assert "mix a whole row" in can_pack(mixing, max_tokens=512)
    sliding = AutoConfig.for_model("mistral", sliding_window=64)
    assert "slides over 64" in can_pack(sliding, max_tokens=512)
    assert can_pack(sliding, max_tokens=64) == ""
