"""Building, keeping and refusing encoders."""

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from steelyard.core.errors import SetupError
from steelyard.infra.bert import (
    build,
    open_session,
    open_tokenizer,
    read_card,
    ready_encoder,
    trial,
)
from steelyard.infra.bert.session import GRAPH_FILE, TENSORS_FILE

Tensors = dict[str, np.ndarray]
IDS = np.array([2, 30, 11, 52, 3], np.int32)
QUERY = "encoder.layer.0.attention.self.query"


def embedding(path: Path, *, adapter: Path | None = None) -> np.ndarray:
    built = ready_encoder(path, precision="fp32", adapter=adapter)
    return open_session(built.folder / GRAPH_FILE).embed(IDS)


def write_adapter(folder: Path, tensors: Tensors, **config: object) -> Path:
    folder.mkdir()
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 8, "target_modules": ["query"]}
    (folder / "adapter_config.json").write_text(json.dumps(settings | config))
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def lora_pair(module: str = QUERY, *, rank: int = 2, width: int = 32) -> Tensors:
    rng = np.random.default_rng(3)
    return {
        f"base_model.model.{module}.lora_A.weight": rng.normal(size=(rank, width)).astype("f4"),
        f"base_model.model.{module}.lora_B.weight": rng.normal(size=(width, rank)).astype("f4"),
    }


# --- adapters -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({}, 8 / 2),
        ({"use_rslora": True}, 8 / 2**0.5),
        ({"alpha_pattern": {"query": 3}}, 3 / 2),
        ({"target_modules": ".*\\.self\\.query"}, 8 / 2),
    ],
)
def test_adapter_is_merged_as_scaled_product_of_its_matrices(
    make_model, tmp_path: Path, tiny_tensors: Tensors, config: dict[str, object], scale: float
) -> None:
    pair = lora_pair()
    adapter = write_adapter(tmp_path / "adapter", pair, **config)
    down, up = pair.values()
    merged = tiny_tensors | {
        f"{QUERY}.weight": tiny_tensors[f"{QUERY}.weight"] + np.float32(scale) * up @ down
    }
    base = make_model("base")
    adapted = embedding(base, adapter=adapter)
    np.testing.assert_allclose(adapted, embedding(make_model("m", tensors=merged)), atol=1e-6)
    assert np.abs(adapted - embedding(base)).max() > 1e-3


def test_adapter_of_a_prefixed_model_is_merged_too(
    make_model, tmp_path: Path, tiny_tensors: Tensors
) -> None:
    base = make_model("base")
    plain = write_adapter(tmp_path / "plain", lora_pair())
    prefixed = write_adapter(tmp_path / "prefixed", lora_pair(f"bert.{QUERY}"))
    np.testing.assert_array_equal(embedding(base, adapter=plain), embedding(base, adapter=prefixed))


@pytest.mark.parametrize(
    ("tensors", "config", "words"),
    [
        (lora_pair(width=16), {}, "does not fit"),
        (lora_pair("encoder.layer.9.attention.self.query"), {}, "unknown to it"),
        (dict(list(lora_pair().items())[:1]), {}, "half there"),
        (lora_pair(), {"target_modules": ["value"]}, "target_modules"),
        (lora_pair(), {"use_dora": True}, "use_dora"),
        (lora_pair(), {"bias": "all"}, "bias"),
        (lora_pair(), {"r": "two"}, "lacks or garbles"),
        (lora_pair(), {"r": 0}, "rank 0"),
        (lora_pair(), {"r": 4}, "rank 4"),
        (lora_pair(), {"target_modules": "(query"}, "lacks or garbles"),
        (lora_pair(), {"target_modules": None}, "lacks or garbles"),
        ({"base_model.model.classifier.weight": np.zeros((2, 2), "f4")}, {}, "not a LoRA matrix"),
        ({}, {}, "no LoRA matrix"),
    ],
)
def test_adapter_that_does_not_fit_is_refused(
    make_model, tmp_path: Path, tensors: Tensors, config: dict[str, object], words: str
) -> None:
    adapter = write_adapter(tmp_path / "adapter", tensors, **config)
    with pytest.raises(SetupError, match=words):
        ready_encoder(make_model(), adapter=adapter)


def test_missing_adapter_is_named(make_model, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="directory of a peft adapter"):
        ready_encoder(make_model(), adapter=tmp_path / "nowhere")


# --- damaged and foreign models -------------------------------------------------------------


def test_damaged_weights_are_refused_with_their_place(make_model) -> None:
    path = make_model()
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(SetupError, match=r"model\.safetensors.*damaged.*download"):
        ready_encoder(path)


def test_missing_tensor_is_named(make_model, tiny_tensors: Tensors) -> None:
    tiny_tensors.pop(f"{QUERY}.bias")
    with pytest.raises(SetupError, match=r"lacks tensor 'encoder.layer.0.attention.self.query.b"):
        ready_encoder(make_model())


def test_wrong_shape_is_named_with_both_shapes(make_model, tiny_tensors: Tensors) -> None:
    tiny_tensors[f"{QUERY}.weight"] = np.zeros((32, 16), np.float32)
    with pytest.raises(SetupError, match=r"\(32, 16\).*\(32, 32\)"):
        ready_encoder(make_model())


def test_weights_that_are_not_finite_are_refused(make_model, tiny_tensors: Tensors) -> None:
    tiny_tensors[f"{QUERY}.weight"][0, 0] = np.nan
    with pytest.raises(SetupError, match="not finite"):
        ready_encoder(make_model())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "mpnet"}, "'mpnet'.*bert, roberta, xlm-roberta"),
        ({"model_type": None}, "None"),
        ({"hidden_act": "silu"}, "silu"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
        ({"num_attention_heads": 5}, "not a multiple"),
        ({"hidden_size": "wide"}, "lacks or garbles"),
        ({"vocab_size": 10}, "."),
    ],
)
def test_config_that_cannot_be_built_is_refused(
    make_model, config: dict[str, object], words: str
) -> None:
    with pytest.raises(SetupError, match=words):
        ready_encoder(make_model(config=config))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (
            {"modules.json": [{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]},
            "Dense",
        ),
        ({"modules.json": {"broken": 1}}, "cannot be read"),
        (
            {
                "modules.json": [{"path": "1_Pooling", "type": "x.Pooling"}],
                "1_Pooling/config.json": {"pooling_mode_max_tokens": True},
            },
            "'max_tokens'",
        ),
    ],
)
def test_pooling_that_cannot_be_built_is_refused(
    make_model, extra: dict[str, object], words: str
) -> None:
    with pytest.raises(SetupError, match=words):
        ready_encoder(make_model(extra=extra))


def test_unknown_precision_names_the_known_ones(make_model) -> None:
    with pytest.raises(SetupError, match=r"'int4'.*int8 or fp32"):
        ready_encoder(make_model(), precision="int4")


def test_tokenizer_larger_than_the_word_table_is_refused(make_model, tiny_tensors: Tensors) -> None:
    name = "embeddings.word_embeddings.weight"
    tiny_tensors[name] = tiny_tensors[name][:20].copy()
    with pytest.raises(SetupError, match="20 rows"):
        ready_encoder(make_model(config={"vocab_size": 20}))


def test_card_reads_limit_and_prompts(make_model) -> None:
    path = make_model(
        extra={
            "sentence_bert_config.json": {"max_seq_length": 24},
            "config_sentence_transformers.json": {"prompts": {"query": "query: "}},
        }
    )
    card = read_card(path)
    assert (card.max_tokens, card.architecture.max_tokens) == (24, 40)
    assert card.prompts == {"query": "query: "}


def test_card_never_promises_more_than_the_position_table(make_model) -> None:
    path = make_model(extra={"sentence_bert_config.json": {"max_seq_length": 9999}})
    assert read_card(path).max_tokens == 40


def test_tokenizer_neither_pads_nor_cuts(make_model) -> None:
    tokenizer = open_tokenizer(make_model())
    assert len(tokenizer.encode("a").ids) == 3
    assert len(tokenizer.encode("a " * 30).ids) == 32


# --- the cache ------------------------------------------------------------------------------


def test_second_start_reuses_the_kept_encoder(make_model) -> None:
    path = make_model()
    first = ready_encoder(path)
    written = (first.folder / GRAPH_FILE).stat().st_mtime_ns
    assert ready_encoder(path) == first
    assert (first.folder / GRAPH_FILE).stat().st_mtime_ns == written


def test_start_with_a_kept_encoder_does_not_import_onnx(make_model) -> None:
    path = make_model()
    ready_encoder(path)
    script = (
        "import sys; from pathlib import Path; from steelyard.infra.bert import ready_encoder;"
        "ready_encoder(Path(sys.argv[1])); assert 'onnx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)


@pytest.mark.parametrize("name", [GRAPH_FILE, TENSORS_FILE, "encoder.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_kept_encoder_is_built_again(make_model, name: str, damage: str) -> None:
    path = make_model()
    built = ready_encoder(path)
    file = built.folder / name
    whole = file.read_bytes()
    if damage == "remove":
        file.unlink()
    else:
        file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:] if damage == "flip" else whole[:20])
    assert ready_encoder(path) == built
    assert file.read_bytes() == whole


def test_other_weights_pooling_or_precision_are_other_encoders(
    make_model, tiny_tensors: Tensors
) -> None:
    changed = tiny_tensors | {f"{QUERY}.bias": np.ones(32, np.float32)}
    modules = [{"path": "1_Pooling", "type": "x.Pooling"}]
    cls = {"modules.json": modules, "1_Pooling/config.json": {"pooling_mode": "cls"}}
    built = [
        ready_encoder(make_model("a")),
        ready_encoder(make_model("b"), precision="fp32"),
        ready_encoder(make_model("c", tensors=changed)),
        ready_encoder(make_model("d", extra=cls)),
    ]
    assert len({encoder.identity for encoder in built}) == 4
    assert len({encoder.folder for encoder in built}) == 4


def test_same_model_in_another_folder_is_the_same_encoder(make_model) -> None:
    assert ready_encoder(make_model("a")) == ready_encoder(make_model("b"))


def test_int8_that_fails_its_check_falls_back_and_says_so(
    make_model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(trial, "_MIN_COSINE", 1.1)
    path = make_model()
    built = ready_encoder(path)
    assert built.precision == "fp32"
    assert "cosine of int8 to fp32 is 0.99" in built.fallback
    assert ready_encoder(path) == built  # kept, reason and all
    events = [r for r in caplog.records if r.message == "encoder_fallback"]
    assert [r.levelno for r in events] == [logging.WARNING] * 2
    exact = embedding(path)
    np.testing.assert_array_equal(open_session(built.folder / GRAPH_FILE).embed(IDS), exact)


def test_unwritable_cache_builds_elsewhere_and_warns(
    make_model, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own_cache.write_text("a file where the folder should be")
    built = ready_encoder(make_model())
    assert own_cache not in built.folder.parents
    assert open_session(built.folder / GRAPH_FILE).embed(IDS).shape == (32,)
    assert "cache_unwritable" in [record.message for record in caplog.records]


def test_full_disk_is_a_setup_error_and_leaves_nothing(
    make_model, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build, "_sync", full)
    with pytest.raises(SetupError, match=r"No space left.*STEELYARD_CACHE"):
        ready_encoder(make_model())
    assert list((own_cache / "models").iterdir()) == []


def test_leftovers_of_killed_builds_are_removed(make_model, own_cache: Path) -> None:
    old, young = own_cache / "models/.building-old", own_cache / "models/.building-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    hours_ago = time.time() - 7200
    os.utime(old, (hours_ago, hours_ago))
    ready_encoder(make_model())
    assert not old.exists()
    assert young.exists()


def test_processes_that_build_at_once_end_with_one_encoder(make_model, own_cache: Path) -> None:
    path = make_model()
    script = (
        "import sys; from pathlib import Path; from steelyard.infra.bert import *;"
        "b = ready_encoder(Path(sys.argv[1])); open_session(b.folder / 'model.onnx');"
        "print(b.folder)"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    places = {run.communicate()[0].decode().strip() for run in runs}
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert places == {str(folder) for folder in (own_cache / "models").iterdir()}
    assert len(places) == 1


def test_garbage_for_a_graph_is_a_setup_error(tmp_path: Path) -> None:
    (tmp_path / GRAPH_FILE).write_bytes(b"not a graph")
    with pytest.raises(SetupError, match="cannot be opened"):
        open_session(tmp_path / GRAPH_FILE)
