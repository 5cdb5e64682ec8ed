"""`steelyard eval ab` and `eval replay` as an operator runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.core.chat import Answer, Asker, Usage
from steelyard.core.ranking import PUBLIC, Principal, Query
from steelyard.store import Store

ENV = {**os.environ, "STEELYARD_EMBED_MODEL": "hashing", "COLUMNS": "140", "NO_COLOR": "1"}
STEELYARD = [sys.executable, "-m", "steelyard"]


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*STEELYARD, *words], cwd=cwd, env=ENV, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def answer(identity: str, text: str = "42", **fields: object) -> Answer:
    given = {
        "answerable": True, "citations": (), "unsupported": (), "sources": (),
        "usage": Usage({"total": 12.0}), "cache": "miss", "bundle": "b1", "snapshot": 1,
        "degraded": (),
    }  # fmt: skip
    return Answer(id=identity, text=text, **given | fields)  # type: ignore[arg-type]


@pytest.fixture
def compared(tmp_path: Path) -> Path:
    store = Store.open(tmp_path / ".steelyard" / "steelyard.db")
    options = {"retrieve.pool": 100, "context.order": "best"}
    key = store.open_experiment(
        "wide", share=0.5, champion="b1", challenger="b2", options=options
    )  # fmt: skip
    for n in range(80):
        asker = Asker(f"u{n}", key, "challenger" if n % 2 else "champion")
        store.log_answer(Query("Why?", PUBLIC), answer(f"a{n}"), asker=asker)
        store.add_feedback(f"a{n}", "up" if n % 3 else "down", principal=PUBLIC)
    store.close()
    return tmp_path


def test_ab_prints_both_sides_and_the_lines_that_would_promote(compared):
    done = run("eval", "ab", cwd=compared)
    assert done.returncode == 0, done.stderr
    assert "wide  50% of the users see it, first on 20" in done.stdout
    assert "underpowered" in done.stdout
    assert "more users" in done.stdout
    assert '[context]\norder = "best"\n\n[retrieve]\npool = 100' in done.stdout


def test_ab_in_json_has_no_number_that_is_none(compared):
    told = json.loads(run("eval", "ab", "wide", "--json", cwd=compared).stdout)
    assert [side["users"] for side in told["sides"]] == [40, 40]
    assert {one["measure"] for one in told["differences"]} == {
        "up", "down", "answered", "unsupported", "failed", "mean_ms",
    }  # fmt: skip
    assert told["promote"].startswith("[context]")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("eval", "ab", "other"), "no live comparison is called 'other'; there are 'wide'"),
        (("--home", "nowhere", "eval", "ab"), "there is no home at 'nowhere'"),
    ],
)
def test_ab_says_in_one_line_what_is_not_there(compared, words, said):
    done = run(*words, cwd=compared)
    assert done.returncode != 0
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (compared / "nowhere").exists()


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """A home with a document, which two people have asked about; one is of HR."""
    (tmp_path / "leave.md").write_text("Staff get 31 days of paid leave a year.", encoding="utf-8")
    assert run("ingest", "leave.md", cwd=tmp_path).returncode == 0
    store = Store.open(tmp_path / ".steelyard" / "steelyard.db")
    for n in range(6):
        query = Query(f"How many days of leave in case {n}?", PUBLIC, k=4)
        store.log_answer(query, answer(f"a{n}", "31 days"), asker=Asker(f"u{n}"))
    hr = Principal("ann", frozenset({"hr", "public"}))
    store.log_answer(Query("What of directors?", hr, k=4), answer("h1"), asker=Asker("ann"))
    store.close()
    return tmp_path


def test_replay_weighs_the_log_against_other_ways_to_answer(asked):
    (asked / "more.toml").write_text('[words]\nbase = "rag"\nretrieve.legs = "lexical"\n')
    words = (
        "--arm",
        "wide=rag k=20",
        "--arms-file",
        "more.toml",
        "--html",
        "r.html",
        "--json",
        "-",
    )
    done = run("eval", "replay", "--last", "4", "--since", "1h", *words, cwd=asked)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [arm["name"] for arm in told["arms"]] == ["rag", "wide", "words", "served"]
    assert told["question_ids"] == ["a5", "a4", "a3", "a2"]
    assert len(set(told["clusters"])) == 4
    assert all(value is not None for value in told["values"]["rag"]["agree_F1"])
    assert all(value is None for value in told["values"]["served"]["agree_F1"])
    assert "agree_F1" in (asked / "r.html").read_text(encoding="utf-8")
    assert "directors" not in (asked / "r.html").read_text(encoding="utf-8")
    listed = json.loads(run("eval", "list", "--json", cwd=asked).stdout)
    assert listed[0]["set_name"] == "replay"


def test_replay_takes_along_what_others_asked_only_if_it_is_told_to(asked):
    done = run("eval", "replay", "--as-asked", "--json", "-", cwd=asked)
    assert "h1" in json.loads(done.stdout)["question_ids"]


REFUSED = {
    ("--measures", "F1,nDCG@10"): "F1, nDCG@10: the log has no gold",
    ("--since", "yesterday"): "write 30m, 12h, 7d or 2w",
    ("--since", "0d"): "is no span of time",
    ("--arms", "oracle"): "'oracle' needs gold",
    ("--arms", "hybrid"): "'hybrid' only searches",
    ("--arm", "there=rag home=.steelyard"): "the log is this home's",
    ("--arm", "served=rag"): "call the arm something else",
    ("--baseline", "other"): "none of the arms rag, served",
    ("--json", "no/such/folder.json"): "name a file",
}


@pytest.mark.parametrize("words", REFUSED)
def test_replay_refuses_in_one_line_what_it_cannot_do(asked, words):
    done = run("eval", "replay", *words, cwd=asked)
    assert done.returncode != 0
    assert REFUSED[words] in done.stderr
    assert done.stderr.count("\n") == 1
