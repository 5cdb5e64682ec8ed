"""One command from rows to a served improvement, or to a refusal that changes nothing."""

import json

import pytest
from tests.tune.tiny import labelled_rows, retrieval_rows, write_base
from typer.testing import CliRunner

from steelyard.cli.program import program
from steelyard.core.errors import InputError
from steelyard.core.registry import Alias
from steelyard.datasets.training import keep
from steelyard.flows.tuned import held_out
from steelyard.store import DATABASE, Store
from steelyard.tune import make_recipe

torch = pytest.importorskip("torch", reason="the extra `tune` is not installed")

ROWS = retrieval_rows(48)
FLAGS = ("--kind", "reranker", "--run", "first", "--set", "threads=1", "--set", "max_tokens=32")
SHORT = ("--set", "train.steps=3", "--set", "train.batch_size=4", "--set", "lora.rank=2")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    home = tmp_path / "home"
    home.mkdir()
    (home / "settings.toml").write_text('[embed]\nmodel = "hashing"\n')
    return home


@pytest.fixture
def data(home):
    """A version of 48 rows: 32 to learn from, 8 to choose the best step by, 8 to weigh on."""
    plain = keep(home, ROWS, name="plain", recipe={"verb": "import"}).version
    from steelyard.datasets.training import read_index

    names = ("train",) * 32 + ("validation",) * 8 + ("test",) * 8
    rows = [one.sha256 for one in read_index(home, plain)]
    splits = dict(zip(rows, names, strict=True))
    return keep(home, ROWS, name="split", recipe={"verb": "split"}, splits=splits).version


def run(home, *words):
    return CliRunner().invoke(program, ["--home", str(home), *map(str, words)])


@pytest.mark.parametrize(("place", "num"), [("@train", 8), ("@test", 8)])
def test_what_is_weighed_on_was_not_learnt_from(home, data, place, num):
    recipe = make_recipe(
        {},
        flags={
            "kind": "reranker",
            "base": "x",
            "data.train": [f"{data.id}{place}"],
            "data.eval": [f"{data.id}@validation"],
        },
    )
    asked = {question.text for question in held_out(home, recipe).questions}
    assert len(asked) == num
    from steelyard.datasets.training import read_kept

    wanted = "test" if place == "@train" else "validation"  # who learns from the test has none
    assert asked == {row.example.query for row in read_kept(home, data, split=wanted)}
    passages = {one.text for one in held_out(home, recipe).documents}
    learnt = read_kept(home, data, split=place[1:])
    assert {text for row in learnt for text in row.example.positives} <= passages


def test_rows_go_to_a_served_reranker_by_two_commands_or_one(home, data, tmp_path):
    base = write_base(tmp_path / "base")
    train = ("--train", f"{data.id}@train", "--base", base, *FLAGS, *SHORT, "--no-track")
    done = run(home, "tune", "run", *train, "--promote", "--json")
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    told = json.loads(done.stdout)  # trained for three steps: the gate has no reason to like it
    assert (done.exit_code, told["promotion"]["promoted"]) == (1, False), done.output
    version = told["promotion"]["version"]
    with Store.open(home / DATABASE) as store:
        assert store.aliases() == {"reranker": {Alias.CHALLENGER: version}}
        kept = store.version(version)
    assert kept.binding.run == "first"
    assert kept.binding.dataset.startswith(data.id[:8])
    lax = ("--non-inferior", "nDCG@10:-2")
    done = run(home, "tune", "promote", "first", *lax, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["version"] == version  # the same content, the same version
    done = run(home, "settings", "--json")
    served = json.loads(done.stdout)["settings"]["rerank.adapter"]
    assert served["origin"] == f"registry {version}"
    lines = run(home, "registry", "lineage", "champion").stdout.splitlines()
    assert [line.lstrip("├└─│ ").split(" ")[0] for line in lines] == [
        "version", "run", "data", "base",
    ]  # fmt: skip
    assert run(home, "registry", "verify").exit_code == 0


def test_what_cannot_be_promoted_is_said_before_it_is_trained(home, data):
    train = ("tune", "run", "--train", data.id, *FLAGS, "--promote")
    done = run(home, *train, "--data", "nowhere")
    assert "nowhere" in str(done.exception)
    keep(home, labelled_rows(8), name="labels", recipe={"verb": "import"})
    done = run(home, "tune", "run", "--kind", "classifier", "--train", "labels", "--promote")
    assert isinstance(done.exception, InputError)
    assert "nothing of Steelyard is served by a classifier" in str(done.exception)
    keep(home, ROWS[:9], name="whole", recipe={"verb": "import"})
    done = run(home, "tune", "run", "--kind", "reranker", "--train", "whole", "--promote")
    assert "nothing was held out" in str(done.exception)
    assert not (home / "tune").exists()
