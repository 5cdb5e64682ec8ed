"""How a live comparison stands: figures, the split, intervals, verdicts, and what is missing."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from steelyard.core.chat import Answer, Asker, Span, Usage
from steelyard.core.errors import NotFound
from steelyard.core.evaluation import Verdict
from steelyard.core.ranking import PUBLIC, Query
from steelyard.evals.statistics import confidence_sequence, users_for
from steelyard.flows.ab import AbReport, Difference, live_json, live_report
from steelyard.flows.sides import CHALLENGER, CHAMPION
from steelyard.store import Store
from steelyard.store.answers import Answers

QUERY = Query("Why?", PUBLIC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "home" / "steelyard.db")
    yield opened
    opened.close()


def begin(store: Store, *, name: str = "wide", share: float = 0.5) -> int:
    options = {"retrieve.pool": 100}
    return store.open_experiment(
        name, share=share, champion="b1", challenger="b2", options=options
    )  # fmt: skip


class Log:
    """Writes questions of users into a comparison."""

    def __init__(self, store: Store, experiment: int) -> None:
        self.store, self.experiment, self.num = store, experiment, 0

    def ask(
        self,
        user: str,
        side: str,
        *,
        rating: str = "",
        failure: str = "",
        answerable: bool = True,
        unsupported: bool = False,
        total_ms: float = 10.0,
    ) -> None:
        self.num += 1
        answer = Answer(
            id=f"a{self.experiment}-{self.num}",
            text="42",
            answerable=answerable,
            citations=(),
            unsupported=(Span(0, 2),) if unsupported else (),
            sources=(),
            usage=Usage({"total": total_ms}),
            cache="miss",
            bundle="b1",
            snapshot=1,
            degraded=(),
        )
        asker = Asker(user, self.experiment, side, failure)
        self.store.log_answer(QUERY, answer, asker=asker)
        if rating:
            self.store.add_feedback(answer.id, rating, principal=PUBLIC)

    def crowd(self, num: int, side: str, *, num_bad: int = 0, **bad: object) -> None:
        """Let `num` users ask once each; of them, spread evenly, `num_bad` meet `bad`."""
        for n in range(num):
            is_bad = (n + 1) * num_bad // num > n * num_bad // num
            self.ask(f"{side}-{n}", side, **(bad if is_bad else {}))


def found(report: AbReport, name: str) -> Difference:
    return next(one for one in report.differences if one.measure.name == name)


def test_the_figures_are_counted_by_hand(store):
    log = Log(store, begin(store))
    log.ask("u1", CHAMPION, rating="up", total_ms=10)
    log.ask("u1", CHAMPION, rating="down", total_ms=20)
    log.ask("u2", CHAMPION, answerable=False, total_ms=30)
    log.ask("u3", CHALLENGER, unsupported=True, total_ms=9_000)
    log.ask("u4", CHALLENGER, failure="upstream", total_ms=40)
    report = live_report(store)
    left, right = report.champion, report.challenger
    assert (left.num_users, left.num_questions, left.num_up, left.num_down) == (2, 3, 1, 1)
    assert left.shares["answered"] == pytest.approx(2 / 3)
    assert (left.shares["failed"], left.shares["unsupported"], left.p50_ms) == (0, 0, 20)
    assert (right.num_users, right.num_questions) == (2, 2)
    assert right.shares["answered"] == right.shares["failed"] == 0.5
    assert right.shares["unsupported"] == 1.0  # the failure is not better supported
    assert right.shares["mean_ms"] == (5_000 + 40) / 2
    # u1 counts once, by the mean of both questions: (0 + 0) / 2 − (1/2 + 0) / 2.
    assert found(report, "up").value == pytest.approx(-0.25)


def test_a_challenger_that_fails_its_users_is_worse_though_all_got_answers(store):
    log = Log(store, begin(store))
    for n in range(400):
        log.ask(f"a{n}", CHAMPION)
        log.ask(f"b{n}", CHALLENGER, failure="upstream" if n % 4 else "")
    report = live_report(store)
    assert found(report, "failed").verdict is Verdict.WORSE
    assert found(report, "answered").verdict is Verdict.WORSE
    assert found(report, "failed").found.low > 0
    assert found(report, "mean_ms").verdict is Verdict.UNDERPOWERED


def test_a_better_challenger_is_called_better_and_by_the_right_sign(store):
    log = Log(store, begin(store))
    for n in range(500):
        log.ask(f"a{n}", CHAMPION, rating="down" if n % 2 else "")
        log.ask(f"b{n}", CHALLENGER, rating="up" if n % 2 else "")
    report = live_report(store)
    assert found(report, "up").verdict is found(report, "down").verdict is Verdict.BETTER


def test_too_few_users_are_underpowered_and_told_how_many_it_takes(store):
    log = Log(store, begin(store))
    for n in range(60):
        log.ask(f"u{n}", CHALLENGER if n % 2 else CHAMPION, rating="up" if n % 4 < 2 else "")
    one = found(live_report(store), "up")
    assert one.verdict is Verdict.UNDERPOWERED
    assert one.num_needed > 1_000
    small = live_report(store, min_share=0.2)
    assert found(small, "up").num_needed < one.num_needed / 20
    few = Log(store, begin(store, name="few"))
    few.ask("u", CHAMPION)
    assert found(live_report(store), "up").num_needed is None


def test_a_broken_split_gives_no_verdict_at_all(store):
    log = Log(store, begin(store))
    log.crowd(400, CHAMPION)
    log.crowd(200, CHALLENGER, num_bad=200, failure="upstream")
    report = live_report(store)
    assert report.broken
    assert report.split_p < 0.001
    assert {one.verdict for one in report.differences} == {None}
    body = live_json(report)
    assert body["split"]["broken"]
    assert {one["verdict"] for one in body["differences"]} == {None}


def test_a_share_of_none_compares_nothing_and_says_so(store):
    Log(store, begin(store, share=0.0)).crowd(5, CHAMPION)
    report = live_report(store)
    assert report.differences == ()
    assert not report.broken
    assert "the share is 0" in report.notes[0]


def test_questions_on_no_side_are_counted_beside(store):
    Log(store, begin(store)).crowd(3, CHAMPION)
    Log(store, 0).ask("", "")
    (note,) = live_report(store).notes
    assert note.startswith("1 questions since then were on no side")


def test_a_user_seen_on_both_sides_is_left_out_and_told(store):
    log = Log(store, begin(store))
    log.crowd(3, CHAMPION)
    log.ask("x", CHAMPION)
    log.ask("x", CHALLENGER)
    report = live_report(store)
    assert (report.champion.num_users, report.challenger.num_users) == (3, 0)
    assert report.notes == ("1 users were seen on both sides and are left out",)
    assert live_json(report)["differences"][0]["delta"] is None  # nobody on one side


def test_comparisons_are_told_apart_by_name(store):
    Log(store, begin(store, name="one")).crowd(2, CHAMPION)
    time.sleep(0.002)
    Log(store, begin(store, name="two")).crowd(3, CHAMPION)
    assert live_report(store).experiment.name == "two"
    assert live_report(store, "one").champion.num_users == 2
    with pytest.raises(NotFound, match="no live comparison is called 'three'; there are 'two'"):
        live_report(store, "three")


def test_without_any_comparison_the_way_to_one_is_told(store):
    with pytest.raises(NotFound, match=r"serve\.challenger=FILE"):
        live_report(store)


def test_what_the_log_has_dropped_is_said(store, monkeypatch):
    log = Log(store, begin(store))
    log.crowd(30, CHAMPION)
    bounded = Answers(store._database, max_answers=10)
    monkeypatch.setattr(store, "log_is_whole_since", bounded.log_is_whole_since)
    report = live_report(store)
    assert report.champion.num_questions == 10
    assert any("no longer reaches back" in note for note in report.notes)


@pytest.mark.parametrize(("share", "rate"), [(0.5, 0.0), (0.3, 0.02), (0.1, 0.3)])
def test_as_many_users_as_it_is_said_to_take_show_that_difference(share, rate):
    rng = np.random.default_rng(1)

    def users(num: int) -> tuple[np.ndarray, np.ndarray]:
        return (rng.random(num) < rate).astype(float), rng.random(num) < share

    needed = users_for(*users(1_000), least=0.02, share=share)
    interval = confidence_sequence(*users(needed), share=share)
    assert 0.01 < (interval.high - interval.low) / 2 < 0.025
