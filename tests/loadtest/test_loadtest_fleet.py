"""Load from real processes against the mock model server, whose requests can be counted."""

import os

from steelyard.loadtest import Load, measure, request_bytes, target_of
from steelyard.loadtest.fleet import _shares


def _load(mock, *, num, clients, **options):
    target = target_of(f"http://127.0.0.1:{mock.port}", "/v1/chat/completions")
    ask = {"messages": [{"role": "user", "content": "Hello"}], "stream": True}
    return Load(target, [request_bytes(target, ask)], [0] * num, clients, seconds=30.0, **options)


def test_a_process_asks_and_its_samples_come_back(mock_llm):
    mock = mock_llm(reply="It is so.", ttft_ms=20, tokens_per_s=100)
    measured = measure(_load(mock, num=12, clients=4))
    summary = measured.summary
    assert (summary.num_answered, summary.num_errors, mock.num_requests) == (12, 0, 12)
    assert summary.first_ms.num == 12
    assert 20 <= summary.first_ms.p50 < summary.total_ms.p50  # lower bounds and order only
    assert not measured.interrupted


def test_a_servers_errors_come_back_counted(mock_llm):
    mock = mock_llm(reply="Yes.", fault="503", failures=3)
    summary = measure(_load(mock, num=5, clients=1)).summary
    assert (summary.num_answered, dict(summary.errors)) == (2, {"http_503": 3})


def test_clients_order_and_rate_are_shared_out_without_loss(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    target = target_of("http://h", "/")
    load = Load(target, [b""], list(range(10)), 200, seconds=1.0, rate=40.0)
    shares = _shares(load)
    assert [share.num_clients for share in shares] == [50, 50, 50, 50]
    assert sorted(n for share in shares for n in share.order) == list(range(10))
    assert sum(share.rate for share in shares) == 40.0
    assert len(_shares(Load(target, [b""], [0], 200, seconds=1.0))) == 1
