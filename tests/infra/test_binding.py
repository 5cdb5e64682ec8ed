"""An artefact says what it is bound to, and is refused on anything else."""

import json
from dataclasses import replace

import pytest

from steelyard.core.errors import SetupError
from steelyard.core.tuning import Binding, TuneKind
from steelyard.infra.binding import (
    BINDING_FILE,
    base_model,
    check_base,
    read_binding,
    write_binding,
)


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def bound(base):
    return Binding(TuneKind.RERANKER, base_model(base, name="tiny"), "lora", 128, layers=3)


def test_a_binding_comes_back_as_it_was_written(base, tmp_path):
    binding = replace(bound(base), labels=("a", "b"), settings={"threshold": 0.5})
    write_binding(tmp_path, binding)
    assert read_binding(tmp_path) == binding


def test_a_foreign_adapter_says_nothing(tmp_path):
    assert read_binding(tmp_path) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "kind": "x"}'])
def test_a_damaged_binding_is_told(tmp_path, content):
    (tmp_path / BINDING_FILE).write_text(content)
    with pytest.raises(SetupError, match=r"steelyard\.json.*again"):
        read_binding(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("model.safetensors", "other weights", "weights"),
        ("tokenizer.json", "{ }", "tokenizer"),
        ("chat_template.jinja", "{{ messages }}", "chat template"),
        ("tokenizer_config.json", json.dumps({"chat_template": "x"}), "chat template"),
    ],
)
def test_another_base_is_refused_by_what_differs(base, file, content, named):
    binding = bound(base)
    check_base(binding, base_model(base, name="tiny"), artefact="a")
    (base / file).write_text(content)
    with pytest.raises(SetupError, match=f"does not fit.*other {named}"):
        check_base(binding, base_model(base, name="tiny"), artefact="a")


def test_shards_are_hashed_together(base):
    whole = base_model(base, name="tiny").weights_sha256
    (base / "model.safetensors").rename(base / "model-00001-of-00001.safetensors")
    assert base_model(base, name="tiny").weights_sha256 not in ("", whole)
