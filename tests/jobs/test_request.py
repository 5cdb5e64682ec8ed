"""What a job asks for, as a recipe."""

import pytest

from steelyard.core.errors import InputError
from steelyard.core.training import Kind
from steelyard.core.tuning import TuneKind
from steelyard.jobs import Hyperparameters, JobRequest, kind_of, recipe_of


def test_what_is_left_open_is_not_in_the_recipe():
    recipe = recipe_of(JobRequest("base", "file-1"), TuneKind.LLM, dataset="abc", usual_lr=2e-4)
    data = {"train": "abc"}
    assert recipe == {"kind": "llm", "base": "base", "threads": 1, "data": data}


def test_dpo_has_its_loss_its_beta_and_a_rate_of_its_own():
    asked = Hyperparameters(beta=0.2, learning_rate_multiplier=2.0)
    request = JobRequest("base", "file-1", method="dpo", hyperparameters=asked, seed=3)
    recipe = recipe_of(request, TuneKind.LLM, dataset="abc", held_out="def", usual_lr=2e-4)
    assert recipe["llm"] == {"loss": "dpo", "beta": 0.2}
    assert recipe["train"] == {"lr": pytest.approx(4e-5)}
    assert recipe["data"] == {"train": "abc", "eval": "def"}
    assert recipe["seed"] == 3


def test_our_own_part_of_a_recipe_counts_more_section_by_section():
    asked = Hyperparameters(n_epochs=2, batch_size=4)
    ours = {"threads": 2, "train": {"epochs": 0.5}, "lora": {"rank": 4}}
    request = JobRequest("base", "file-1", hyperparameters=asked, recipe=ours)
    recipe = recipe_of(request, TuneKind.READER, dataset="abc", usual_lr=2e-4)
    assert recipe["train"] == {"epochs": 0.5, "batch_size": 4}
    assert (recipe["threads"], recipe["lora"]) == (2, {"rank": 4})


@pytest.mark.parametrize(
    ("rows", "method", "kind", "expected"),
    [
        (Kind.CHAT, "supervised", "", TuneKind.LLM),
        (Kind.PREFERENCE, "dpo", "", TuneKind.LLM),
        (Kind.READER, "supervised", "", TuneKind.READER),
        (Kind.LABELLED, "supervised", "", TuneKind.CLASSIFIER),
        (Kind.RETRIEVAL, "supervised", "reranker", TuneKind.RERANKER),
    ],
)
def test_rows_tell_what_is_trained(rows, method, kind, expected):
    assert kind_of(JobRequest("base", "file-1", method=method, kind=kind), rows) is expected


@pytest.mark.parametrize(
    ("rows", "method", "kind", "told"),
    [
        (Kind.CHAT, "dpo", "", "'dpo' learns from preference rows"),
        (Kind.PREFERENCE, "supervised", "", "'supervised' learns from chat rows"),
        (Kind.RETRIEVAL, "supervised", "", "embedder or reranker"),
        (Kind.RETRIEVAL, "supervised", "llm", "does not learn from retrieval rows"),
        (Kind.CHAT, "supervised", "poet", "'poet' is none of"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows, method, kind, told):
    with pytest.raises(InputError, match=told):
        kind_of(JobRequest("base", "file-1", method=method, kind=kind), rows)
