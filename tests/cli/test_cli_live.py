"""`steelyard eval ab` and `eval replay` as an operator runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.core.chat import Answer, Asker, Usage
from steelyard.core.ranking import PUBLIC, Query
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
    assert "wide  50% of the users see it" in done.stdout
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
