"""Percentiles and counts, worked out by hand."""

import pytest

from steelyard.loadtest.samples import Sample, percentile, quantiles, summarise


@pytest.mark.parametrize(
    ("p", "expected"), [(50, 20.0), (75, 30.0), (76, 40.0), (95, 40.0), (0, 10.0), (100, 40.0)]
)
def test_a_percentile_is_the_nearest_rank(p, expected):
    assert percentile([10.0, 20.0, 30.0, 40.0], p) == expected


def test_of_a_hundred_values_p95_and_p99_are_the_95th_and_the_99th():
    found = quantiles(float(n) for n in range(100, 0, -1))
    assert (found.num, found.mean, found.p50, found.p95, found.p99, found.max) == (
        100, 50.5, 50.0, 95.0, 99.0, 100.0,
    )  # fmt: skip


def test_there_is_no_percentile_of_nothing():
    assert quantiles([]) is None


def test_only_answered_requests_count_for_latency_and_throughput():
    samples = [
        Sample(0, 10.0, 4.0, timings_ms={"embed": 1.0, "total": 9.0}, cache="miss"),
        Sample(
            1, 30.0, None, timings_ms={"embed": 3.0}, cache="exact", degraded=("llm: no", "llm: x")
        ),
        Sample(2, 1.0, code="rejected"),
        Sample(3, 60_000.0, code="timeout"),
        Sample(4, 5.0, code="http_500"),
        Sample(5, 5.0, code="http_500"),
        Sample(6, 900.0, code="unfinished"),
    ]
    summary = summarise(samples, took_s=0.5)
    assert summary.per_s == 4.0
    assert (summary.num_answered, summary.num_rejected, summary.num_unfinished) == (2, 1, 1)
    assert summary.errors == {"timeout": 1, "http_500": 2}
    assert summary.num_errors == 3
    assert (summary.total_ms.mean, summary.total_ms.p50, summary.total_ms.p95) == (20.0, 10.0, 30.0)
    assert (summary.first_ms.num, summary.first_ms.p50) == (1, 4.0)
    assert summary.rejected_ms.p50 == 1.0
    assert list(summary.stages_ms) == ["embed", "total"]
    assert (summary.stages_ms["embed"].num, summary.stages_ms["total"].num) == (2, 1)
    assert summary.cache == {"miss": 1, "exact": 1}
    assert summary.degraded == {"llm": 2}


def test_a_sample_survives_its_way_between_processes():
    sample = Sample(3, 1.5, 0.5, "", {"embed": 1.0}, "semantic", ("dense",))
    assert Sample.from_row(sample.row()) == sample
