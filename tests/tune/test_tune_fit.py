"""Every kind learns, saves what peft reads, and says what it did."""

import pytest
from tests.tune.tiny import KINDS, recipe_for, rows_for, started

from steelyard.core.tuning import RunState
from steelyard.infra.binding import read_binding
from steelyard.tune import train


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_ends_with_an_adapter_bound_to_its_base(kind, base, tmp_path):
    recipe = recipe_for(kind, base)
    run = started(tmp_path, recipe)
    trained = train(recipe, rows_for(kind), run)
    assert run.status().state is RunState.DONE
    assert {path.name for path in run.artefact.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "steelyard.json",
    }  # fmt: skip
    binding = read_binding(run.artefact)
    assert binding is not None
    assert (binding.kind, binding.base.name, binding.run) == (kind, "tiny", run.id)
    assert trained.before.keys() == trained.after.keys() != set()
    losses = [line["loss"] for line in run.metrics() if "loss" in line]
    assert len(losses) == 12
