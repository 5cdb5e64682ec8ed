"""`steelyard data` for training rows, as a user runs it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.cli.program import program
from steelyard.core.errors import InputError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*words):
    return CliRunner().invoke(program, ["data", *map(str, words)])


def read(*words):
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def written(folder, rows, name="rows.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def labelled(*texts):
    return [{"text": text, "label": "a", "doc_id": text.split()[0]} for text in texts]


def test_validate_tells_the_kind_first_and_exits_with_2_on_a_fault(tmp_path):
    sound = written(tmp_path, labelled("one", "two"))
    done = run("validate", sound)
    assert done.exit_code == 0
    assert done.stdout.startswith("rows.jsonl: 2 rows of the form labelled")
    unsound = written(tmp_path, [{"text": "", "label": "a"}, {"text": "b"}])
    assert isinstance(run("validate", unsound).exception, InputError)
    done = run("validate", unsound, "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["faults"] == [
        "rows.jsonl:1: field 'text' is empty",
        "rows.jsonl:2: field 'label' is missing: a row of labelled has 'label', 'text'",
    ]


def test_validate_never_prints_what_is_private(tmp_path):
    path = written(tmp_path, labelled("x write to ana.reis@example.org"))
    for words in (["validate", path], ["validate", path, "--json"]):
        done = run(*words)
        assert "e-mail address" in done.stdout
        assert "ana.reis" not in done.output


def test_import_keeps_a_version_that_versions_lists_and_diff_compares(tmp_path):
    first = read("import", written(tmp_path, labelled("one", "two")), "--name", "small")
    assert first["files"][0]["form"] == "labelled"
    assert (first["flags"], first["kind"]) == ([], "labelled")
    again = read("import", written(tmp_path, labelled("two", "one")), "--name", "small")
    assert (first["known"], again["known"], first["id"]) == (False, True, again["id"])
    third = read("import", written(tmp_path, labelled("two", "three")), "--name", "small")
    assert {one["id"] for one in read("versions")["versions"]} == {first["id"], third["id"]}
    found = read("diff", first["id"][:8], "small")
    assert (len(found["added"]), len(found["removed"]), found["same"]) == (1, 1, 1)
    shown = run("diff", first["id"][:8], "small").stdout
    assert "added" in shown
    assert "three" in shown
    assert "small" in run("versions").stdout


def test_import_refuses_rows_with_faults_and_keeps_nothing(tmp_path, home):
    done = run("import", written(tmp_path, [{"text": "", "label": "a"}]), "--name", "small")
    assert isinstance(done.exception, InputError)
    assert read("versions") == {"versions": []}
    assert not home.exists()


def test_dedup_and_split_make_versions_of_the_one_before(tmp_path):
    texts = [f"{word} is the {n}th of its kind" for n, word in enumerate("abcdefghij" * 2)]
    rows = labelled(*texts, "A is: the 0th of its KIND")
    first = read("import", written(tmp_path, rows), "--name", "small")
    second = read("dedup", "small", "--threshold", "1")
    assert (second["parents"], second["rows"], second["exact"]) == ([first["id"]], 20, 1)
    third = read("split", "small", "--test", "0.2", "--validation", "0")
    assert third["splits"] == {"train": 16, "test": 4}
    assert read("dedup", "small", "--threshold", "1")["splits"] == third["splits"]
    assert read("split", second["id"], "--test", "0.2", "--validation", "0")["known"]
    assert "groups" in run("split", "small", "--seed", "5").stdout
    assert isinstance(run("split", "small", "--test", "1.5").exception, InputError)


def test_leaks_are_told_refused_and_removed(tmp_path):
    rows = labelled("Where is the red crane kept?", "Who opens the gate?", "Nothing of the kind")
    read("import", written(tmp_path, rows), "--name", "small")
    assert isinstance(run("leaks", "small").exception, InputError)  # there is no set
    held = written(tmp_path, [{"id": "q1", "question": "where is the RED crane kept"}], "q.jsonl")
    done = run("leaks", "small", "--against", held, "--json")
    assert done.exit_code == 2
    (leak,) = json.loads(done.stdout)["leaks"]
    assert (leak["line"], leak["question"], leak["similarity"]) == (1, "q1", 1.0)
    assert isinstance(run("leaks", "small", "--against", held).exception, InputError)
    assert read("leaks", "small", "--against", held, "--remove")["version"]["rows"] == 2
    assert read("leaks", "small", "--against", held)["leaks"] == []


def test_a_version_is_exported_split_by_split_in_a_form_of_its_kind(tmp_path):
    rows = labelled(*(f"{word} thing" for word in "abcdefghij"))
    read("import", written(tmp_path, rows), "--name", "small")
    read("split", "small", "--test", "0.2", "--validation", "0")
    files = read("export", "small", tmp_path / "out", "--form", "labelled")["files"]
    assert sorted(name.rsplit("/")[-1] for name in files) == ["test.jsonl", "train.jsonl"]
    texts = "".join(Path(name).read_text() for name in files)
    lines = [json.loads(line) for line in texts.splitlines()]
    assert sorted(one["text"] for one in lines) == sorted(one["text"] for one in rows)
    one = read("export", "small", tmp_path / "one", "--part", "test")["files"]
    assert [Path(name).name for name in one] == ["test.jsonl"]
    assert isinstance(run("export", "small", tmp_path / "x", "--unreviewed").exception, InputError)
    again = run("export", "small", tmp_path / "out")
    assert "is not empty" in str(again.exception)
    misfit = run("export", "small", tmp_path / "new", "--form", "alpaca")
    assert "does not fit the form 'alpaca'; export it as one of" in str(misfit.exception)
    assert not (tmp_path / "new").exists()
