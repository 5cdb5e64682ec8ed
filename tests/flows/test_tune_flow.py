"""From a file of rows in a home to an artefact: versions, splits, leaks, runs."""

import json

import pytest

pytest.importorskip("torch", reason="the extra `tune` is not installed")

from tests.tune.tiny import recipe_for, retrieval_rows, write_base

from steelyard.core.errors import InputError, NotFound
from steelyard.core.tuning import RunState
from steelyard.datasets.training import find_version, keep, versions
from steelyard.datasets.training.splits import Shares, split_rows
from steelyard.flows import tune as flow
from steelyard.infra.binding import read_binding
from steelyard.tune import read_recipe


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base") / "tiny")


def written(path, rows):
    lines = [
        {"query": row.example.query, "positives": row.example.positives,
         "negatives": row.example.negatives}
        for row in rows
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return str(path)


def test_a_file_becomes_a_version_a_run_and_an_artefact(base, tmp_path):
    home = tmp_path / "home"
    place = written(tmp_path / "asked.jsonl", retrieval_rows(24))
    recipe = recipe_for("embedder", base, **{"data.train": place, "train.steps": 4})
    trained = flow.run(home, recipe, name="first")
    (version,) = versions(home)
    assert version.name == "asked"
    binding = read_binding(trained.artefact)
    assert binding is not None
    assert binding.dataset == version.id[:16]
    (run,) = flow.runs(home)
    assert run.status().state is RunState.DONE
    assert read_recipe(run.recipe).data.train == (version.id[:16],)
    with pytest.raises(InputError, match="is done: its artefact is"):
        flow.resume(home, "first")
    with pytest.raises(InputError, match="is there already"):
        flow.run(home, recipe, name="first")
    with pytest.raises(InputError, match="is done already"):
        flow.cancel(home, "first")


def test_a_version_with_splits_is_learnt_from_by_train_and_measured_on_by_validation(
    base, tmp_path
):
    rows = retrieval_rows(40)
    splits = split_rows(rows, Shares(0.2, 0.1))
    keep(tmp_path, rows, name="asked", recipe={}, splits=splits.of)
    made = flow.ready(tmp_path, recipe_for("embedder", base, **{"data.train": "asked"}))
    identity = find_version(tmp_path, "asked").id[:16]
    assert made.recipe.data.train == (f"{identity}@train",)
    assert made.recipe.data.eval == (f"{identity}@validation",)
    assert len(made.rows.train) == splits.num_rows["train"]
    assert len(made.rows.eval) == splits.num_rows["validation"]


def test_a_place_that_is_nothing_says_what_to_do(base, tmp_path):
    recipe = recipe_for("embedder", base, **{"data.train": "nothing"})
    with pytest.raises(NotFound, match=r"neither a file nor a version.*steelyard data import"):
        flow.ready(tmp_path, recipe)
    with pytest.raises(InputError, match=r"data\.train is missing"):
        flow.ready(tmp_path, recipe_for("embedder", base))
    keep(tmp_path, retrieval_rows(4), name="asked", recipe={})
    with pytest.raises(InputError, match="has no such split; it has none"):
        flow.ready(tmp_path, recipe_for("embedder", base, **{"data.train": "asked@test"}))


def test_a_refused_recipe_leaves_no_run_behind(base, tmp_path):
    place = written(tmp_path / "asked.jsonl", retrieval_rows(4))
    with pytest.raises(InputError, match="at most 2"):
        flow.run(tmp_path, recipe_for("embedder", base, layers=7, **{"data.train": place}))
    assert flow.runs(tmp_path) == ()


def test_an_evaluation_question_among_the_rows_stops_the_run(base, tmp_path):
    folder = tmp_path / "questions" / "held"
    folder.mkdir(parents=True)
    rows = retrieval_rows(6)
    question = {"id": "q1", "question": rows[2].example.query, "answer": "three"}
    (folder / "questions.jsonl").write_text(json.dumps(question) + "\n", encoding="utf-8")
    place = written(tmp_path / "asked.jsonl", rows)
    recipe = recipe_for("embedder", base, **{"data.train": place})
    with pytest.raises(InputError, match=r"of 6 rows hold a question of an evaluation"):
        flow.ready(tmp_path, recipe)
    assert len(flow.ready(tmp_path, recipe, allow_leaks=True).rows.train) == 6


def test_a_plan_loads_no_weights_and_tells_steps_tokens_and_money(base, tmp_path, monkeypatch):
    from steelyard.tune.encoder import Encoder

    place = written(tmp_path / "asked.jsonl", retrieval_rows(24))
    recipe = recipe_for(
        "embedder", base, **{"data.train": place, "train.steps": 0, "train.epochs": 2}
    )

    def loaded(self):
        raise AssertionError("a plan loads nothing")

    monkeypatch.setattr(Encoder, "load", loaded)
    plan = flow.plan(tmp_path, recipe)
    assert (plan.num_examples, plan.num_steps) == (24, 12)
    assert plan.run_tokens == 2 * plan.epoch_tokens
    account = plan.accounts["train"]
    assert account.kept + account.truncated + account.dropped == account.total
    assert plan.seconds == 0.0
    assert {"H100 SXM", "L4"} <= {cost.offer for cost in plan.costs}
    assert any("look it up again" in cost.note for cost in plan.costs)
