"""The clients against a server whose every answer is known."""

import asyncio

import pytest

from steelyard.core.errors import InputError
from steelyard.loadtest.drive import Drive, Load
from steelyard.loadtest.wire import request_bytes, target_of

from .conftest import events, http, serve_told

TIMINGS = {"embed": 1.25, "made up today": 2.0}
DONE = {
    "answer": 'a text that says \\"timings_ms\\": {"embed": 99} and "cache": "none"',
    "usage": {"timings_ms": TIMINGS},
    "cache": "semantic",
    "degraded": ["dense"],
}


def drive(answer, *, num, clients=1, path="/v1/query", **options):
    async def run():
        async with serve_told(answer) as told:
            target = target_of(f"http://127.0.0.1:{told.port}", path)
            requests = [request_bytes(target, {"query": f"q{n}"}) for n in range(3)]
            order = [n % 3 for n in range(num)]
            load = Load(target, requests, order, clients, **{"seconds": 20.0, **options})
            one = Drive(load)
            await one.open()
            return await one.run(), told

    return asyncio.run(run())


def test_every_request_of_the_order_is_sent_once_over_kept_alive_connections():
    driven, told = drive(lambda n: http(200, DONE), num=10, clients=3)
    assert len(driven.samples) == 10
    assert all(not sample.code for sample in driven.samples)
    assert sorted(body["query"] for body in told.bodies) == sorted(f"q{n % 3}" for n in range(10))
    assert told.connections == 3


def test_what_the_server_says_is_read_by_its_own_names():
    driven, _ = drive(lambda n: http(200, DONE), num=1)
    sample = driven.samples[0]
    assert sample.timings_ms == TIMINGS
    assert (sample.cache, sample.degraded, sample.first_ms) == ("semantic", ("dense",), None)


def test_the_first_visible_token_is_neither_the_sources_nor_white_space():
    stream = events(
        ("sources", {"sources": []}), ("token", {"text": " \n"}), ("token", {"text": "Yes"}),
        ("done", DONE),
    )  # fmt: skip
    driven, _ = drive(lambda n: stream, num=2)
    blank, _ = drive(lambda n: events(("token", {"text": " "}), ("done", DONE)), num=1)
    assert all(0 < s.first_ms <= s.total_ms and s.cache == "semantic" for s in driven.samples)
    assert blank.samples[0].first_ms is None
    assert not blank.samples[0].code


def test_failures_are_counted_by_their_kind():
    error = events(("token", {"text": "I"}), ("error", {"code": "upstream", "message": "no"}))
    answers = [
        http(200, DONE), http(500, {}), http(404, {}), error, events(("token", {"text": "cut"})),
        b"", b"not http at all\r\n\r\n", http(200, DONE), http(200, DONE, Connection="close"),
        http(200, DONE),
    ]  # fmt: skip
    driven, told = drive(lambda n: answers[n], num=len(answers))
    assert [sample.code for sample in driven.samples] == [
        "", "http_500", "http_404", "upstream", "cut", "connection", "connection", "", "", "",
    ]  # fmt: skip
    assert told.connections == 4  # broken twice, closed once


def test_a_429_is_a_rejection_and_not_an_error():
    def answer(n):
        return http(429, {"error": {"code": "overloaded"}}, Retry_After="0") if n % 2 else ok

    ok = http(200, DONE)
    driven, _ = drive(answer, num=6)
    assert [sample.code for sample in driven.samples] == ["", "rejected"] * 3


def test_a_silent_server_is_a_timeout_and_the_next_request_has_a_new_connection():
    driven, told = drive(lambda n: b"hang" if n == 0 else http(200, DONE), num=2, timeout_s=0.2)
    assert [sample.code for sample in driven.samples] == ["timeout", ""]
    assert told.connections == 2


def test_nobody_listening_is_an_error_a_request_and_not_a_crash():
    async def run():
        async with serve_told(lambda n: http(200, {})) as told:
            target = target_of(f"http://127.0.0.1:{told.port}", "/")
        one = Drive(Load(target, [b"x"], [0] * 4, 2, seconds=20.0))
        await one.open()
        return await one.run()

    assert [sample.code for sample in asyncio.run(run()).samples] == ["connection"] * 4


def test_what_runs_when_the_time_is_up_is_named_unfinished(monkeypatch):
    monkeypatch.setattr("steelyard.loadtest.drive.GRACE_S", 0.05)
    driven, _ = drive(lambda n: b"hang" if n else http(200, DONE), num=50, seconds=0.3)
    assert [sample.code for sample in driven.samples] == ["", "unfinished"]


def test_an_open_loop_counts_from_the_moment_a_request_was_due(monkeypatch):
    """One slow answer delays every request behind it, and each of them shows the delay."""
    monkeypatch.setattr("steelyard.loadtest.drive.GRACE_S", 0.05)
    driven, told = drive(lambda n: b"hang", num=100, seconds=0.5, rate=100.0)
    assert len(told.bodies) == 1
    codes = {sample.code for sample in driven.samples}
    assert codes == {"unfinished"}
    assert 45 <= len(driven.samples) <= 100  # all that were due, though one alone was sent
    waited = [sample.total_ms for sample in sorted(driven.samples, key=lambda s: -s.total_ms)]
    assert waited[1] - waited[41] == pytest.approx(400, abs=100)  # each was due 10 ms later


def test_an_open_loop_sends_no_faster_than_its_rate():
    driven, told = drive(lambda n: http(200, DONE), num=6, clients=3, rate=50.0)
    assert len(told.bodies) == 6
    assert driven.took_s >= 0.1  # a lower bound: the sixth is due 100 ms after the first


def test_stopped_it_returns_what_was_measured():
    async def run():
        async with serve_told(lambda n: http(200, DONE)) as told:
            target = target_of(f"http://127.0.0.1:{told.port}", "/")
            one = Drive(Load(target, [request_bytes(target, {})], [0] * 10**6, 2, seconds=60.0))
            await one.open()
            asyncio.get_running_loop().call_later(0.1, one.stop)
            return await one.run()

    driven = asyncio.run(run())
    assert 0 < len(driven.samples) < 10**6


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:port", "http://h/?a=1"])
def test_a_bad_url_is_named(url):
    with pytest.raises(InputError, match="URL"):
        target_of(url, "/v1/search")


def test_a_path_before_the_api_and_ipv6_and_https_are_kept():
    target = target_of("https://[::1]/base/", "/v1/search")
    assert (target.host, target.port, target.path, target.tls) == (
        "::1", 443, "/base/v1/search", True,
    )  # fmt: skip
    assert b"Host: [::1]:443\r\n" in request_bytes(target, {})
