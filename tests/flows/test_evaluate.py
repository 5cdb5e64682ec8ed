"""Questions × arms: what is known is not asked again, failures count, reruns are identical."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest

from steelyard.core.errors import InputError, NotFound
from steelyard.core.evaluation import Outcome, Question, QuestionSet, Ranked, Verdict
from steelyard.evals.measures import parse_measures
from steelyard.evals.records import Records
from steelyard.flows.compare import compared, planned
from steelyard.flows.evaluate import BLOCK, EvaluateOptions, Progress, evaluate

MEASURES = parse_measures("nDCG@10,RR@10,p95_ms,failed")
N = 2 * BLOCK + 10


def question(n: int) -> Question:
    return Question(f"q{n}", f"question {n}?", relevant={f"d{n}": 1})


SET = QuestionSet("made", "made-1", tuple(question(n) for n in range(N)))


class Killed(Exception):
    """What ends a process, as far as the flow is concerned."""


@dataclass
class MadeArm:
    """Ranks the right document at `rank(n)`; 0: fails. `stop_at` breaks off there, once."""

    name: str
    rank: int = 1
    failing: frozenset[int] = frozenset()
    stop_at: int | None = None
    asked: list[str] = field(default_factory=list)

    @property
    def parts(self) -> dict[str, str]:
        return {"retrieval": self.name}

    def item_key(self, question: Question) -> bytes:
        return f"{self.name} {self.rank} {question.text}".encode()

    async def run(self, question: Question) -> Outcome:
        await asyncio.sleep(0)
        n = int(question.id[1:])
        if n == self.stop_at:
            self.stop_at = None
            raise Killed
        self.asked.append(question.id)
        if n in self.failing:
            return Outcome(question.id, wall_ms=5.0, error="upstream: gone")
        before = [Ranked(f"x{i}", 1.0 - i / 100) for i in range(self.rank - 1)]
        return Outcome(question.id, (*before, Ranked(f"d{n}", 0.1)), wall_ms=1.0 + n / 1000)


@pytest.fixture
def records(tmp_path) -> Iterator[Records]:
    with Records(tmp_path / "evals" / "records.db") as opened:
        yield opened


def run(records, *arms, told=None, questions=SET, **options):
    async def main():
        with ThreadPoolExecutor(2) as workers:
            return await evaluate(
                questions,
                arms,
                MEASURES,
                records=records,
                workers=workers,
                options=EvaluateOptions(baseline=arms[0].name, resamples=500, **options),
                on_progress=told or (lambda _: None),
            )

    return asyncio.run(main())


def test_a_better_ranking_is_found_better_and_the_report_says_by_how_much(records):
    report = run(records, MadeArm("old", rank=2), MadeArm("new"), min_effects={"RR@10": 0.02})
    figures = {arm.name: arm.figures for arm in report.arms}
    assert figures["old"]["RR@10"].value == pytest.approx(0.5)
    assert figures["new"]["RR@10"].value == pytest.approx(1.0)
    [found] = [one for one in report.comparisons if one.measure == "RR@10"]
    assert (found.verdict, found.delta.value, found.delta.n) == (Verdict.BETTER, 0.5, N)
    assert report.wall_s >= report.overhead_s >= 0
    assert records.report("last").comparisons == report.comparisons


def test_one_more_arm_costs_only_itself(records):
    old, new = MadeArm("old", rank=2), MadeArm("new")
    run(records, old)
    assert len(old.asked) == N
    told: list[Progress] = []
    report = run(records, old, new, told=told.append)
    assert len(old.asked) == len(new.asked) == N
    assert [arm.num_reused for arm in report.arms] == [N, 0]
    assert told[-1].done == told[-1].total == N


def test_a_changed_part_and_a_changed_question_are_asked_anew(records):
    arm = MadeArm("arm")
    run(records, arm)
    run(records, MadeArm("arm", rank=3))
    other = QuestionSet("made", "made-2", (*SET.questions[:-1], Question("q9999", "another?")))
    arm.asked.clear()
    run(records, arm, questions=other)
    assert arm.asked == ["q9999"]


def test_a_rerun_is_identical(records):
    first = run(records, MadeArm("old", rank=2), MadeArm("new"))
    second = run(records, MadeArm("old", rank=2), MadeArm("new"))
    assert second.id != first.id
    assert second.comparisons == first.comparisons
    assert [arm.figures for arm in second.arms] == [arm.figures for arm in first.arms]
    for arm in ("old", "new"):
        for measure, values in first.values[arm].items():
            np.testing.assert_array_equal(values, second.values[arm][measure])


def test_an_interrupted_run_goes_on_where_it_was(records):
    arm = MadeArm("arm", stop_at=BLOCK + 3)
    with pytest.raises(Killed):
        run(records, arm)
    assert records.list_runs() == []
    before = set(arm.asked)
    assert len(before) > BLOCK
    arm.asked.clear()
    run(records, arm)
    assert not before & set(arm.asked)
    assert len(before | set(arm.asked)) == N
    assert records.list_runs()[0].num_questions == N


def test_a_killed_run_has_asked_little_in_vain(records, monkeypatch):
    monkeypatch.setattr("steelyard.flows.evaluate.KEEP_S", 0.0)
    arm = MadeArm("arm")
    kept: list[int] = []
    whole = records.keep

    def keep(rows, **options):
        found = whole(rows, **options)
        kept.append(len(found))
        return found

    monkeypatch.setattr(records, "keep", keep)
    report = run(records, arm)
    assert max(kept) <= 2 * EvaluateOptions("").concurrency
    assert len(records.outcomes(report.id)["arm"]) == N


def test_what_is_asked_afresh_stands_beside_what_older_runs_keep(records):
    arm, other = MadeArm("arm"), MadeArm("other", rank=2)
    first = run(records, arm)
    second = run(records, arm, other, fresh=True)
    assert len(arm.asked) == 2 * N
    assert [one.num_reused for one in second.arms] == [0, 0]
    assert len(records.outcomes(first.id)["arm"]) == len(records.outcomes(second.id)["arm"]) == N
    run(records, arm, other)
    assert len(arm.asked) == 2 * N


def test_failures_count_as_zero_are_listed_and_are_tried_again(records):
    arm = MadeArm("arm", failing=frozenset({1, 5}))
    report = run(records, MadeArm("base"), arm)
    figures = report.arms[1].figures
    assert figures["nDCG@10"].value == pytest.approx((N - 2) / N)
    assert figures["failed"].value == pytest.approx(2 / N)
    assert dict(report.arms[1].failures) == {"q1": "upstream: gone", "q5": "upstream: gone"}
    assert records.list_runs()[0].num_failed == 2

    arm.asked.clear()
    arm.failing = frozenset()
    again = run(records, MadeArm("base"), arm)
    assert sorted(arm.asked) == ["q1", "q5"]
    assert again.arms[1].figures["nDCG@10"].value == 1.0
    # The first run keeps what happened in it.
    kept = records.outcomes(report.id, question_ids=["q1"])["arm"]
    assert kept[0].error == "upstream: gone"


def test_equal_questions_under_two_ids_share_an_outcome(records):
    twice = QuestionSet(
        "made",
        "made-3",
        (Question("q1", "same?", relevant={"d1": 1}), Question("q2", "same?", relevant={"d1": 1})),
    )
    report = run(records, MadeArm("arm"), questions=twice)
    outcomes = records.outcomes(report.id)["arm"]
    assert [one.question_id for one in outcomes] == ["q1", "q2"]


def test_two_arms_of_two_runs_are_compared_and_other_sets_are_not(records):
    first = run(records, MadeArm("rag", rank=2))
    second = run(records, MadeArm("rag", rank=1))
    report = compared(records, f"{first.id}:rag", f"{second.id}:rag", effects={"": 0.02})
    [found] = [one for one in report.comparisons if one.measure == "RR@10"]
    assert found.verdict is Verdict.BETTER
    with pytest.raises(InputError, match="compared with itself"):
        compared(records, first.id, first.id)
    with pytest.raises(NotFound, match="has no arm 'rug'"):
        compared(records, first.id, f"{second.id}:rug")
    other = run(records, MadeArm("x"), questions=QuestionSet("o", "other", SET.questions[:9]))
    with pytest.raises(InputError, match="compare runs of one set"):
        compared(records, first.id, other.id)


def test_what_a_set_can_show_is_told_before_and_better_known_after_a_run(records):
    options = EvaluateOptions(baseline="old", min_effects={"RR@10": 0.02})
    [before] = planned(records, SET, MEASURES, options)
    assert before.source == "a default spread"
    assert before.found.mde > 0.02
    assert before.found.n_needed is not None
    assert before.found.n_needed > N
    report = run(records, MadeArm("old", rank=2), MadeArm("new", failing=frozenset(range(40))))
    [after] = planned(records, SET, MEASURES, options)
    assert after.source == f"run {report.id}"
    assert after.found.mde != before.found.mde
