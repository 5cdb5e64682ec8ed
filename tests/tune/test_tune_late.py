"""A reranker trained for late interaction is served as it was trained."""

import asyncio
from typing import Any

import pytest
from tests.tune.tiny import recipe_for, rows_for, started

from steelyard.core.errors import InputError
from steelyard.core.ranking import RerankPassage
from steelyard.core.training import Retrieval
from steelyard.core.tuning import RunState
from steelyard.infra.binding import read_binding
from steelyard.rerank import RerankOptions
from steelyard.rerank.late import LateInteraction
from steelyard.tune import train
from steelyard.tune.kinds import task_for

LATE = {
    "reranker.scoring": "late",
    "reranker.first_stage": 4.0,
    "reranker.window": 5,
    "reranker.window_scale": 10.0,
    "reranker.exact": 3.0,
    "reranker.adjacent": 4.0,
    "reranker.dim": 16,
    "layers": 1,
}


def test_what_was_trained_scores_alike_when_it_is_served(base, tmp_path, monkeypatch):
    # FIELD 12: answers of an adapter differ between trainer and server.
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    recipe = recipe_for("reranker", base, **LATE)
    run = started(tmp_path, recipe)
    rows = rows_for("reranker")
    trained = train(recipe, rows, run)
    assert run.status().state is RunState.DONE
    losses = [line["loss"] for line in run.metrics() if "loss" in line]
    assert losses[-1] < losses[0]
    assert trained.after["nDCG@10"] >= trained.before["nDCG@10"]
    binding = read_binding(run.artefact)
    assert binding is not None
    assert (binding.layers, binding.max_tokens) == (1, 32)
    assert binding.settings == {
        "scale": 20.0,
        "window": 5,
        "window_scale": 10.0,
        "exact": 3.0,
        "adjacent": 4.0,
        "first_stage": 4.0,
    }

    row = rows.eval[0].example
    assert isinstance(row, Retrieval)
    served = served_scores(base, run.artefact, row)
    # Kept as int8: of 33 points some tenths.
    assert served == pytest.approx(torch_scores(recipe, run.artefact, row), abs=0.2)
    untrained = torch_scores(recipe, None, row)
    assert served != pytest.approx(untrained, abs=0.2)  # FIELD 13: the adapter acts


def served_scores(base: Any, artefact: Any, row: Retrieval) -> list[float]:
    late = LateInteraction(RerankOptions(model=str(base), adapter=str(artefact), precision="fp32"))
    texts = (*row.positives, *row.negatives)
    passages = [RerankPassage(n, text) for n, text in enumerate(texts)]
    scores = asyncio.run(late.scores(row.query, passages, budget_s=60))
    late.close()
    return scores


def torch_scores(recipe: Any, artefact: Any, row: Retrieval) -> list[float]:
    import torch
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    from steelyard.core.training import TrainingRow

    task = task_for(recipe)
    prepared = task.prepare([TrainingRow(row)], training=False)
    model = task.model()
    if artefact is not None:
        weights = load_file(artefact / "adapter_model.safetensors")
        set_peft_model_state_dict(model.encoder, weights)
    model.eval()
    batch = task.collate(prepared.examples)
    with torch.no_grad():
        return model(batch["questions"], batch["passages"], batch["which"]).tolist()


def test_what_late_interaction_cannot_learn_from_is_refused(base):
    for flags in ({"reranker.loss": "bce"}, {"reranker.teacher": "x"}, {"method": "full"}):
        with pytest.raises(InputError, match="'late' has no teacher"):
            task_for(recipe_for("reranker", base, **LATE, **flags))


def test_a_vector_larger_than_the_bases_own_is_refused(base):
    with pytest.raises(InputError, match=r"reranker\.dim 999 is more than the \d+ numbers"):
        task_for(recipe_for("reranker", base, **LATE | {"reranker.dim": 999}))
