"""`steelyard embedder`, as a user runs it."""

import json

import pytest
from typer.testing import CliRunner

from steelyard.cli.program import program
from steelyard.core.errors import InputError, NotFound


@pytest.fixture
def home(tmp_path):
    path = tmp_path / "home"
    path.mkdir()
    (tmp_path / "leave.md").write_text("# Leave\n\nStaff get 31 days of paid leave a year.\n")
    return path


@pytest.fixture
def run(home, monkeypatch):
    monkeypatch.setenv("STEELYARD_HOME", str(home))

    def invoke(*words):
        return CliRunner().invoke(program, words)

    return invoke


def configure(home, model):
    (home / "settings.toml").write_text(f'[embed]\nmodel = "{model}"\n')


def test_a_switch_is_planned_made_told_and_confirmed(run, home, tmp_path):
    configure(home, "hashing")
    assert run("ingest", str(tmp_path / "leave.md")).exit_code == 0
    configure(home, "hashing-32")
    planned = json.loads(run("embedder", "plan", "--json").stdout)
    assert (planned["missing"], planned["num_chunks"], planned["is_home"]) == (1, 1, False)
    made = json.loads(run("embedder", "switch", "--json").stdout)
    assert (made["home"]["dim"], made["other"]["dim"], made["state"]) == (32, 64, "kept")
    assert "kept in step" in run("embedder", "status").stdout
    found = json.loads(run("search", "paid leave", "--json").stdout)
    assert "31 days" in found["hits"][0]["text"]
    assert json.loads(run("embedder", "confirm", "--json").stdout)["let_go"] == "hashing-1-64"
    assert json.loads(run("embedder", "status", "--json").stdout)["state"] == "one"
    assert run("embedder", "switch").exit_code == 0  # nothing to do is no fault
    assert "already" in run("embedder", "plan").stdout


def test_what_there_is_nothing_to_do_about_is_said(run, home):
    assert isinstance(run("embedder", "status").exception, NotFound)
    configure(home, "hashing")
    assert run("keys", "list").exit_code == 0  # makes the home
    for verb, other in (("confirm", "one embedder"), ("cancel", "one embedder")):
        fault = run("embedder", verb).exception
        assert isinstance(fault, InputError)
        assert other in str(fault)
    assert "holds no vectors yet" in str(run("embedder", "switch").exception)
