"""What stops a run early: the reason is told, the run is failed, nothing half-written is left."""

import errno
import os
import signal
from dataclasses import replace

import pytest
import torch
from tests.tune.tiny import (
    labelled_rows,
    reader_rows,
    recipe_for,
    retrieval_rows,
    rows_for,
    started,
    write_base,
)

from steelyard.core.errors import InputError, SetupError
from steelyard.core.training import Labelled, Retrieval, TrainingRow
from steelyard.core.tuning import RunState
from steelyard.tune import Interrupted, Rows, task_for, train
from steelyard.tune import checkpoint as checkpoints
from steelyard.tune.classifier import ClassifierTask
from steelyard.tune.fit import prepare


def failed(run, *, saying: str) -> None:
    """Check how a failed run was left."""
    status = run.status()
    assert status.state is RunState.FAILED
    assert saying in status.error
    assert not run.artefact.exists()
    assert not [path for path in run.path.rglob(".*") if path.name != ".keep"]


def refused(recipe, rows) -> str:
    with pytest.raises(InputError) as raised:
        prepare(task_for(recipe), recipe, rows)
    return raised.value.message


def test_a_loss_that_is_no_number_stops_the_run(base, tmp_path, monkeypatch):
    real = ClassifierTask.loss

    def broken(self, model, batch):
        return real(self, model, batch) * float("nan")

    recipe = recipe_for("classifier", base)
    run = started(tmp_path, recipe)
    monkeypatch.setattr(ClassifierTask, "loss", broken)
    with pytest.raises(InputError, match=r"step 1: the loss is nan .* lower train\.lr"):
        train(recipe, rows_for("classifier"), run)
    failed(run, saying="the loss is nan")


def test_a_diverging_loss_stops_the_run(base, tmp_path, monkeypatch):
    real = ClassifierTask.loss
    calls: list[int] = []

    def rising(self, model, batch):
        calls.append(1)
        return real(self, model, batch) * (1 + len(calls) / 4)

    recipe = recipe_for("classifier", base, **{"train.steps": 80})
    run = started(tmp_path, recipe)
    monkeypatch.setattr(ClassifierTask, "loss", rising)
    with pytest.raises(InputError, match=r"the run diverges at train\.lr"):
        train(recipe, rows_for("classifier"), run)
    failed(run, saying="diverges")
    assert run.status().step < 80


def test_out_of_memory_comes_before_the_first_step(base, tmp_path, monkeypatch):  # FIELD 25
    widths: list[int] = []
    real = ClassifierTask.loss

    def hungry(self, model, batch):
        widths.append(batch["inputs"]["input_ids"].shape[1])
        if len(widths) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, model, batch)

    rows = rows_for("classifier")
    longest = TrainingRow(Labelled("who asks about leave in the office and it is the rule", "x"))
    rows = replace(rows, train=[*rows.train, longest])
    recipe = recipe_for("classifier", base)
    run = started(tmp_path, recipe)
    monkeypatch.setattr(ClassifierTask, "loss", hungry)
    with pytest.raises(SetupError, match=r"out of memory on the 4 longest .* raise train\.accum"):
        train(recipe, rows, run)
    assert widths == [14], "the longest rows are tried first"
    failed(run, saying="out of memory")
    assert list(run.metrics()) == []


def test_a_full_disk_stops_the_run_and_keeps_the_checkpoint_before(base, tmp_path, monkeypatch):
    written: list[str] = []
    real = checkpoints.sync

    def full(path):
        written.append(path.name)
        if written.count(checkpoints.WEIGHTS) == 2:  # of the second checkpoint
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path)

    recipe = recipe_for("classifier", base)
    run = started(tmp_path, recipe)
    monkeypatch.setattr(checkpoints, "sync", full)
    with pytest.raises(SetupError, match="is full"):
        train(recipe, rows_for("classifier"), run)
    failed(run, saying="is full")
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000003"]
    monkeypatch.undo()
    train(recipe, rows_for("classifier"), run)
    assert run.status().state is RunState.DONE


def test_a_library_that_hides_a_full_disk_is_understood(tmp_path):
    with pytest.raises(SetupError, match="is full"), checkpoints.written(tmp_path / "x"):
        raise checkpoints.SafetensorError("I/O error: No space left on device (os error 28)")


def test_sigterm_ends_a_run_after_its_step_with_a_checkpoint(base, tmp_path):
    recipe = recipe_for("classifier", base, **{"train.checkpoint_every": 100})
    run = started(tmp_path, recipe)

    def told(line):
        if line["step"] == 5 and "loss" in line:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(recipe, rows_for("classifier"), run, told=told)
    assert run.status().state is RunState.INTERRUPTED
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000005"]
    whole = started(tmp_path, recipe, name="whole")
    train(recipe, rows_for("classifier"), whole)
    train(recipe, rows_for("classifier"), run)
    ended = [one.artefact / "adapter_model.safetensors" for one in (run, whole)]
    assert ended[0].read_bytes() == ended[1].read_bytes()


def test_a_cancelled_run_ends_after_its_step(base, tmp_path):
    recipe = recipe_for("classifier", base)
    run = started(tmp_path, recipe)
    with pytest.raises(Interrupted):
        train(recipe, rows_for("classifier"), run, told=lambda line: run.ask_to_cancel())
    assert run.status().state is RunState.CANCELLED
    assert not run.artefact.exists()


def test_a_damaged_checkpoint_gives_way_to_the_one_before(base, tmp_path):
    recipe = recipe_for("classifier", base)
    run = started(tmp_path, recipe)

    def told(line):
        if line["step"] == 7:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        train(recipe, rows_for("classifier"), run, told=told)
    newest = sorted(run.checkpoints.iterdir())[-1]
    weights = newest / checkpoints.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    found = checkpoints.Checkpoints(run.checkpoints).latest()
    assert found is not None
    assert (newest.name, found.position.step) == ("step-00000006", 3)


def test_a_run_does_not_go_on_with_another_base_or_other_rows(base, tmp_path):  # FIELD 17
    place = write_base(tmp_path / "tiny")
    recipe = recipe_for("classifier", place)
    run = started(tmp_path, recipe)

    def told(line):
        if line["step"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        train(recipe, rows_for("classifier"), run, told=told)
    with pytest.raises(InputError, match="cannot go on: the rows changed"):
        train(recipe, rows_for("classifier", train=24), run)
    other = write_base(tmp_path / "other", seed=2)
    (other / "model.safetensors").replace(place / "model.safetensors")
    with pytest.raises(InputError, match="cannot go on: the base model changed"):
        train(recipe, rows_for("classifier"), run)


def test_rows_of_another_kind_are_refused_before_a_model_is_loaded(base):  # FIELD 1
    recipe = recipe_for("reader", base)
    told = refused(recipe, rows_for("classifier"))
    assert "rows of kind 'labelled'" in told
    assert "a reader learns from reader" in told


def test_no_row_at_all_is_refused(base):
    assert "data.train holds no row" in refused(recipe_for("reader", base), Rows([]))


def test_a_row_that_is_measured_on_must_not_be_learnt_from(base):
    rows = Rows(train=retrieval_rows(8), eval=retrieval_rows(2))
    assert "2 of 2 rows of data.eval are learnt from too" in refused(
        recipe_for("embedder", base), rows
    )


def test_rows_cut_too_much_stop_the_run_and_say_what_would_do(base):  # FIELD 3
    recipe = recipe_for("embedder", base, max_tokens=8)
    told = refused(recipe, rows_for("embedder"))
    assert "of the target tokens" in told
    assert "raise max_tokens above 8" in told
    assert "--allow-lost 0." in told
    share = float(told.rsplit("--allow-lost ", 1)[1])
    accepted = recipe_for("embedder", base, max_tokens=8, allow_lost=share)
    account = prepare(task_for(accepted), accepted, rows_for("embedder")).train.account
    assert account.kept + account.truncated + account.dropped == account.total


def test_rows_without_a_target_are_refused(base):  # FIELD 4
    rows = Rows([TrainingRow(Retrieval("how many ?", ("the rule .",)))])
    assert "no row is left to learn from" in refused(recipe_for("reranker", base), rows)


def test_a_base_takes_no_more_tokens_or_layers_than_it_has(base):
    with pytest.raises(InputError, match=r"max_tokens 128 .* at most 64"):
        task_for(recipe_for("reader", base, max_tokens=128))
    with pytest.raises(InputError, match=r"layers 3 .* at most 2"):
        task_for(recipe_for("reader", base, layers=3))


def test_a_missing_base_says_what_to_do(tmp_path):
    with pytest.raises(SetupError, match="neither a directory nor a hub name"):
        task_for(recipe_for("reader", tmp_path / "none"))


def test_patience_without_rows_to_measure_on_is_refused(base):
    recipe = recipe_for("reader", base, **{"train.patience": 2})
    assert "give data.eval" in refused(recipe, Rows(reader_rows(8)))


def test_a_classifier_of_one_label_is_refused(base):
    rows = Rows([row for row in labelled_rows(16) if row.example.label == "about-leave"])
    assert "two labels or more" in refused(recipe_for("classifier", base), rows)
