"""`steelyard tune`, as a user runs it: from a file to an artefact, and what is refused."""

import json

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="the extra `tune` is not installed")

from tests.tune.tiny import labelled_rows, write_base

from steelyard.cli.program import program
from steelyard.core.errors import InputError, NotFound


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with a base, rows and a recipe of four steps, and a home."""
    place = tmp_path_factory.mktemp("tune")
    write_base(place / "tiny")
    rows = [{"text": row.example.text, "label": row.example.label} for row in labelled_rows(32)]
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place / "recipe.yaml").write_text(
        f"kind: classifier\nbase: {place / 'tiny'}\nmax_tokens: 32\nthreads: 1\n"
        f"data: {{train: {place / 'rows.jsonl'}}}\n"
        "train: {steps: 4, batch_size: 4, lr: 1e-3}\n"
    )
    return place


def run(place, *words):
    return CliRunner().invoke(program, ["--home", str(place / "home"), "tune", *map(str, words)])


def test_a_recipe_is_planned_run_listed_and_shown(place):
    plan = run(place, "plan", "--recipe", place / "recipe.yaml")
    assert plan.exit_code == 0, plan.output
    assert "4 steps" in plan.stdout
    done = run(place, "run", "--recipe", place / "recipe.yaml", "--run", "first", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["steps"] == 4
    listed = json.loads(run(place, "runs", "--json").stdout)
    assert [(one["run"], one["state"]) for one in listed] == [("first", "done")]
    shown = json.loads(run(place, "show", "first", "--json").stdout)
    account = shown["accounting"]["train"]
    assert account["kept"] + account["truncated"] + account["dropped"] == account["total"]
    assert len(shown["losses"]) == 4


def test_flags_count_before_the_recipe_and_faults_come_together(place):
    refused = run(place, "run", "-r", place / "recipe.yaml", "--set", "train.lrr=1", "--set", "x=1")
    assert isinstance(refused.exception, InputError)
    assert "train.lrr: no such key; did you mean 'train.lr'?" in str(refused.exception)
    assert "x: no such key" in str(refused.exception)
    with_flag = run(place, "plan", "-r", place / "recipe.yaml", "--set", "train.steps=7", "--json")
    assert json.loads(with_flag.stdout)["num_steps"] == 7


def test_nothing_to_train_and_no_such_run_are_told(place):
    assert "say what to train" in str(run(place, "run").exception)
    missing = run(place, "show", "nowhere")
    assert isinstance(missing.exception, NotFound)
    assert "no run 'nowhere'" in str(missing.exception)
