"""`steelyard registry`, as a user runs it."""

import json

import pytest
from typer.testing import CliRunner

from steelyard.cli.program import program
from steelyard.core.errors import InputError, NotFound
from steelyard.core.tuning import Binding, TuneKind
from steelyard.infra.binding import base_model, write_binding


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "home"


def run(*words):
    return CliRunner().invoke(program, ["registry", *map(str, words)])


def read(*words):
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def options(name, *pairs):
    return read("register", "--name", name, *(word for pair in pairs for word in ("--set", pair)))


@pytest.fixture
def artefact(tmp_path):
    """An adapter's folder, and the base that it says it was trained on."""
    base, folder = tmp_path / "base", tmp_path / "run-9" / "artefact"
    for path in (base, folder):
        path.mkdir(parents=True)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        (base / name).write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    binding = Binding(TuneKind.RERANKER, base_model(base, name=str(base)), "lora", 128, run="run-9")
    write_binding(folder, binding)
    return folder


def test_a_version_goes_from_a_folder_to_champion_and_back(artefact):
    made = read("register", artefact)
    assert (made["name"], made["known"], made["aliases"]) == ("run-9", False, [])
    assert read("register", artefact)["known"]
    done = run("promote", "run-9")
    assert isinstance(done.exception, InputError)
    assert "was not weighed" in str(done.exception)
    told = read("promote", "run-9", "--force", "--why", "it is the first")
    assert (told["promoted"], told["event"]["forced"]) == (True, True)
    assert read("show", "champion")["aliases"] == ["champion"]
    assert "it is the first" in run("show", "champion").stdout
    assert read("rollback", "--why", "slow")["version"] == ""
    events = read("history")
    assert [one["action"] for one in events] == ["register", "promote", "rollback"]
    assert "forced past the gate" in " ".join(run("history").stdout.split())
    assert "previous" in run("list").stdout


def test_what_serves_is_shown_by_the_settings(home):
    made = options("wide", "retrieve.pool=100")
    read("promote", "wide", "--force", "--why", "x")
    (home / "settings.toml").write_text("[retrieve]\npool = 30\n")
    done = CliRunner().invoke(program, ["settings", "--json"])
    told = json.loads(done.stdout)
    origin = f"registry {made['id']}"
    assert told["settings"]["retrieve.pool"] == {"value": 100, "origin": origin}
    assert "gives way to" in told["notes"][0]


def test_two_versions_are_compared(artefact):
    options("wide", "retrieve.pool=100")
    options("narrow", "retrieve.pool=20", "retrieve.legs=dense")
    told = read("compare", "wide", "narrow")
    assert told["options"]["retrieve.pool"] == [100, 20]
    shown = run("compare", "wide", "narrow").stdout
    assert "retrieve.legs" in shown
    assert "they differ in nothing" in run("compare", "wide", "wide").stdout


def test_verify_exits_with_1_and_names_the_file_that_changed(home, artefact):
    made = read("register", artefact)
    assert run("verify").exit_code == 0
    path = home / "registry" / "artefacts" / made["artefact"] / "files" / "steelyard.json"
    path.write_text(path.read_text() + " ")
    done = run("verify")
    assert done.exit_code == 1
    assert "steelyard.json was changed" in done.stdout
    assert json.loads(run("verify", "--json").stdout)["versions"][0]["faults"]


def test_a_lineage_is_a_tree_of_lines(artefact):
    read("register", artefact)
    version, ran, base = run("lineage", "run-9").stdout.strip().splitlines()
    assert version.startswith("version run-9 v")
    assert ran.startswith("├─ run run-9 (not here)")
    assert base.startswith("└─ base ")


@pytest.mark.parametrize(
    ("words", "error", "told"),
    [
        (("show", "nobody"), NotFound, "no version 'nobody'"),
        (("promote", "wide", "--force"), InputError, "--force --why"),
        (("promote", "wide", "-d", "nowhere.jsonl"), InputError, "nowhere.jsonl"),
        (("promote", "wide", "-d", ".", "--non-inferior", "x"), InputError, "no margin in 'x'"),
        (("export", "wide", "out"), InputError, "options alone"),
        (("register", "/nowhere"), InputError, "no folder"),
        (("register", "--name", "x", "--set", "retrieve.pol=1"), InputError, "did you mean"),
        (("rollback",), InputError, "nothing to roll back"),
    ],
)
def test_what_is_wrong_is_one_sentence(words, error, told):
    options("wide", "retrieve.pool=100")
    done = run(*words)
    assert isinstance(done.exception, error), done.exception
    assert told in str(done.exception)


def test_a_home_that_is_not_there_is_not_made(home):
    assert isinstance(run("list").exception, NotFound)
    assert not home.exists()
