"""What a reranker must pass before it serves."""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from steelyard.ahead import RERANKER, build_ahead
from steelyard.core.errors import SetupError
from steelyard.core.ranking import RerankPassage
from steelyard.core.tuning import Binding, TuneKind
from steelyard.infra.binding import base_model, write_binding
from steelyard.parts import make_reranker
from steelyard.probes import (
    PROBES_FILE,
    PROBES_FOLDER,
    RED,
    check_models,
    check_reranker,
    write_golden,
)
from steelyard.rerank import RerankOptions
from steelyard.settings import Settings

RANK = 2
MODULE = "base_model.model.bert.encoder.layer.0.attention.self.query"


def write_adapter(path: Path, *, up: float = 0.5) -> Path:
    """Write a LoRA adapter whose B is drawn at this scale; 0: it changes nothing."""
    path.mkdir()
    rng = np.random.default_rng(3)
    save_file(
        {
            f"{MODULE}.lora_A.weight": rng.normal(0, 1, (RANK, 32)).astype(np.float32),
            f"{MODULE}.lora_B.weight": (up * rng.normal(0, 1, (32, RANK))).astype(np.float32),
        },
        path / "adapter_model.safetensors",
    )
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 4, "target_modules": ["query"]}
    (path / "adapter_config.json").write_text(json.dumps(config))
    return path


def settings_for(model: Path, adapter: Path | None) -> Settings:
    options = RerankOptions(
        model=str(model), adapter=None if adapter is None else str(adapter), max_tokens=48
    )
    return replace(Settings(), rerank=options)


def checked(model: Path, adapter: Path | None) -> None:
    settings = settings_for(model, adapter)
    reranker = make_reranker(settings)
    try:
        check_reranker(reranker, settings)
    finally:
        reranker.close()


def test_a_sound_reranker_passes_with_and_without_an_adapter(tiny_model, tmp_path):
    checked(tiny_model, None)
    checked(tiny_model, write_adapter(tmp_path / "adapter"))


def test_an_adapter_that_is_a_silent_no_op_is_refused(tiny_model, tmp_path):  # FIELD 13
    with pytest.raises(SetupError, match="changes nothing: its matrices are zero") as caught:
        checked(tiny_model, write_adapter(tmp_path / "adapter", up=0.0))
    assert caught.value.code == RED


def test_an_adapter_too_weak_to_move_a_score_is_refused(tiny_model, tmp_path):  # FIELD 13
    with pytest.raises(SetupError, match="changes no score"):
        checked(tiny_model, write_adapter(tmp_path / "adapter", up=1e-12))


def test_an_adapter_of_another_base_is_refused_by_what_the_base_is(tiny_model, tmp_path):
    adapter = write_adapter(tmp_path / "adapter")  # FIELD 17
    base = base_model(tiny_model, name="tiny")
    other = Binding(
        kind=TuneKind.RERANKER,
        base=replace(base, weights_sha256="0" * 64),
        method="lora",
        max_tokens=48,
    )
    write_binding(adapter, other)
    with pytest.raises(SetupError, match="other weights"):
        checked(tiny_model, adapter)
    write_binding(adapter, replace(other, base=base))
    checked(tiny_model, adapter)


def test_what_was_kept_when_it_was_registered_must_still_come_out(tiny_model, tmp_path):
    adapter = write_adapter(tmp_path / "adapter")
    settings = settings_for(tiny_model, adapter)
    reranker = make_reranker(settings)
    write_golden(adapter / PROBES_FILE, check_reranker(reranker, settings))
    reranker.close()
    checked(tiny_model, adapter)
    kept = json.loads((adapter / PROBES_FILE).read_text())
    spread = max(row[2] for row in kept["pairs"]) - min(row[2] for row in kept["pairs"])
    kept["pairs"][0][2] += 0.2 * spread
    (adapter / PROBES_FILE).write_text(json.dumps(kept))
    with pytest.raises(SetupError, match="was kept in"):
        checked(tiny_model, adapter)
    (adapter / PROBES_FILE).write_text("{")
    with pytest.raises(SetupError, match="lacks or garbles"):
        checked(tiny_model, adapter)


class Faulty:
    """A reranker that gives what it is told to, in order, over and over."""

    model = "faulty"

    def __init__(self, *scores: float) -> None:
        self._scores = scores
        self._at = 0

    async def scores(
        self, question: str, passages: Sequence[RerankPassage], *, budget_s: float
    ) -> list[float]:
        await asyncio.sleep(0)
        self._at += 1
        return [self._scores[self._at % len(self._scores)]]


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ((float("nan"),), "no finite score"),
        ((float("inf"), 1.0), "no finite score"),
        ((0.5,), "the same score"),
        ((1.0, 2.0, 3.0, 4.0, 5.0), "other scores the second time"),
    ],
)
def test_what_does_not_compute_is_refused(tiny_model, scores, reason):
    with pytest.raises(SetupError, match=reason) as caught:
        check_reranker(Faulty(*scores), settings_for(tiny_model, None))
    assert caught.value.code == RED
    assert "registry rollback" in str(caught.value)


def test_a_home_remembers_what_it_gave_the_first_time(tiny_model, tmp_path):
    settings = settings_for(tiny_model, None)
    reranker = make_reranker(settings)
    bundle, other = (SimpleNamespace(reranker=one, settings=settings) for one in (reranker, None))
    check_models(bundle, other, tmp_path)
    check_models(bundle, other, tmp_path)
    [kept] = (tmp_path / PROBES_FOLDER).iterdir()
    write_golden(kept, [2.0 * score + 1 for score in check_reranker(reranker, settings)])
    with pytest.raises(SetupError, match="was kept in"):
        check_models(bundle, other, tmp_path)
    check_models(bundle, bundle, tmp_path)  # it serves already
    reranker.close()


def test_what_is_built_ahead_is_found_when_it_is_loaded(tiny_model, tmp_path):
    settings = settings_for(tiny_model, write_adapter(tmp_path / "adapter", up=0.7))
    models = Path(os.environ["STEELYARD_CACHE"]) / "models"
    before = set(models.iterdir()) if models.is_dir() else set()
    asyncio.run(build_ahead(RERANKER, settings))
    [made] = set(models.iterdir()) - before
    reranker = make_reranker(settings)
    assert reranker.built.folder == made
    reranker.close()
    asyncio.run(build_ahead(RERANKER, settings_for(tmp_path / "nowhere", None)))  # told on load
