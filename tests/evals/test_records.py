"""What runs leave behind: looked up by a beginning, shared between runs, forgotten as a whole."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.core.errors import NotFound, SetupError
from steelyard.core.evaluation import (
    ArmFigures,
    Interval,
    Outcome,
    Question,
    Ranked,
    Report,
    SetDocument,
)
from steelyard.evals.records import Records


@pytest.fixture
def records(tmp_path):
    with Records(tmp_path / "records.db") as opened:
        yield opened


def report(identity: str, *, ids: tuple[str, ...] = ("q1", "q2")) -> Report:
    values = np.array([1.0, np.nan])
    return Report(
        id=identity,
        created_at="2026-11-21T09:00:00+00:00",
        set_name="made",
        set_id="made-1",
        question_ids=ids,
        clusters=np.arange(len(ids)),
        measures=("EM",),
        arms=(ArmFigures("rag", {}, {"EM": Interval(1.0, 0.5, 1.0, 1)}, {}, 0.1),),
        comparisons=(),
        values={"rag": {"EM": values}},
    )


QUESTIONS = (Question("q1", "one?"), Question("q2", "two?"))
FOUND = Outcome("q1", (Ranked("d1", 0.5),), timings_ms={"search": 1.5}, wall_ms=2.0)
FAILED = Outcome("q2", wall_ms=9.0, error="upstream: gone")


def saved(records: Records, identity: str) -> None:
    kept = records.keep([(b"one", FOUND), (b"two", FAILED)])
    records.save(report(identity), QUESTIONS, {"rag": [one.number for one in kept]})


def test_outcomes_come_back_as_they_were_and_failures_are_not_reused(records):
    kept = records.keep([(b"one", FOUND), (b"two", FAILED)])
    known = records.known([b"one", b"two", b"three"])
    assert set(known) == {b"one"}
    assert known[b"one"].outcome == FOUND
    assert known[b"one"] == kept[0]


def test_an_outcome_that_lacked_a_part_is_not_used_again(records):
    [kept] = records.keep([(b"one", replace(FOUND, degraded=("llm: cannot connect",)))])
    assert kept.outcome.degraded
    assert records.known([b"one"]) == {}


def test_an_outcome_that_another_process_kept_first_is_shared(records):
    [first] = records.keep([(b"one", FOUND)])
    [second] = records.keep([(b"one", replace(FOUND, wall_ms=9_999.0))])
    assert first == second
    assert second.outcome == FOUND


def test_a_fresh_outcome_takes_the_place_of_one_that_its_run_keeps(records):
    saved(records, "a")
    slower = replace(FOUND, wall_ms=9_999.0)
    records.keep([(b"one", slower)], fresh=True)
    assert records.known([b"one"])[b"one"].outcome == slower
    [kept, _] = records.outcomes("a")["rag"]
    assert kept.wall_ms == FOUND.wall_ms


def test_runs_are_listed_newest_first_and_found_by_a_beginning(records):
    saved(records, "2026-a1")
    saved(records, "2026-b1")
    assert [row.id for row in records.list_runs()] == ["2026-b1", "2026-a1"]
    assert records.report("2026-a").id == "2026-a1"
    assert records.report("last").id == "2026-b1"
    with pytest.raises(NotFound, match="2 runs begin with '2026'"):
        records.report("2026")
    for missing in ("x", "", "%"):
        with pytest.raises(NotFound, match="there is no run"):
            records.report(missing)


def test_questions_and_outcomes_of_a_run_are_there_for_the_drill_down(records):
    saved(records, "run")
    assert records.questions("run").questions == QUESTIONS
    assert records.outcomes("run") == {"rag": [FOUND, FAILED]}
    assert records.outcomes("run", question_ids=["q2"]) == {"rag": [FAILED]}
    with pytest.raises(NotFound, match="no question 'q3'"):
        records.outcomes("run", question_ids=["q3"])


def test_documents_that_a_report_shows_are_kept_with_the_run(records):
    numbers = [kept.number for kept in records.keep([(b"one", FOUND), (b"two", FAILED)])]
    shown = (SetDocument("d1", "Leave", "Everyone gets 28 days."),)
    records.save(report("run"), QUESTIONS, {"rag": numbers}, documents=shown)
    assert records.questions("run").documents == shown


def test_a_forgotten_run_takes_only_what_no_other_has(records):
    saved(records, "a")
    saved(records, "b")
    records.delete("a")
    assert records.outcomes("b") == {"rag": [FOUND, FAILED]}
    records.delete("b")
    assert records.known([b"one"]) == {}
    assert records.list_runs() == []


def test_a_judges_replies_outlive_the_process(tmp_path):
    with Records(tmp_path / "records.db") as one:
        one.replies()["k"] = "yes"
        one.replies()["k"] = "no"
    with Records(tmp_path / "records.db") as other:
        replies = other.replies()
        assert (dict(replies), len(replies), "x" in replies) == ({"k": "no"}, 1, False)
        del replies["k"]
        with pytest.raises(KeyError):
            del replies["k"]


def test_a_file_that_is_not_ours_is_refused(tmp_path):
    (tmp_path / "records.db").write_text("not a database, but long enough to look like one" * 20)
    with pytest.raises(SetupError, match=r"records\.db"):
        Records(tmp_path / "records.db")


def test_what_an_interrupted_run_left_outlives_another_runs_end(records):
    [kept] = records.keep([(b"waiting", FOUND)])
    saved(records, "a")
    records.delete("a")
    assert records.known([b"waiting"])[b"waiting"] == kept


def test_a_forgotten_runs_page_goes_with_it(records, tmp_path):
    saved(records, "a")
    pages = tmp_path / "pages"
    pages.mkdir()
    for name in ("a-1234.html", "b-1234.html"):
        (pages / name).write_text("page")
    records.delete("a")
    assert [page.name for page in pages.iterdir()] == ["b-1234.html"]
