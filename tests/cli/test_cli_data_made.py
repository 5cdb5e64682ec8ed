"""`steelyard data from-log | mine | raft | show | review` of training rows, as a user runs them."""

import json

import pytest
from typer.testing import CliRunner

from steelyard.app import open_app
from steelyard.cli.program import program
from steelyard.core.errors import InputError, NotFound

PAGES = {
    "gates": "Recordings of the cameras are kept for 21 days. The guard at the gate keeps them.",
    "badges": "Badges of guests are kept by the clerk, who is reached at ana.reis@example.org.",
    "soup": "The soup of the day is made of leeks, and is kept warm until two.",
}
QUESTION = "How long are recordings of the cameras kept?"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_EMBED_MODEL", "hashing")
    monkeypatch.setenv("STEELYARD_HOME", str(tmp_path / "home"))
    (tmp_path / "pages").mkdir()
    for name, text in PAGES.items():
        (tmp_path / "pages" / f"{name}.md").write_text(f"# {name.title()}\n\n{text}\n")
    assert CliRunner().invoke(program, ["ingest", str(tmp_path / "pages")]).exit_code == 0
    asked = CliRunner().invoke(program, ["ask", QUESTION, "--json"])
    assert "21 days" in json.loads(asked.stdout)["answer"]
    return tmp_path / "home"


def run(*words):
    return CliRunner().invoke(program, ["data", *map(str, words)])


def read(*words):
    done = run(*words, "--json")
    assert done.exit_code == 0, f"{done.output} {done.exception}"
    return json.loads(done.stdout)


def test_a_question_that_was_asked_becomes_rows_that_are_looked_at(home):
    assert isinstance(run("from-log", "asked", "--for", "retrieval").exception, InputError)
    made = read("from-log", "asked", "--for", "retrieval", "--unrated", "--without", "ana")
    assert (made["kind"], made["rows"], made["left_out"]) == ("retrieval", 1, {})
    assert "ana" not in json.dumps(made["recipe"]["without"])
    assert read("from-logs", "asked", "--for", "retrieval", "--unrated", "--without", "ana")[
        "known"
    ]
    (row,) = read("show", "asked")["rows"]
    assert (row["query"], row["provenance"]["origin"]) == (QUESTION, "log")
    assert QUESTION in run("show", "asked", "--whole").stdout
    assert isinstance(run("from-log", "x", "--for", "music").exception, InputError)


def test_a_correction_becomes_a_preference(home):
    app = open_app(home)
    (logged,) = app.store.recent_answers()
    from steelyard.store import OPERATOR

    app.store.add_feedback(logged.id, "down", correction="For 21 days.", principal=OPERATOR)
    app.close()
    assert read("from-log", "edits", "--for", "preference")["rows"] == 1
    shown = run("show", "edits").stdout
    assert "preferred: For 21 days." in shown
    assert "to this: Recordings" in shown


def test_negatives_are_mined_and_prompts_are_made_over_the_home(home, tmp_path):
    read("from-log", "asked", "--for", "reader", "--unrated")
    made = read("raft", "asked", "prompts", "--passages", 2, "--without-gold", 0)
    assert (made["kind"], made["rows"], made["refusals"]) == ("chat", 1, 0)
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        json.dumps(
            {"query": QUESTION, "positives": ["Recordings of the cameras are kept for 21 days."]}
        )
    )
    first = read("import", rows, "--name", "pairs")
    mined = read("mine", "pairs", "--negatives", 1, "--margin", 1, "--answers", "asked")
    assert (mined["negatives"], mined["parents"]) == (1, [first["id"]])
    ((negative,),) = (one["negatives"] for one in read("show", "pairs")["rows"])
    assert negative.startswith(("Soup", "Badges"))
    assert isinstance(run("mine", "prompts").exception, InputError)


def test_negatives_are_mined_over_the_documents_of_a_set(home, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    documents = [{"id": f"d{n}", "title": "", "text": text} for n, text in enumerate(
        ("Apples are kept in the cellar for months.", "Pears are kept in the kitchen for days.",
         "Trains leave on the hour."))]  # fmt: skip
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
    asked = {"id": "q1", "text": "Where are apples kept?", "relevant": {"d0": 1}}
    (folder / "queries.jsonl").write_text(json.dumps(asked))
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"query": "Where are apples kept?", "positives": ["d0"]}))
    read("import", rows, "--name", "fruit")
    read("mine", "fruit", "--over", folder, "--negatives", 1)
    (row,) = read("show", "fruit")["rows"]
    assert row["positives"] == ["D0\nApples are kept in the cellar for months."]
    assert row["negatives"] == ["D1\nPears are kept in the kitchen for days."]
    (folder / "corpus.jsonl").unlink()
    assert run("mine", "fruit", "--over", folder).exception is not None


def test_rows_with_private_data_are_shown_rejected_and_left_out(home, tmp_path):
    rows = [
        {"text": text, "label": "a"} for text in ("write to bo@example.org", "the gate is open")
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    read("import", path, "--name", "small")
    (flagged,) = read("show", "small", "--flagged")["rows"]
    assert flagged["private"] == [{"field": "text", "what": "e-mail address"}]
    assert read("show", "small", "--with", "GATE")["found"] == 1
    assert len(read("review", "small")["rows"]) == 2
    assert read("review", "small", "--reject", "flagged")["rows"][0]["row"] == flagged["row"]
    (left,) = read("review", "small")["rows"]
    read("review", "small", "--edit", left["row"][:8], "--answer", "b", "--by", "ann")
    assert read("review", "small", "--keep", "reviewed")["rows"] == 1
    (row,) = read("show", "small")["rows"]
    assert (row["text"], row["label"]) == ("the gate is open", "b")
    assert isinstance(run("review", "small", "--accept", "all").exception, InputError)
    assert isinstance(run("review", "small", "--reject", "ffffffff").exception, NotFound)
    assert isinstance(run("show", "small", "--split", "test").exception, InputError)
