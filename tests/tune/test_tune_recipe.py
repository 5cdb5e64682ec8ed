"""Recipes are strict: unknown keys, wrong values and contradictions fail, all at once."""

import pytest
import yaml

from steelyard.core.errors import InputError
from steelyard.tune import make_recipe, parse_yaml, read_recipe, recipe_sha256, recipe_text


def fault(**flags) -> str:
    with pytest.raises(InputError) as raised:
        make_recipe({}, flags=flags)
    return raised.value.message


def test_unknown_keys_fail_with_the_nearest_known_one_and_all_faults_come_at_once():
    told = fault(**{"kind": "embedder", "train.lrr": 1, "rank": 4, "lora.rank": 0, "wrong": 1})
    assert "train.lrr: no such key; did you mean 'train.lr'?" in told
    assert "rank: no such key; did you mean 'lora.rank'?" in told
    assert "lora.rank: 0 must be greater than or equal to 1" in told
    assert "wrong: no such key; known are kind, base" in told


def test_a_section_of_another_kind_is_refused():
    assert "is for kind 'reranker'" in fault(**{"kind": "embedder", "reranker.negatives": 3})


def test_an_unknown_or_missing_kind_says_which_there_are():
    assert "'embeder' must be 'embedder', 'reranker'" in fault(kind="embeder")
    assert "kind: is missing; give one of embedder" in fault(seed=1)


def test_what_contradicts_itself_is_refused():
    assert "give a divisor of train.batch_size" in fault(
        **{"kind": "reader", "train.batch_size": 4, "train.accumulate": 3}
    )
    assert "method: 'qlora' is for kind 'llm'" in fault(kind="reader", method="qlora")


def test_yaml_that_says_a_key_twice_is_refused():
    with pytest.raises(InputError, match="'seed' is given twice"):
        parse_yaml("seed: 1\nkind: reader\nseed: 2\n", place="a.yaml")
    with pytest.raises(InputError, match="holds no keys"):
        parse_yaml("just words", place="a.yaml")
    with pytest.raises(InputError, match=r"a\.yaml is no YAML"):
        parse_yaml("a: [", place="a.yaml")


def test_a_recipe_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_recipe(tmp_path / "none.yaml")


def test_defaults_follow_kind_and_method_and_flags_come_first(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("kind: reranker\ntrain:\n  lr: 1e-4\n  batch_size: 4\ndata:\n")
    recipe = read_recipe(path, flags={"train.batch_size": "16"})
    assert (recipe.max_tokens, recipe.train.lr, recipe.train.batch_size) == (192, 1e-4, 16)
    assert make_recipe({"kind": "embedder", "method": "full"}).train.lr == 2e-5


def test_the_effective_recipe_reads_back_as_itself():
    recipe = make_recipe({"kind": "embedder", "embedder": {"margin": 0.1}, "data": {"train": "a"}})
    again = make_recipe(yaml.safe_load(recipe_text(recipe)))
    assert again == recipe
    assert recipe_sha256(again) == recipe_sha256(recipe)
    assert "reranker" not in recipe_text(recipe)
