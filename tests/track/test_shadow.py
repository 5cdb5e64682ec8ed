"""Runs in MLflow's own SQLite store, read back through MLflow's own client."""

import json
import sys
import warnings

import pytest

from steelyard.core.errors import NotFound, SetupError
from steelyard.flows.tracking import note_environment, track
from steelyard.jobs import RUNS
from steelyard.track import STORE

pytest.importorskip("mlflow", reason="the extra `tune` is not installed")

RECIPE = """kind: reranker
base: all-MiniLM-L6-v2
train:
  lr: 0.0002
  epochs: 2
"""


def write_run(home, name, *, steps, state="running", first=1):
    """Write a run's folder as training does."""
    folder = home / RUNS / name
    (folder / "artefact").mkdir(parents=True, exist_ok=True)
    (folder / "artefact" / "adapter_config.json").write_text("{}")
    fields = {"state": state, "kind": "reranker", "step": steps, "num_steps": 10,
              "started_at": 1_000.0, "updated_at": 1_010.0, "dataset": "abcdef"}  # fmt: skip
    (folder / "state.json").write_text(json.dumps(fields))
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "plan.json").write_text(json.dumps({"steps": 10, "memory": {"gib": 0.5}}))
    accounting = {"train": {"kept": 90, "truncated": 8, "dropped": 2}}
    (folder / "accounting.json").write_text(json.dumps(accounting))
    with (folder / "metrics.jsonl").open("a") as file:
        for step in range(first, steps + 1):
            row = {"step": step, "loss": 1 / step, "lr": 1e-4, "tokens": step, "at": 1_000.0 + step}
            file.write(json.dumps(row) + "\n")
        file.write(json.dumps({"step": steps, "at": 1_010.0, "eval": {"nDCG@10": 0.5}}) + "\n")
        file.write('{"step": 99, "lo')  # being written
    return folder


@pytest.fixture(scope="module")
def damage(tmp_path_factory):
    """What is said of a damaged store; `home` is its home."""
    home = tmp_path_factory.mktemp("home")
    folder = write_run(home, "first", steps=3)
    note_environment(folder)
    write_run(home, "other", steps=1, state="failed")
    (home / STORE).write_bytes(b"this is no database, and was never one" * 100)
    with pytest.raises(SetupError) as raised:
        track(home)
    raised.value.home = home
    return raised.value


@pytest.fixture(scope="module")
def home(damage):
    """One store for all tests, made again where a damaged one was: making one takes seconds."""
    assert sorted(track(damage.home, rebuild=True)) == ["first", "other"]
    return damage.home


@pytest.fixture
def client(home):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.tracking import MlflowClient

        yield MlflowClient(tracking_uri=f"sqlite:///{home}/./{STORE}")


def the(client, name):
    experiment = client.get_experiment_by_name("steelyard")
    found = client.search_runs([experiment.experiment_id], f"tags.`steelyard.run` = '{name}'")
    assert len(found) == 1
    return found[0]


def test_mlflow_reads_parameters_metrics_dataset_environment_and_artefact(home, client):
    run = the(client, "first")
    assert run.info.status == "RUNNING"
    assert run.info.start_time == 1_000_000
    assert run.data.params["train.lr"] == "0.0002"
    assert run.data.params["plan.memory.gib"] == "0.5"
    assert run.data.metrics["eval_nDCG_at_10"] == 0.5
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.value) for one in losses] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert run.data.tags["steelyard.dataset"] == "abcdef"
    assert json.loads(run.data.tags["steelyard.accounting"])["train"]["dropped"] == 2
    assert run.data.tags["env.python"] == ".".join(map(str, sys.version_info[:3]))
    assert run.data.tags["env.torch"]
    [artefact] = client.list_artifacts(run.info.run_id)  # by reference: it is nowhere twice
    assert artefact.path == "adapter_config.json"
    assert the(client, "other").info.status == "FAILED"


def test_a_run_that_went_on_is_brought_up_to_date_once(home, client):
    folder = home / RUNS / "first"
    text = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(text[: text.rfind("\n") + 1])
    write_run(home, "first", steps=5, first=4, state="done")
    for _ in range(2):
        assert track(home, ["first"]) == ["first"]
    run = the(client, "first")
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert [one.step for one in losses] == [1, 2, 3, 4, 5]
    assert run.info.status == "FINISHED"
    assert run.info.end_time == 1_010_000


def test_a_lost_or_damaged_store_is_made_again_from_the_runs(home, damage, client):  # FIELD 22
    assert "cannot be used" in damage.message
    assert damage.message.endswith("steelyard tune track --rebuild")
    assert the(client, "first").data.params["kind"] == "reranker"
    assert [path.name for path in (home / STORE).parent.glob("*mlflow.db*")] == [STORE.name]


def test_mlflows_file_store_is_gone_so_ours_is_a_database(tmp_path):  # FIELD 22
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        with pytest.raises(MlflowException, match="database backend"):
            MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri()).create_experiment("x")


def test_an_unknown_run_is_told_before_the_store_is_opened(tmp_path):
    with pytest.raises(NotFound, match="no training run 'nobody'"):
        track(tmp_path, ["nobody"])
    assert not (tmp_path / STORE).exists()
