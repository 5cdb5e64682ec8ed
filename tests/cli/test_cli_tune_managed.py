"""`steelyard tune`'s verbs for hosts and tracking, as a user runs them."""

import json

import pytest
from typer.testing import CliRunner

from steelyard.cli.program import program
from steelyard.cli.tune_managed import track_quietly
from steelyard.core.errors import InputError, NotFound, SetupError, UpstreamError
from steelyard.core.training import Chat, TrainingRow, Turn
from steelyard.datasets.training import keep
from steelyard.flows import tracking
from steelyard.hosted import Submitted, find_submitted, save_submitted
from steelyard.jobs import RUNS


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("STEELYARD_HOSTED_KEY", raising=False)
    return tmp_path / "home"


def run(*words):
    return CliRunner().invoke(program, ["tune", *map(str, words)])


def sent(home, n=1, **fields):
    job = Submitted(f"ftjob-{n:04}", "http://127.0.0.1:9/v1", "base", "abc", float(n), **fields)
    save_submitted(home, job)
    return job


def test_a_home_that_sent_nothing_lists_nothing_and_follows_nothing():
    assert json.loads(run("hosted", "--json").stdout) == {"jobs": []}
    assert isinstance(run("poll").exception, NotFound)
    assert isinstance(run("import", "ftjob-1").exception, NotFound)


def test_jobs_are_listed_newest_first_and_named_by_their_beginning(home):
    sent(home, 1)
    sent(home, 2, status="failed", error="no quota")
    listed = json.loads(run("hosted", "--json").stdout)["jobs"]
    assert [job["id"] for job in listed] == ["ftjob-0002", "ftjob-0001"]
    assert find_submitted(home).id == "ftjob-0002"
    with pytest.raises(InputError, match="begins the ids of 2 jobs"):
        find_submitted(home, "ftjob")
    assert "no quota" in run("hosted", "--json").stdout


def test_a_host_elsewhere_needs_a_key_and_an_absent_one_is_told(home):
    rows = [TrainingRow(Chat((Turn("user", "x"), Turn("assistant", "y"))))]
    keep(home, rows, name="forms", recipe={"verb": "import"})
    away = run("submit", "forms", "--to", "https://host.test/v1", "--model", "m")
    assert isinstance(away.exception, SetupError)
    assert "export STEELYARD_HOSTED_KEY" in away.exception.message
    wrong = run("submit", "forms", "--to", "ftp://host.test", "--model", "m")
    assert isinstance(wrong.exception, InputError)


def test_a_job_that_has_not_ended_is_not_imported(home):
    sent(home, status="running")
    done = run("import")
    assert isinstance(done.exception, InputError)
    assert "is running; `steelyard tune poll ftjob-0001`" in done.exception.message


def test_tracking_that_fails_is_a_note_and_no_error(home, monkeypatch, capsys):
    folder = home / RUNS / "mine"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"state": "done", "kind": "reader"}))

    def broken(home, runs):
        raise OSError("no space left")

    monkeypatch.setattr(tracking, "track", broken)
    track_quietly(home, "mine")
    assert "steelyard tune track" in capsys.readouterr().err
    assert (folder / "environment.json").is_file()


def test_a_host_that_says_a_job_failed_makes_the_command_fail(home, monkeypatch):
    from steelyard.flows import hosted

    async def failed(home, client, job, **given):
        return sent(home, status="failed", error="rows too long")

    monkeypatch.setattr(hosted, "follow", failed)
    sent(home)
    done = run("poll")
    assert isinstance(done.exception, UpstreamError)
    assert "rows too long" in done.exception.message
