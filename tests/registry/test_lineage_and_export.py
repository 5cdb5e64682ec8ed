"""Where a version comes from, in what two differ, and what others can load of it."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from steelyard.core.errors import InputError, SetupError
from steelyard.core.registry import Evaluation, Score
from steelyard.core.training import Labelled, TrainingRow
from steelyard.datasets.training import keep
from steelyard.flows.lineage import difference, lineage, recipe_of, weighed
from steelyard.flows.registry import Draft
from steelyard.infra.bert import (
    BertTokenizer,
    PairTemplate,
    open_scorer,
    open_tokenizer,
    ready_scorer,
    ready_tokens,
)
from steelyard.registry import artefact_folder
from steelyard.registry.card import model_card
from steelyard.registry.export import export

GREEN = Evaluation(
    run="r1", set_name="held-out", set_id="s1", num_questions=30, against="x", passed=True,
    scores={"nDCG@10": Score((0.6, 0.5, 0.7), (0.5, 0.4, None), (0.1, 0.05, 0.15), 30, "better")},
    reasons=("pass: nDCG@10 better by 0",), at=1.8e9,
)  # fmt: skip


def kept_data(home):
    rows = [TrainingRow(Labelled(text=f"text {n}", label="a")) for n in range(4)]
    first = keep(home, rows, name="raw", recipe={"verb": "import", "licence": "CC0"}).version
    return keep(home, rows[:3], name="clean", recipe={"verb": "dedup"}, parents=(first.id,)).version


def test_a_version_is_a_tree_down_to_the_files_that_its_data_was_read_from(
    registry, make_adapter, base
):
    data = kept_data(registry.home)
    run = registry.home / "tune" / "runs" / "run-1"
    run.mkdir(parents=True)
    (run / "state.json").write_text('{"state": "done", "step": 9, "num_steps": 9, "pid": 1}')
    (run / "recipe.yaml").write_text("kind: reranker\n")
    folder = make_adapter(dataset=f"{data.id}@train lost-version")
    version = registry.register(Draft("ours", folder), who="ann").version
    registry.store.keep_evaluation(version.id, GREEN, who="ann")
    tree = lineage(registry, version)
    assert tree.tell["weighed"] == ["r1 passed"]
    run_branch, base_branch = tree.made_from
    assert (run_branch.name, run_branch.tell["state"], run_branch.missing) == (
        "run-1",
        "done",
        False,
    )
    clean, lost = run_branch.made_from
    assert (clean.tell["split"], clean.tell["rows"]) == ("train", 3)
    assert lost.missing
    (raw,) = clean.made_from
    assert (raw.name.split()[0], raw.tell["licence"]) == ("raw", "CC0")
    assert (base_branch.name, base_branch.tell["here"]) == (str(base), "the same")
    assert recipe_of(registry, version) == "kind: reranker\n"
    assert json.loads(json.dumps(tree.as_json()))["made_from"][0]["what"] == "run"
    assert weighed(registry, version) == (GREEN,)


def test_a_version_whose_run_is_gone_says_so(registry, make_adapter):
    version = registry.register(Draft("ours", make_adapter()), who="ann").version
    assert lineage(registry, version).made_from[0].missing
    assert recipe_of(registry, version) == ""


def test_two_versions_differ_in_what_differs(registry, make_adapter):
    one = registry.register(Draft("one", make_adapter()), who="a").version
    other = registry.register(
        Draft("two", make_adapter("two", seed=2), options={"rerank.pool": 5}), who="a"
    ).version
    found = difference(one, other)
    assert found.options == {"rerank.pool": (None, 5)}
    assert set(found.lineage) == {"artefact", "run"}
    assert found.lineage["run"] == ("run-1", "run-2")
    same = difference(one, one)
    assert (same.options, same.lineage) == ({}, {})


def scored(folder, tokenizer_of):
    """Return what the graph in `folder` says of a pair of texts."""
    tokenizer = BertTokenizer(open_tokenizer(tokenizer_of))
    texts = ("how do i reset it", "reset the password")
    pair = PairTemplate.of(tokenizer).join(
        *(np.array(tokenizer.own_ids(text, limit=20), np.int32) for text in texts)
    )
    return open_scorer(folder / "model.onnx").score(pair)


def test_an_export_holds_adapter_graph_and_card_and_the_graph_is_what_serves(
    registry, make_adapter, base, tmp_path
):
    version = registry.register(Draft("ours", make_adapter()), who="ann").version
    target = tmp_path / "out" / "ours"
    made = export(registry.home, version, target, evaluations=(GREEN,), recipe="kind: reranker\n")
    assert made.without == ""
    kept = artefact_folder(registry.home, version.artefact)
    for path in kept.iterdir():
        assert (target / "adapter" / path.name).read_bytes() == path.read_bytes()
    card = (target / "README.md").read_text()
    for told in (
        'license: "mit"', version.id, version.binding.base.weights_sha256, "run-1",
        "| nDCG@10 | 0.600 [0.500, 0.700] | 0.500 [0.400, ?] | +0.100 [+0.050, +0.150] | 30 |",
        "kind: reranker", "[rerank]", 'adapter = "adapter"', "peft",
    ):  # fmt: skip
        assert told in card
    built = ready_scorer(base, adapter=kept)
    exported = scored(target / "onnx", target / "onnx")
    assert exported == scored(built.folder, base)
    assert exported != scored(ready_scorer(base).folder, base)
    assert sorted(path.name for path in target.parent.iterdir()) == ["ours"]


def test_a_reranker_of_late_interaction_is_exported_as_the_vectors_that_it_compares(
    registry, make_adapter, base, tmp_path
):
    folder = make_adapter(settings={"scale": 8.0})
    weights = load_file(folder / "adapter_model.safetensors")
    head = {
        "base_model.model.classifier.weight": np.ones((5, 32), np.float32),
        "base_model.model.classifier.bias": np.zeros(5, np.float32),
    }
    save_file(weights | head, folder / "adapter_model.safetensors")
    version = registry.register(Draft("late", folder), who="ann").version
    made = export(registry.home, version, tmp_path / "late", evaluations=())
    assert "each token a weight" in made.files["onnx/"]
    built = ready_tokens(base, adapter=artefact_folder(registry.home, version.artefact))
    exported = (tmp_path / "late" / "onnx" / "weights.bin").read_bytes()
    assert exported == (built.folder / "weights.bin").read_bytes()


def test_an_export_may_be_a_zip_and_never_overwrites(registry, make_adapter, tmp_path):
    version = registry.register(Draft("ours", make_adapter()), who="ann").version
    made = export(registry.home, version, tmp_path / "ours.zip", evaluations=())
    with zipfile.ZipFile(made.path) as archive:
        names = archive.namelist()
        assert "It was not weighed" in archive.read("ours/README.md").decode()
    assert {"ours/README.md", "ours/onnx/model.onnx", "ours/adapter/steelyard.json"} <= set(names)
    with pytest.raises(InputError, match="is there already"):
        export(registry.home, version, tmp_path / "ours.zip", evaluations=())


def test_what_cannot_be_exported_is_said_and_leaves_nothing(registry, make_adapter, base, tmp_path):
    wide = registry.register(Draft("wide", options={"retrieve.pool": 9}), who="a").version
    with pytest.raises(InputError, match="options alone"):
        export(registry.home, wide, tmp_path / "out", evaluations=())
    version = registry.register(Draft("ours", make_adapter()), who="ann").version
    content = bytearray((base / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (base / "model.safetensors").write_bytes(content)
    with pytest.raises(SetupError, match="other weights"):
        export(registry.home, version, tmp_path / "out", evaluations=())
    (artefact_folder(registry.home, version.artefact) / "adapter_config.json").write_text("{}")
    with pytest.raises(SetupError, match="was changed"):
        export(registry.home, version, tmp_path / "out", evaluations=())
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".out*")) == []


def test_a_card_of_a_version_without_facts_claims_none(registry):
    wide = registry.register(Draft("wide", options={"retrieve.pool": 9}), who="a").version
    card = model_card(replace(wide, created_at=0.0), evaluations=())
    assert "Licence: not known" in card
    assert "base_model" not in card
    assert "pool = 9" in card
