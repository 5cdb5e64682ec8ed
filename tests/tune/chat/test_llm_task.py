"""Kind `llm` in the one loop: SFT, DPO and QLoRA on a tiny model, resumed and bound to its base."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny_llm import make_tiny_llm

from steelyard.core.errors import InputError, SetupError
from steelyard.core.training import Chat, Labelled, Preference, TrainingRow, Turn
from steelyard.infra.binding import read_binding
from steelyard.tune import begin, make_recipe, new_run, prepare, task_for, train
from steelyard.tune.chat.packing import IGNORED
from steelyard.tune.fit import Rows
from steelyard.tune.llm import LlmTask
from steelyard.tune.recipe import Recipe

PAIRS = (("Which scale?", "The crane."), ("And who?", "Nobody."), ("The channel", "is 12."))


def chats(number: int, *, start: int = 0) -> list[TrainingRow]:
    rows = []
    for n in range(start, start + number):
        question, answer = PAIRS[n % 3]
        turns = (Turn("user", f"{n}: {question}"), Turn("assistant", answer))
        rows.append(TrainingRow(Chat(turns)))
    return rows


def preferences(number: int, *, start: int = 0) -> list[TrainingRow]:
    return [
        TrainingRow(
            Preference(
                (Turn("user", f"{n}: {PAIRS[n % 3][0]}"),),
                (Turn("assistant", "Nobody answers before the bell."),),
                (Turn("assistant", "The crane."),),
            )
        )
        for n in range(start, start + number)
    ]


def recipe_for(base: Path, **flags: Any) -> Recipe:
    given = {
        "kind": "llm",
        "base": str(base),
        "max_tokens": 96,
        "threads": 1,
        "lora.rank": 4,
        "train.steps": 6,
        "train.batch_size": 2,
        "train.lr": 1e-2,
        "train.checkpoint_every": 2,
        "train.eval_every": 3,
    }
    return make_recipe({}, flags=given | flags)


def trained(tmp_path: Path, recipe: Recipe, rows: Rows, name: str = "one") -> Any:
    run = new_run(tmp_path, name=name)
    begin(run, recipe)
    return train(recipe, rows, run)


def test_supervised_run_learns_and_its_artefact_is_whole_and_bound(
    tiny: Path, tmp_path: Path
) -> None:
    rows = Rows(train=chats(12), eval=chats(3, start=12), dataset="tiny")
    done = trained(tmp_path, recipe_for(tiny), rows)
    assert done.after["loss"] < done.before["loss"] - 0.1
    files = {path.name for path in done.artefact.iterdir()}
    assert files >= {
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "tokenizer.json",
        "steelyard.json",
    }
    binding = read_binding(done.artefact)
    assert binding is not None
    assert binding.base.template_sha256  # FIELD 9
    config = json.loads((done.artefact / "adapter_config.json").read_text())
    assert str(tiny.parent) not in json.dumps(config)


def test_whole_model_can_be_trained_and_is_a_model_directory_again(
    tiny: Path, tmp_path: Path
) -> None:
    flags = {"method": "full", "train.lr": 1e-2, "train.steps": 4}
    done = trained(tmp_path, recipe_for(tiny, **flags), Rows(train=chats(6)))
    again = task_for(recipe_for(done.artefact))
    assert again.shape().num_parameters == task_for(recipe_for(tiny)).shape().num_parameters
    assert again.base().weights_sha256 != task_for(recipe_for(tiny)).base().weights_sha256


def test_interrupted_run_ends_with_the_very_same_adapter(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # FIELD 19
    from steelyard.tune import Interrupted
    from steelyard.tune.loop import Loop

    rows = Rows(train=chats(12), eval=chats(3, start=12))
    recipe = recipe_for(tiny, **{"lora.dropout": 0.1})
    whole = trained(tmp_path, recipe, rows, "whole")
    run = new_run(tmp_path, name="broken")
    begin(run, recipe)
    step = Loop._step

    def broken(self: Loop) -> None:
        if self.position.step == 3:
            raise KeyboardInterrupt
        step(self)

    with monkeypatch.context() as patched:
        patched.setattr(Loop, "_step", broken)
        with pytest.raises((Interrupted, KeyboardInterrupt)):
            train(recipe, rows, run)
    again = train(recipe, rows, run)
    names = ("adapter_model.safetensors",)
    for name in names:
        assert (again.artefact / name).read_bytes() == (whole.artefact / name).read_bytes()


def test_batches_are_never_longer_than_max_tokens(tiny: Path) -> None:
    # FIELD 5: the limit that is told is the one that real batches keep
    for limit in (40, 64, 96):
        recipe = recipe_for(tiny, max_tokens=limit)
        task = task_for(recipe)
        sets = prepare(task, recipe, Rows(train=chats(30)))
        widths = {task.collate([one])["input_ids"].shape[1] for one in sets.train.examples}
        assert max(widths) <= limit
        assert max(widths) > limit - 30  # packed close to it, not cut at some other length


def test_what_is_fed_earns_exactly_the_accounts_targets(tiny: Path) -> None:
    recipe = recipe_for(tiny)
    task = task_for(recipe)
    made = prepare(task, recipe, Rows(train=chats(20))).train
    batch = task.collate(made.examples)
    assert int((batch["labels"] != IGNORED).sum()) == made.account.targets_kept
    assert task.weight(batch) == made.account.targets_kept


def test_rows_without_targets_are_dropped_and_told(tiny: Path) -> None:
    # FIELD 4
    empty = TrainingRow(Chat((Turn("user", "Which?"), Turn("assistant", "x", weight=0))))
    made = task_for(recipe_for(tiny)).prepare([*chats(5), empty], training=True)
    assert made.account.rows_dropped == 1
    assert any("no assistant's turn with a weight" in note for note in made.notes)


def test_only_targetless_rows_stop_the_run_before_any_weights(tiny: Path) -> None:
    empty = TrainingRow(Chat((Turn("user", "Which?"), Turn("assistant", "x", weight=0))))
    recipe = recipe_for(tiny)
    with pytest.raises(InputError, match="no row is left"):
        prepare(task_for(recipe), recipe, Rows(train=[empty]))


def test_too_many_lost_targets_stop_the_run(tiny: Path) -> None:
    # FIELD 3
    recipe = recipe_for(tiny, max_tokens=40)
    long = TrainingRow(Chat((Turn("user", "Which scale?"), Turn("assistant", "The crane. " * 40))))
    with pytest.raises(InputError, match=r"would be lost, more than 1\.0%"):
        prepare(task_for(recipe), recipe, Rows(train=[*chats(10), long]))


def test_preference_run_learns_which_answer_is_better(tiny: Path, tmp_path: Path) -> None:
    rows = Rows(train=preferences(12), eval=preferences(4, start=12))
    recipe = recipe_for(tiny, **{"llm.loss": "dpo", "train.steps": 8})
    done = trained(tmp_path, recipe, rows)
    assert done.before["loss"] == pytest.approx(0.6931, abs=1e-3)  # log 2: the adapter is 0 yet
    assert done.after["loss"] < 0.6
    assert done.after["preferred"] == 1.0


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")  # of TRL and peft among themselves
def test_preference_loss_is_trls(tiny: Path, tmp_path: Path) -> None:
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from datasets import Dataset

    trl = pytest.importorskip("trl")
    task = task_for(recipe_for(tiny, **{"llm.loss": "dpo"}))
    pairs = task.prepare(preferences(4), training=True).examples
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    template = task._base.template  # type: ignore[attr-defined]
    rows = []
    for one in preferences(4):
        example = one.example
        assert isinstance(example, Preference)
        prompt = template.render(example.turns, prompt=True)
        rows.append(
            {
                "prompt": prompt,
                "chosen": example.preferred[0].content,
                "rejected": example.rejected[0].content,
            }
        )
    arguments = trl.DPOConfig(
        output_dir=str(tmp_path),
        beta=0.1,
        per_device_train_batch_size=4,
        report_to=[],
        use_cpu=True,
        bf16=False,
        max_length=512,
        gradient_checkpointing=False,
    )
    trainer = trl.DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32),
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    model = trainer.model.eval()
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:  # 0 until it is trained: then both losses were log 2
                parameter.normal_(0, 0.2)
        ours = float(task.loss(model, task.collate(pairs))) / len(pairs)
        theirs = float(trainer.compute_loss(model, next(iter(trainer.get_train_dataloader()))))
    assert abs(theirs - 0.6931) > 0.001
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_quantised_base_is_trained_on_the_cpu(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    wide = make_tiny_llm(tmp_path / "wide", hidden_size=64, intermediate_size=128)
    recipe = recipe_for(wide, method="qlora", **{"train.steps": 3})
    done = trained(tmp_path, recipe, Rows(train=chats(6), eval=chats(3, start=6)))
    assert done.after["loss"] < done.before["loss"]
    model: Any = task_for(recipe).model()
    kinds = {type(module).__name__ for module in model.modules()}
    assert "Linear4bit" in kinds


def test_preferences_need_an_adapter_to_compare_with(tiny: Path) -> None:
    with pytest.raises(InputError, match="use method 'lora' or 'qlora'"):
        task_for(recipe_for(tiny, method="full", **{"llm.loss": "dpo"}))


@pytest.mark.parametrize(
    ("loss", "rows", "told"),
    [
        ("sft", preferences(2), "llm.loss: dpo"),
        ("dpo", chats(2), "llm.loss: sft"),
    ],
)
def test_rows_of_the_other_kind_name_the_repair(
    tiny: Path, loss: str, rows: list[TrainingRow], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        task_for(recipe_for(tiny, **{"llm.loss": loss})).prepare(rows, training=True)


def test_rows_of_no_chat_are_refused(tiny: Path) -> None:
    recipe = recipe_for(tiny)
    rows = Rows(train=[TrainingRow(Labelled("x", "y"))])
    with pytest.raises(InputError, match="learns from chat or preference"):
        prepare(task_for(recipe), recipe, rows)


def test_a_base_that_is_no_model_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"config\.json is missing"):
        task_for(recipe_for(tmp_path))


def test_a_limit_beyond_the_models_window_is_refused(tiny: Path) -> None:
    with pytest.raises(InputError, match="give at most 512"):
        task_for(recipe_for(tiny, max_tokens=1024))


def test_targets_that_the_base_does_not_have_are_named(tiny: Path) -> None:
    with pytest.raises(InputError, match=r"lora\.targets \['nothing'\] do not fit"):
        task_for(recipe_for(tiny, **{"lora.targets": ["nothing"]})).model()


def test_an_adapter_is_never_put_on_other_weights(tiny: Path, tmp_path: Path) -> None:
    # FIELD 17
    from steelyard.infra.binding import base_model, check_base

    done = trained(tmp_path, recipe_for(tiny), Rows(train=chats(6)))
    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    make_tiny_llm(other, rms_norm_eps=1e-3, num_hidden_layers=1)
    binding = read_binding(done.artefact)
    assert binding is not None
    with pytest.raises(SetupError, match="other weights"):
        check_base(binding, base_model(other, name="other"), artefact="one")
    assert replace(binding, run="x").base == binding.base


def test_the_task_says_its_size_before_weights_are_loaded(tiny: Path) -> None:
    task = task_for(recipe_for(tiny))
    shape = task.shape()
    model: Any = task.model()
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert shape.num_trainable == trainable
    assert isinstance(task, LlmTask)
