"""Every kind learns, saves what peft reads, and says what it did."""

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.tune.tiny import KINDS, recipe_for, rows_for, started

from steelyard.core.errors import InputError
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


def test_a_run_keeps_the_share_of_its_change_that_its_recipe_says(base, tmp_path):
    kept = {}
    for strength in (1.0, 0.25):
        recipe = recipe_for("embedder", base, **{"lora.strength": strength})
        run = started(tmp_path / str(strength), recipe)
        train(recipe, rows_for("embedder"), run)
        kept[strength] = load_file(run.artefact / "adapter_model.safetensors")
    for name, whole in kept[1.0].items():
        share = 0.25 if "lora_B" in name else 1.0
        np.testing.assert_allclose(kept[0.25][name], share * whole, rtol=1e-5, atol=1e-7)
    assert any(np.abs(one).max() > 0 for name, one in kept[1.0].items() if "lora_B" in name)


def test_a_strength_where_a_new_head_was_learnt_is_refused(base):
    with pytest.raises(InputError, match=r"lora\.strength: 0\.5 is for adapters without a head"):
        recipe_for("classifier", base, **{"lora.strength": 0.5})
