"""`steelyard eval`, as a user runs it."""

import gzip
import json

import pytest
from typer.testing import CliRunner

from steelyard.cli.program import program
from steelyard.core.errors import InputError, NotFound

TEXTS = {
    "cameras": "Recordings of the cameras at the gates are overwritten after 21 days.",
    "travel": "Trips are booked by the travel desk. The travel desk is open from nine to five.",
    "leave": "Parental leave is sixteen weeks in Norway.",
}
ASKED = [
    ("q1", "After how many days are camera recordings overwritten?", "cameras", ["21 days"]),
    ("q2", "Are trips booked by the travel desk?", "travel", []),
    ("q3", "How long is parental leave in Norway?", "leave", ["sixteen weeks"]),
]


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_EMBED_MODEL", "hashing")
    monkeypatch.setenv("STEELYARD_HOME", str(tmp_path / "home"))
    folder = tmp_path / "set"
    folder.mkdir()
    with gzip.open(folder / "corpus.jsonl.gz", "wt") as out:
        for name, text in TEXTS.items():
            out.write(json.dumps({"id": name, "title": "", "text": text}) + "\n")
    with gzip.open(folder / "queries.jsonl.gz", "wt") as out:
        for name, text, _, answers in ASKED:
            out.write(json.dumps({"id": name, "text": text, "answers": answers}) + "\n")
    lines = [f"{name}\t{document}\t1" for name, _, document, _ in ASKED]
    (folder / "qrels.tsv").write_text("query_id\tdoc_id\trelevance\n" + "\n".join(lines) + "\n")
    return folder


def run(*words):
    return CliRunner().invoke(program, ["eval", *map(str, words)])


def test_a_run_is_shown_kept_compared_and_gated(data, tmp_path):
    page, tables = tmp_path / "report.html", tmp_path / "report.md"
    done = run(
        "run", "-d", data, "-a", "bm25,hybrid", "--html", page, "--markdown", tables, "--json", "-"
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert [arm["name"] for arm in report["arms"]] == ["bm25", "hybrid"]
    assert report["arms"][0]["figures"]["nDCG@10"]["value"] == 1.0
    assert page.read_text().startswith("<!doctype html>")
    assert "bm25" in tables.read_text()

    again = run("run", "-d", data, "-a", "bm25,hybrid,rag")
    assert again.exit_code == 0, again.output
    assert "rag" in again.stdout
    listed = json.loads(run("list", "--json").stdout)
    assert [len(row["arms"]) for row in listed] == [3, 2]
    assert "bm25" in run("list").stdout
    assert "hybrid" in run("show", listed[1]["id"]).stdout

    first, second = listed[1]["id"], listed[0]["id"]
    compared = run("compare", f"{first}:bm25", f"{second}:hybrid")
    assert compared.exit_code == 0, compared.output
    assert "hybrid against bm25" in compared.stdout

    sides = ["--baseline", f"{first}:bm25", "--candidate", f"{second}:hybrid"]
    loose = run("gate", *sides, "--non-inferior", "nDCG@10:-1.1", "--json")
    assert (loose.exit_code, json.loads(loose.stdout)["passed"]) == (0, True)
    strict = run("gate", *sides, "--min-delta", "nDCG@10=0.1")
    assert strict.exit_code == 1
    assert "fail" in strict.stdout
    unmeasured = run("gate", *sides, "--min-delta", "F1=0.1")
    assert unmeasured.exit_code == 1
    assert "was not measured" in unmeasured.stdout

    assert run("delete", "last").exit_code == 0
    assert len(json.loads(run("list", "--json").stdout)) == 1


def test_answers_are_measured_with_gold_beside_them(data):
    done = run(
        "run", "-d", data, "-a", "base,rag,oracle", "-m", "F1,contains,failed", "--json", "-"
    )
    assert done.exit_code == 0, done.output
    figures = {arm["name"]: arm["figures"] for arm in json.loads(done.stdout)["arms"]}
    assert figures["base"]["contains"]["value"] == 0
    assert figures["oracle"]["contains"]["value"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-a", "bm26"], "did you mean 'bm25'"),
        (["-a", "bm25", "-m", "nDGC@10"], "did you mean nDCG@10"),
        (["-a", "bm25", "--baseline", "rag"], "none of the arms bm25"),
        (["-a", "bm25", "--min-effect", "much"], "is no number"),
        (["-a", "bm25", "--html", "/nowhere/at/all.html"], "in a folder that exists"),
        (["-a", "bm25", "--cluster-by", "colour"], "colour"),
        (["-a", "rag", "-m", "judge:support"], "--judge-url"),
        (["-a", "tuned"], "--tuned llm.model=NAME"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_ingested(data, tmp_path, words, said):
    done = run("run", "-d", data, *words)
    assert isinstance(done.exception, InputError), done.output
    assert said in str(done.exception)
    assert not (tmp_path / "home" / "evals" / "homes").exists()


def test_a_gate_tells_that_a_model_server_did_not_answer(data):
    gone = "gone=rag llm.url=http://127.0.0.1:9/v1"
    done = run("run", "-d", data, "-a", "rag", "--arm", gone, "-m", "F1")
    assert done.exit_code == 0, done.output
    rule = ["--baseline", "last:rag", "--candidate", "last:gone", "--non-inferior", "F1:-1.1"]
    assert "gone: 3 of 3 questions were answered without" in run("gate", *rule).stdout
    [note] = json.loads(run("gate", *rule, "--json").stdout)["notes"]
    assert "llm: cannot connect" in note


def test_a_gate_without_a_rule_passes_nothing(data):
    done = run("gate", "--baseline", "a:b", "--candidate", "c:d")
    assert isinstance(done.exception, InputError)
    assert isinstance(run("show", "x").exception, NotFound)


def test_no_runs_yet_says_how_to_make_one(data):
    assert "steelyard eval run" in run("list").stdout


def test_looking_for_runs_makes_no_home(tmp_path):
    assert "no runs yet in home" in run("list", "--home", tmp_path / "typo").stdout
    for words in (["show"], ["compare", "last:a", "last:b"], ["delete", "last"]):
        done = run(*words, "--home", tmp_path / "typo")
        assert isinstance(done.exception, NotFound)
        assert "there is no such folder" in str(done.exception)
    assert list(tmp_path.iterdir()) == []
