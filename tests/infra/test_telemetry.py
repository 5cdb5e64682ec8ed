import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.infra.telemetry import (
    HIGHEST,
    LONGEST_WINDOW_S,
    LOWEST,
    NUM_BUCKETS,
    Histogram,
    Names,
    Tally,
    Windows,
    rss_bytes,
)

# Spread evenly over the decades, as latencies are, with the promised ends.
LATENCIES = st.floats(math.log(LOWEST), math.log(HIGHEST * 0.999)).map(math.exp)
PS = (0.0, 0.01, 0.5, 0.95, 0.99, 0.999, 1.0)


def filled(values):
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


class Time:
    """A clock that a test moves."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@given(st.lists(LATENCIES, min_size=1, max_size=300))
def test_every_quantile_is_within_one_percent_of_the_exact_one(values):
    ordered = sorted(values)
    found = filled(values).quantiles(PS)
    for p, value in zip(PS, found, strict=True):
        exact = ordered[max(1, math.ceil(p * len(ordered))) - 1]
        assert abs(value - exact) <= 0.01 * exact, (p, exact, value)


@given(st.lists(LATENCIES, max_size=80), st.lists(LATENCIES, max_size=80))
def test_merging_is_the_same_as_having_recorded_all_in_one(first, second):
    merged = filled(first)
    merged.merge(filled(second))
    whole = filled(first + second)
    assert merged.quantiles(PS) == whole.quantiles(PS)
    assert merged.count == len(first) + len(second)
    assert math.isclose(merged.total, math.fsum(first + second), rel_tol=1e-9)
    assert merged.highest == max(first + second, default=0.0)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=50))
def test_any_float_is_counted_and_leaves_finite_numbers(values):
    summary = filled(values).summary()
    assert summary.count == len(values)
    for number in (summary.mean, summary.p50, summary.p95, summary.p99, summary.max):
        assert math.isfinite(number)
        assert number >= 0


def test_the_ends_of_the_range_have_buckets_of_their_own():
    histogram = filled([0.0, -1.0, LOWEST / 2, LOWEST, HIGHEST * 0.999999, HIGHEST, 250.0])
    assert histogram.quantiles([3 / 7])[0] == 0.0
    assert histogram.quantiles([4 / 7])[0] == pytest.approx(LOWEST, rel=0.01)
    assert histogram.quantiles([5 / 7])[0] == pytest.approx(HIGHEST, rel=0.01)
    assert histogram.quantiles([1.0])[0] == 250.0


def test_an_empty_histogram_is_all_zeros():
    summary = Histogram().summary()
    assert (summary.count, summary.mean, summary.p50, summary.max) == (0, 0.0, 0.0, 0.0)


def test_a_histogram_keeps_its_size_whatever_it_counts():
    assert NUM_BUCKETS < 1100
    histogram = filled([1e-5 * 1.001**i for i in range(15_000)])
    assert histogram.summary().count == 15_000
    assert not hasattr(histogram, "__dict__")


def test_a_window_forgets_what_is_older():
    time = Time()
    windows = Windows(time)
    windows.record({"embed": 0.5, "dense": 0.1})
    time.now_s += 30
    windows.record({"embed": 0.001})
    assert windows.summaries(60)["embed"].count == 2
    time.now_s += 45  # the first is 75 s old now: outside of 60 s, inside of 300 s
    assert windows.summaries(60)["embed"].count == 1
    assert windows.summaries(60)["embed"].p99 == pytest.approx(0.001, rel=0.01)
    assert windows.summaries(300)["embed"].count == 2
    assert windows.summaries(60)["dense"].count == 0
    time.now_s += 2 * LONGEST_WINDOW_S
    assert windows.summaries(300)["embed"].count == 0


@given(st.lists(st.tuples(st.floats(0, 400), LATENCIES), min_size=1, max_size=40))
def test_a_window_holds_its_seconds_and_at_most_ten_more(steps):
    time = Time()
    windows = Windows(time)
    recorded = []
    for wait_s, value in steps:
        time.now_s += wait_s
        windows.record({"x": value})
        recorded.append(time.now_s)
    for window_s in (60.0, 300.0):
        count = windows.summaries(window_s)["x"].count
        surely = sum(time.now_s - at < window_s for at in recorded)
        perhaps = sum(time.now_s - at <= window_s + 10.001 for at in recorded)
        assert surely <= count <= perhaps


def test_names_beyond_the_cap_share_one_window():
    windows = Windows(Time(), max_names=3)
    for number in range(50):
        windows.record({f"stage{number}": 0.01})
    summaries = windows.summaries(60)
    assert list(summaries) == ["stage0", "stage1", "stage2", "other"]
    assert summaries["other"].count == 47


def test_a_tally_slides_and_keeps_the_order_of_first_use():
    time = Time()
    tally = Tally(time)
    tally.add("miss", 3)
    time.now_s += 200
    tally.add("exact")
    tally.add("miss")
    assert tally.counts(60) == {"miss": 1, "exact": 1}
    assert tally.counts(300) == {"miss": 4, "exact": 1}
    assert list(tally.counts(300)) == ["miss", "exact"]
    time.now_s += 400
    assert tally.counts(300) == {}


def test_known_names_stay_when_the_cap_is_reached():
    names = Names(2, known=("embed", "dense"))
    assert [names(name) for name in ("dense", "surprise", "embed")] == ["dense", "other", "embed"]


def test_nothing_is_lost_when_threads_record_at_once():
    windows = Windows()
    tally = Tally()

    def work():
        for _ in range(2000):
            windows.record({"a": 0.001, "b": 0.002})
            tally.add("x")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: one.count for name, one in windows.summaries(300).items()} == {
        "a": 8000,
        "b": 8000,
    }
    assert tally.counts(300) == {"x": 8000}


def test_the_resident_memory_is_that_of_a_python_process():
    size = rss_bytes()
    if size is not None:  # None where the system does not tell
        assert 5 * 2**20 < size < 16 * 2**30
