"""`steelyard data`, as a user runs it."""

import json

import pytest
from typer.testing import CliRunner

from steelyard.cli.program import program
from steelyard.core.errors import InputError, NotFound
from steelyard.datasets import Verdict, queue

PAGE = """# Gates

| Gate | Extension | Owner |
|---|---|---|
| North | 5511 | Ana Reis |
| South | 5512 | Bo Lind |

Recordings of the cameras are kept for 21 days.
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_EMBED_MODEL", "hashing")
    monkeypatch.setenv("STEELYARD_HOME", str(tmp_path / "home"))
    (tmp_path / "gates.md").write_text(PAGE)
    done = CliRunner().invoke(program, ["ingest", str(tmp_path / "gates.md")])
    assert done.exit_code == 0, done.output
    return tmp_path / "home"


def run(*words, **options):
    return CliRunner().invoke(program, ["data", *map(str, words)], **options)


def read(*words):
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_from_documents_to_a_reviewed_and_exported_set(home, tmp_path):
    made = read("questions", "gates", "--limit", 10)
    assert made["added"] == sum(made["types"].values()) >= 4
    assert read("questions", "gates", "--limit", 10)["added"] == 0
    assert isinstance(run("check", "gates").exception, InputError)  # nobody has accepted any yet

    waiting = read("review", "gates")["questions"]
    first, second, third = (one["id"] for one in waiting[:3])
    read("review", "gates", "--accept", first, "--reject", second)
    edited = read("review", "gates", "--edit", third, "--question", "Which one?", "--answer", "x")
    assert edited["questions"][0]["answers"] == ["x"]
    assert len(read("review", "gates")["questions"]) == len(waiting) - 3
    assert read("check", "gates")["questions"] == 2
    assert read("check", "gates", "--unreviewed")["questions"] == len(waiting) - 1

    read("review", "gates", "--accept", "all")
    (row,) = read("list")["sets"]
    assert (row["pending"], row["reject"], row["edit"]) == (0, 1, 1)
    read("export", "gates", tmp_path / "out", "--form", "trec")
    assert read("check", tmp_path / "out")["questions"] == len(waiting) - 1


def test_a_set_over_the_home_is_carried_away_with_its_documents(home, tmp_path):
    read("questions", "gates", "--limit", 10)
    options = ("--unreviewed", "--form", "beir")
    alone = run("export", "gates", tmp_path / "alone", *options).exception
    assert "--with-documents" in alone.message
    read("export", "gates", tmp_path / "beir", "--with-documents", *options)
    assert read("check", tmp_path / "beir")["documents"] == 1
    read("export", "gates", tmp_path / "ours", "--with-documents", "--unreviewed")
    carried, here = read("check", tmp_path / "ours"), read("check", "gates", "--unreviewed")
    assert carried["documents"] == 1
    assert carried["spans"] == here["spans"] > 0


def test_keys_in_the_terminal_decide_one_question_at_a_time(home, monkeypatch):
    read("questions", "gates", "--limit", 10)
    keys = iter(["x", "a", "r", "s", "e", "q"])
    monkeypatch.setattr("click.getchar", lambda: next(keys))
    monkeypatch.setattr("steelyard.cli.data_review._at_a_terminal", lambda: True)
    done = run("review", "gates", "--by", "ann", input="Better?\n-\n")
    assert done.exit_code == 0, done.output
    items = queue(home / "questions/gates")
    assert [item.verdict for item in items[:4]] == [
        Verdict.ACCEPT,
        Verdict.REJECT,
        Verdict.PENDING,
        Verdict.EDIT,
    ]
    assert (items[3].question, items[3].answerable, items[3].by) == ("Better?", False, "ann")
    assert f"{len(items) - 3} questions are left to review" in done.output


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("check", "nope"), NotFound, "this home keeps none"),
        (("questions", "../up"), InputError, "is no name for a set"),
        (("questions", "x", "-c", "empty"), InputError, "has no document to ask about"),
        (("from-log", "x"), InputError, "nobody has rated an answer"),
        (("review", "nope"), NotFound, "no question set 'nope'"),
    ],
)
def test_mistakes_are_told_in_one_line(home, words, error, said):
    found = run(*words).exception
    assert isinstance(found, error)
    assert said in found.message
    assert "\n" not in found.message
    assert not (home / "questions").exists()


def test_options_of_an_edit_without_its_id_and_double_decisions_are_refused(home):
    read("questions", "gates")
    identity = read("review", "gates")["questions"][0]["id"]
    assert "need --edit" in run("review", "gates", "--answer", "x").exception.message
    twice = run("review", "gates", "--accept", identity, "--reject", identity)
    assert "decided on twice" in twice.exception.message
