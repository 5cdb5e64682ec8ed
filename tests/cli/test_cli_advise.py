"""`steelyard advise` as a user calls it."""

import json
import re

import pytest
from typer.testing import CliRunner

from steelyard.cli import show
from steelyard.cli.program import program
from steelyard.core.errors import InputError, NotFound


@pytest.fixture(autouse=True)
def eighty(monkeypatch):
    monkeypatch.setattr(show.out, "width", 80)


def run(*words: str):
    done = CliRunner().invoke(program, ["advise", *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


@pytest.mark.parametrize("name", ["support-bot", "internal-kb"])
def test_a_named_scenario_prints_the_comparison_with_reasons(tmp_path, name: str):
    told = run("--home", str(tmp_path), "--scenario", name, "--draws", "300")
    for words in ("rag@api", "tuned+rag@gpu", "What would flip it", "Break-even", "Measure first",
                  "stated default"):  # fmt: skip
        assert words in told
    table = [line for line in told.splitlines() if re.match(r"[a-z+]+@.*(%|–)$", line)]
    assert len(table) >= 6
    assert all("…" not in line and len(line) <= 80 for line in table)


def test_json_has_the_same_numbers(tmp_path):
    words = ("--home", str(tmp_path), "--scenario", "support-bot", "--draws", "300")
    told = json.loads(run(*words, "--json"))
    shown = run(*words)
    row = next(one for one in told["options"] if one["option"] == "rag@api")
    assert f"{row['total_usd']['value']:,.0f}" in shown
    assert told["scenario"]["inputs"]["questions_per_day"]["value"] == 1_000_000


def test_an_input_may_be_a_range(tmp_path):
    told = json.loads(
        run("--home", str(tmp_path), "--set", "churn=0.1..0.2..0.4", "--set", "citations=true",
            "--set", "growth=0..0.1", "--draws", "100", "--json")
    )  # fmt: skip
    inputs = told["scenario"]["inputs"]
    assert (inputs["churn"]["low"], inputs["churn"]["high"]) == (0.1, 0.4)
    assert inputs["growth"]["value"] == 0.05
    assert told["scenario"]["choices"]["citations"] is True


def test_a_scenario_of_ones_own_is_a_file(tmp_path):
    (tmp_path / "desk.toml").write_text('title = "Our desk"\nquestions_per_day = 50\n')
    assert "Our desk" in run("--home", str(tmp_path), "-s", str(tmp_path / "desk.toml"))
    (tmp_path / "bad.toml").write_text("questions_per_day = ")
    with pytest.raises(InputError, match=r"bad\.toml' is no scenario"):
        run("-s", str(tmp_path / "bad.toml"))


def test_a_number_tells_its_formula_down_to_the_sources(tmp_path):
    told = run("--home", str(tmp_path), "--why", "rag@api total", "--draws", "100")
    assert "rag@api total" in told.splitlines()[0]
    assert "price of llm/gpt-6-luna/in" in told
    assert "2026-09-22" in told
    with pytest.raises(NotFound, match=r"near it: .*rag@api total"):
        run("--home", str(tmp_path), "--why", "rag@api totl", "--draws", "100")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scenario", "nope"), "there is no scenario 'nope'"),
        (("--set", "churn=-1"), "churn: -1.0 is no number from 0 to 10"),
        (("--set", "churn=1..2..3", "--set", "chrn=1"), "did you mean 'churn'"),
        (("--set", "api_model=gpt-99"), "no price is known of 'llm/gpt-99/in'"),
        (("--on", "tomorrow"), "write it like 2026-11-21"),
        (("--on", "2020-01-01"), "has no price on 2020-01-01"),
        (("--report", "nothing.json"), "cannot be read"),
        (("--report", "last"), "keeps no runs"),
    ],
)
def test_bad_input_is_one_error_that_names_the_repair(tmp_path, words, said: str):
    with pytest.raises((InputError, NotFound)) as told:
        run("--home", str(tmp_path), *words)
    assert said in told.value.message


def test_scenarios_are_listed():
    assert "support-bot" in run("scenarios")


def test_the_published_comparison_fits_a_terminal_and_one_figure_tells_its_formulas(tmp_path):
    table = run("published", "--home", str(tmp_path))
    rows = [line for line in table.splitlines() if line.startswith(("support-bot", "internal-kb"))]
    assert len(rows) == 4
    assert all(len(line) <= 80 for line in table.splitlines())
    alone = run("published", "support-bot-rag", "--home", str(tmp_path))
    assert "retrieval, twelve months = rag once + " in " ".join(alone.split())
    told = json.loads(run("published", "--json", "--home", str(tmp_path)))
    assert {one["scenario"] for one in told["scenarios"]} == {
        "published-support-bot", "published-internal-kb",
    }  # fmt: skip
    with pytest.raises(NotFound, match="near it: support-bot-rag"):
        run("published", "support-bot-rig", "--home", str(tmp_path))


def test_the_page_for_who_decides_is_a_file_with_the_same_numbers(tmp_path):
    page = tmp_path / "costs.html"
    words = ("--home", str(tmp_path), "--scenario", "internal-kb", "--draws", "300")
    told = json.loads(run(*words, "--html", str(page), "--json"))
    written = page.read_text(encoding="utf-8")
    for row in told["options"]:
        assert f"{row['total_usd']['value']:,.0f}" in written
    assert "<script" not in written


def test_a_page_that_cannot_be_written_is_said_before_anything_is_computed(tmp_path):
    with pytest.raises(InputError, match="in a folder that exists"):
        run("--home", str(tmp_path), "--html", str(tmp_path / "none" / "costs.html"))


def test_capacity_fits_a_terminal_and_says_what_was_not_measured():
    told = run("capacity", "--set", "chunks=1e9", "--set", "questions_per_s=1e5")
    tables = told.split("! truth")[0]
    assert all(len(line) <= 80 for line in tables.splitlines())
    assert "Milvus cluster" in told
    assert "nothing of the kind has been run" in " ".join(told.split())
    found = json.loads(run("capacity", "--scenario", "support-bot", "--json"))
    assert {one["name"] for one in found["figures"]} >= {"servers", "GPUs", "memory for one copy"}


def test_what_is_wrong_with_a_size_is_said_all_at_once():
    with pytest.raises(InputError) as told:
        run("capacity", "--set", "chunks=-1", "--set", "cores=many", "--set", "corse=4")
    for words in ("chunks: -1", "from 0 to 1e+09", "cores: 'many'", "did you mean 'cores'"):
        assert words in told.value.message
