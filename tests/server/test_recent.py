import json

import pytest

from steelyard.core.chat import Answer, Usage
from steelyard.core.ranking import SearchResult
from steelyard.server.metrics import MAX_PARTS, MAX_STAGES, Metrics
from steelyard.server.recent import MAX_QUESTION, MAX_SLOW, Recent, size_name


def answer(**changes):
    fields = {
        "id": "a1",
        "text": "28 days.",
        "answerable": True,
        "citations": (),
        "unsupported": (),
        "sources": (),
        "usage": Usage(timings_ms={"embed": 1.0, "first_token": 5.0, "total": 10.0}),
        "cache": "miss",
        "bundle": "b1",
        "snapshot": 7,
        "degraded": (),
    }
    return Answer(**(fields | changes))


def timed(total_ms, identity="a"):
    return answer(id=identity, usage=Usage(timings_ms={"total": total_ms}))


class Time:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def samples(metrics):
    """Return the exposed samples: name with labels -> value."""
    lines = metrics.expose().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_one_answer_is_counted_in_every_place_once():
    metrics = Metrics()
    usage = Usage(
        timings_ms={"embed": 1.0, "generate": 4.0, "first_token": 5.0, "total": 10.0},
        prompt_tokens=100,
        completion_tokens=20,
    )
    metrics.answered(answer(usage=usage, cache="semantic", degraded=("llm: it broke off",)))
    found = samples(metrics)
    assert found['steelyard_stage_seconds_count{stage="embed"}'] == "1.0"
    assert float(found['steelyard_stage_seconds_sum{stage="total"}']) == pytest.approx(0.01)
    assert found['steelyard_first_token_seconds_count{cache="semantic"}'] == "1.0"
    assert float(found['steelyard_first_token_seconds_sum{cache="semantic"}']) == 0.005
    assert found['steelyard_cache_total{outcome="semantic"}'] == "1.0"
    assert found['steelyard_cache_total{outcome="miss"}'] == "0.0"
    assert found['steelyard_answers_total{outcome="answered"}'] == "1.0"
    assert found['steelyard_tokens_total{kind="prompt"}'] == "100.0"
    assert found['steelyard_degraded_total{part="llm"}'] == "1.0"
    report = metrics.recent.report(60)
    stages = {row["stage"]: row for row in report["stages"]}
    assert stages["total"]["count"] == 1
    assert stages["total"]["p50"] == pytest.approx(10.0, rel=0.01)
    assert stages["total"]["max"] == 10.0
    assert report["cache"] == {"semantic": 1}
    assert report["degraded"] == {"llm": 1}


def test_a_search_counts_as_the_search_inside_an_answer():
    metrics = Metrics()
    metrics.searched(SearchResult((), 1, ("dense",), {"embed": 1.0, "total": 3.0}))
    found = samples(metrics)
    assert found['steelyard_stage_seconds_count{stage="search"}'] == "1.0"
    assert found['steelyard_stage_seconds_count{stage="total"}'] == "0.0"
    assert found['steelyard_degraded_total{part="dense"}'] == "1.0"


def test_labels_stay_few_whatever_stages_and_parts_are_called():
    metrics = Metrics()
    for number in range(500):
        metrics.stages({f"stage_{number}": 1.0, f"<{number}>": 1.0, f"dense: {number}": 1.0})
        metrics.degraded([f"part{number}: because", f"😀{number}"])
    found = samples(metrics)
    stages = [key for key in found if key.startswith("steelyard_stage_seconds_count")]
    parts = [key for key in found if key.startswith("steelyard_degraded_total")]
    assert len(stages) <= MAX_STAGES + 1
    assert len(parts) <= MAX_PARTS + 1
    assert float(found['steelyard_stage_seconds_count{stage="dense"}']) == 500
    assert len(metrics.recent.report(60)["stages"]) <= MAX_STAGES + 1
    assert '"<' not in metrics.expose().decode()


def test_an_unknown_cache_outcome_is_not_a_new_label():
    metrics = Metrics()
    metrics.answered(answer(cache="surprise"))
    assert samples(metrics)['steelyard_cache_total{outcome="off"}'] == "1.0"


def test_batches_and_queues_are_told_by_size():
    metrics = Metrics()
    for num_items, waiting in ((1, 0), (4, 3), (3, 0), (40, 9), (8, 2)):
        metrics.batch("questions", num_items, 12 * num_items, waiting)
    report = metrics.recent.report(60)
    batches = report["batches"]["questions"]
    assert (batches["count"], batches["items"], batches["weight"]) == (5, 56, 672)
    assert batches["mean"] == pytest.approx(11.2)
    told = {size: num for size, num in batches["sizes"].items() if num}
    assert told == {"1": 1, "3-4": 2, "5-8": 1, "33+": 1}
    assert report["queues"] == {"questions": {"now": 2, "max": 9}}
    assert samples(metrics)['steelyard_batch_items_bucket{le="4.0",model="questions"}'] == "3.0"
    assert samples(metrics)['steelyard_queue_depth{queue="questions"}'] == "2.0"


@pytest.mark.parametrize(
    ("size", "name"),
    [
        (1, "1"),
        (2, "2"),
        (3, "3-4"),
        (4, "3-4"),
        (5, "5-8"),
        (9, "9-16"),
        (32, "17-32"),
        (33, "33+"),
    ],
)
def test_batch_sizes_are_classed_by_powers_of_two(size, name):
    assert size_name(size) == name


def test_the_slowest_are_kept_slowest_first_and_no_more_than_asked():
    recent = Recent(Time())
    for number in range(100):
        recent.question(timed(float((number * 37) % 100), str(number)), "why?")
    slow = recent.slowest(60)
    assert [one.timings_ms["total"] for one in slow] == [float(99 - i) for i in range(MAX_SLOW)]


def test_slow_questions_leave_with_their_window_and_long_ones_are_cut():
    time = Time()
    recent = Recent(time)
    recent.question(timed(900.0, "old"), "x" * 10_000)
    time.now_s = 100.0
    recent.question(timed(5.0, "new"), "short")
    assert [one.id for one in recent.slowest(60)] == ["new"]
    assert [one.id for one in recent.slowest(300)] == ["old", "new"]
    assert len(recent.slowest(300)[0].question) == MAX_QUESTION
    time.now_s = 1000.0
    assert recent.slowest(300) == []


def test_equally_slow_questions_do_not_compare_as_requests():
    recent = Recent(Time())
    for number in range(50):
        recent.question(timed(1.0, str(number)), "")
    assert len(recent.slowest(60)) == MAX_SLOW


def test_a_report_is_json_even_when_nothing_happened():
    report = json.loads(json.dumps(Recent().report(60)))
    assert report["stages"] == []
    assert report["loop_lag"]["count"] == 0
    assert report["slow"] == []
