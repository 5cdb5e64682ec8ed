"""`steelyard registry deploy`, as a user runs it: from a version to one that a server runs."""

import json
from dataclasses import replace

import pytest
from tests.adapters.conftest import make_adapter
from tests.adapters.contract_server import BASE, ContractServer, running
from tests.tiny_llm import make_tiny_llm
from typer.testing import CliRunner

from steelyard.cli.program import program
from steelyard.core.errors import InputError
from steelyard.core.tuning import Binding, TuneKind
from steelyard.infra.binding import base_model, write_binding


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))


def run(*words):
    return CliRunner().invoke(program, ["registry", *map(str, words)])


def read(*words):
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def registered(tmp_path):
    """A base, and the id of a version over it."""
    base = make_tiny_llm(tmp_path / "base", initializer_range=0.3)
    folder = make_adapter(base, tmp_path / "artefact")
    binding = Binding(TuneKind.LLM, base_model(base, name=str(base)), "lora", 256)
    options = {"llm.local": str(base), "llm.adapter": "{artefact}"}
    write_binding(folder, replace(binding, options=options))
    return base, read("register", folder, "--name", "support")["id"]


def test_a_version_is_deployed_proved_and_registered_as_what_serves_it(registered):
    base, version = registered
    with running(ContractServer(base)) as server:
        told = read("deploy", version, "--url", server.url)
        name = f"support-{version[1:13]}"
        assert told["model"] == name == next(iter(server.adapters))
        assert "artefacts" in server.adapters[name].parts
        served = read("show", told["version"])
        assert served["options"]["llm.model"] == name
        assert served["options"]["llm.local"] == ""
        assert read("deploy", version, "--url", server.url)["version"] == told["version"]
        assert server.loads == [name]
    assert BASE not in name


def test_what_is_no_tuned_language_model_is_told_its_own_way(registered):
    read("register", "--name", "wide", "--set", "retrieve.pool=100")
    done = run("deploy", "wide", "--url", "http://127.0.0.1:9")
    assert isinstance(done.exception, InputError)
    assert "steelyard registry promote" in str(done.exception)
