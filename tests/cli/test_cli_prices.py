"""`steelyard prices`, as a user runs it."""

import json
from datetime import date, timedelta

import pytest
from typer.testing import CliRunner

from steelyard.cli import show
from steelyard.cli.program import program
from steelyard.core.chat import Answer, Usage
from steelyard.core.errors import InputError, NotFound, SetupError
from steelyard.core.ranking import PUBLIC, Query
from steelyard.store import Store

TODAY = date.today()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(show.out, "width", 140)
    return tmp_path / "home"


def run(*words):
    return CliRunner().invoke(program, ["prices", *map(str, words)])


def read(*words):
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_what_holds_is_listed_with_its_range_and_mark():
    shown = run("list", "gpu/h100-sxm")
    assert shown.exit_code == 0, shown.output
    assert "h100-sxm/runpod-secure" in shown.stdout
    assert "2.4 – 12.29" in shown.stdout
    told = read("list", "gpu/h100-sxm", "--on", "2026-11-21")
    assert told["on"] == "2026-11-21"
    chip = next(one for one in told["prices"] if one["item"] == "gpu/h100-sxm")
    assert (chip["usd"], chip["low_usd"], chip["mark"]) == (3.99, 2.4, "vendor")


def test_a_model_is_one_line_with_its_tiers_below():
    lines = run("list", "llm/claude-haiku-5.5", "--on", "2026-11-21").stdout.splitlines()
    assert lines[1].split()[:4] == ["claude-haiku-5.5", "0.1", "0.01", "0.5"]
    assert lines[2].split()[:5] == ["claude-haiku-5.5", "100,000", "0.5", "0.05", "2.5"]


def test_list_prices_of_others_are_shown_where_they_are_asked_for():
    short = run("list")
    assert "gpt-4o" not in short.stdout
    assert "list prices are left out" in short.stderr
    assert "gpt-4o" in run("list", "llm/gpt-4o").stdout
    assert "@" not in run("list", "llm/claude-opus").stdout
    assert len(read("list", "--all")["prices"]) > 3000
    assert run("list", "gpu/h100").stderr == ""


def test_a_promotion_is_shown_with_what_comes_after_it():
    shown = run("show", "llm/gemini-3.6-flash/in", "--on", "2026-12-20").stdout
    assert "holds   llm/gemini-3.6-flash/in: 0.75 USD/Mtoken, to 2026-12-31" in shown
    assert "not now llm/gemini-3.6-flash/in: 1.5 USD/Mtoken, from 2027-01-01" in shown
    assert "ends on 2026-12-31; then 1.5 USD/Mtoken" in shown
    told = read("show", "llm/gemini-3.6-flash/in", "--on", "2027-01-01")
    assert [one["holds"] for one in told["rows"]] == [False, True]
    assert {one["item"] for one in read("show", "llm/gpt-6-luna")["rows"]} == {
        "llm/gpt-6-luna/in", "llm/gpt-6-luna/cached", "llm/gpt-6-luna/out",
    }  # fmt: skip


def test_an_unknown_item_is_named_with_what_is_near():
    done = run("show", "gpu/h100-smx")
    assert isinstance(done.exception, NotFound)
    assert "gpu/h100-sxm" in done.exception.message


def test_ones_own_row_is_added_shown_checked_and_removed(home):
    until = TODAY + timedelta(days=5)
    added = read(
        "add", "gpu/h100-sxm", "--usd", 2.1, "--low", 1.9, "--high", 2.4, "--until", until,
        "--source", "offer 7", "--seller", "Acme",
    )  # fmt: skip
    assert (added["unit"], added["mark"], added["until"]) == ("USD/hour", "user", str(until))
    (warning,) = added["warnings"]
    assert warning == f"ends on {until}; then 3.99 USD/hour"
    rows = read("show", "gpu/h100-sxm")["rows"]
    assert [(one["mark"], one["holds"]) for one in rows] == [("user", True), ("vendor", False)]
    assert "user: Acme, by offer 7" in run("show", "gpu/h100-sxm").stdout
    assert "1 rows, none wrong" in run("check").stdout
    assert warning in run("check").stdout
    assert "what holds now: gpu/h100-sxm: 3.99" in run("remove", "gpu/h100-sxm").stdout
    assert isinstance(run("remove", "gpu/h100-sxm").exception, NotFound)
    assert read("check") == {"rows": []}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("x/y", "--usd", 1), "add --unit"),
        (("llm/a/in", "--usd", -1), "usd -1 is not within 0 and 1,000,000 dollars"),
        (("llm/a/in", "--usd", "nan"), "usd nan is no number"),
        (("llm/a/in", "--usd", 1, "--low", 2), "does not lie between low 2 and high 1"),
        (("llm/a/in", "--usd", 1, "--unit", "USD/token"), "priced in USD/Mtoken"),
        (("llm/a", "--usd", 1), "must end in /in, /cached, /out"),
        (("llm/a/in", "--usd", 1, "--since", "soon"), "--since 'soon' is no day"),
        (
            ("llm/a/in", "--usd", 1, "--since", "2026-02-01", "--until", "2026-01-01"),
            "since 2026-02-01 comes after until 2026-01-01",
        ),
        (("llm/a/in", "--usd", 1, "--seen", "2999-01-01"), "lies ahead of today"),
        (("llm/a/in", "--usd", 1, "--above-tokens", -1), "above_tokens -1 is no whole number"),
    ],
)
def test_a_wrong_row_is_refused_and_nothing_is_written(home, words, told):
    done = run("add", *words)
    assert isinstance(done.exception, InputError), done.output
    assert told in done.exception.message
    assert not home.exists()


def test_a_wrong_file_is_told_by_every_verb(home):
    home.mkdir()
    (home / "prices.toml").write_text("[[price]]\nitem = 'gpu/x'\nusd = -1\n")
    for words in (("list",), ("show", "gpu/x"), ("check",), ("add", "gpu/y", "--usd", 1)):
        done = run(*words)
        assert isinstance(done.exception, SetupError), words
        assert "usd -1 is not within" in done.exception.message


def test_what_was_spent_is_shown_with_what_nobody_knows(home):
    with Store.open(home / "steelyard.db") as store:
        for identity, model in (("a1", "gpt-6-luna"), ("a2", "our-8b")):
            usage = Usage(prompt_tokens=4000, completion_tokens=300, model=model)
            made = Answer(identity, "42", True, (), (), (), usage, "miss", "b", 1, ())
            store.log_answer(Query("why?", PUBLIC, collection="handbook"), made)
    shown = run("spend", "--since", "1d").stdout
    assert shown.splitlines()[1].split() == [
        "handbook", "2", "0", "0", "8,000", "0", "600", "0.000550", "0.5500", "0.00", "50%"
    ]  # fmt: skip
    assert "unknown: 1 questions: no price of 'our-8b'" in shown
    assert "llm/gpt-6-luna/in: 0.1 USD/Mtoken, from 2026-09-22" in shown
    told = read("spend", "--by", "model", "--machine", "gpu/l4")
    assert [one["num_unknown"] for one in told["groups"]] == [0, 0]
    assert "nothing was asked since then" in run("spend", "--since", "2999-01-01").stdout


@pytest.mark.parametrize(
    ("words", "error"),
    [(("--since", "soon"), InputError), (("--by", "moon"), InputError), ((), NotFound)],
)
def test_a_wrong_wish_or_no_home_is_told(home, words, error):
    if words:
        Store.open(home / "steelyard.db").close()
    assert isinstance(run("spend", *words).exception, error)
