"""`steelyard cache check` and `tune`, as a user runs them."""

import json

import pytest
from typer.testing import CliRunner

from steelyard.cli.program import program
from steelyard.core.errors import InputError, SetupError
from steelyard.settings import load_settings, save_option


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_EMBED_MODEL", "hashing")
    monkeypatch.setenv("STEELYARD_HOME", str(tmp_path / "home"))

    def invoke(*words):
        return CliRunner().invoke(program, ["cache", *words])

    return invoke


def write_pairs(path, number):
    rows = [{"a": f"pay {n} euros", "b": f"pay {n + 1} euros", "label": 0} for n in range(number)]
    rows.append({"a": "How do I pay?", "b": "How can I pay?", "label": 1, "kind": "paraphrase"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_check_reports_by_kind_as_json_and_as_a_table(run, tmp_path):
    pairs = write_pairs(tmp_path / "p.jsonl", 5)
    found = json.loads(run("check", "--pairs", pairs, "--threshold", "0", "--json").stdout)
    assert found["wrong_hits"] == 0
    assert found["kinds"]["number"]["different"] == 5
    assert found["kinds"]["number"]["wrong_rate_upper"] == pytest.approx(0.4507, abs=1e-4)
    assert found["kinds"]["paraphrase"]["true_hits"] == 1
    assert "number" in run("check", "--pairs", pairs).stdout


def test_tune_writes_the_threshold_and_keeps_what_else_is_there(run, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    text = '# mine\n[cache]\nmode = "exact"  # for now\n\n[serve]\nport = 9000\n'
    (home / "settings.toml").write_text(text)
    pairs = write_pairs(tmp_path / "p.jsonl", 300)
    assert "written" in run("tune", "--pairs", pairs, "--dry-run", "--json").stdout
    assert (home / "settings.toml").read_text() == text
    assert json.loads(run("tune", "--pairs", pairs, "--json").stdout)["threshold"] == 0.5
    settings = load_settings(home, environment={}).settings
    assert (settings.cache.threshold, settings.cache.mode, settings.serve.port) == (
        0.5,
        "exact",
        9000,
    )
    assert "# mine" in (home / "settings.toml").read_text()


def test_tune_with_too_few_pairs_says_how_many_it_takes_and_writes_nothing(run, tmp_path):
    done = run("tune", "--pairs", write_pairs(tmp_path / "p.jsonl", 5))
    assert isinstance(done.exception, InputError)
    assert "give at least 299" in str(done.exception)
    assert not (tmp_path / "home" / "settings.toml").exists()


@pytest.mark.parametrize(
    "before",
    [
        "",
        "[cache]\n",
        "[cache]\nthreshold = 0.5\nmode = 'on'",
        "[a]\nb = 1\n\n[cache] # x\n[c]\nd=1",
    ],
)
def test_an_option_is_saved_into_any_usual_file(tmp_path, before):
    (tmp_path / "settings.toml").write_text(before)
    save_option(tmp_path, "cache.threshold", 0.9)
    save_option(tmp_path, "cache.threshold", 0.7)
    text = (tmp_path / "settings.toml").read_text()
    assert text.count("threshold") == 1
    assert "threshold = 0.7" in text


def test_a_file_written_too_freely_is_left_alone(tmp_path):
    (tmp_path / "settings.toml").write_text("cache.threshold = 0.5\n")
    with pytest.raises(SetupError, match=r"threshold = 0\.9"):
        save_option(tmp_path, "cache.threshold", 0.9)
    assert (tmp_path / "settings.toml").read_text() == "cache.threshold = 0.5\n"
