"""Foreign failures become one clear line; URLs are taken as people write them."""

import email.utils
import time

import httpx2
import pytest

from steelyard.core.errors import InputError, UpstreamError
from steelyard.infra.http import (
    endpoint_root,
    foreign_message,
    is_brief,
    is_loopback,
    open_client,
    upstream_error,
)

WHERE = "http://127.0.0.1:8000/v1"


def _refused(status: int, body: str = "", **headers: str) -> httpx2.HTTPStatusError:
    request = httpx2.Request("POST", WHERE)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(status, text=body, headers=names, request=request)
    return httpx2.HTTPStatusError("refused", request=request, response=response)


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        ("127.0.0.1:11434/v1/", "http://127.0.0.1:11434/v1"),
        ("https://x.example/openai/v1/chat/completions", "https://x.example/openai/v1"),
        ("https://x.example/api/v1beta", "https://x.example/api/v1beta"),
        ("https://x.example/v1beta/openai", "https://x.example/v1beta/openai"),
        ("https://x.example/v1/models?x=1", "https://x.example/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_a_base_url_is_understood_however_it_is_written(given, root):
    assert endpoint_root(given) == root


@pytest.mark.parametrize("given", ["", "ftp://x/v1", "http://", "http://x:port/", "http://[::1"])
def test_what_is_no_url_is_refused(given):
    with pytest.raises(InputError):
        endpoint_root(given)


def test_a_password_in_a_url_is_refused_and_not_repeated():
    with pytest.raises(InputError) as caught:
        endpoint_root("https://user:hunter2@x.example/v1")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:1/", True),
        ("http://127.8.8.8/", True),
        ("http://[::1]/", True),
        ("http://localhost.example.org/", False),
        ("http://10.0.0.1/", False),
    ],
)
def test_loopback_is_told_from_the_rest(url, here):
    assert is_loopback(url) is here


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (httpx2.ConnectTimeout("slow"), "did not accept a connection in time"),
        (httpx2.ConnectError("no route"), "cannot connect"),
        (httpx2.ReadTimeout("slow"), "did not answer in time"),
        (TimeoutError(), "did not answer in time"),
        (httpx2.ReadError("reset"), "broke off"),
        (httpx2.RemoteProtocolError("odd"), "broke off"),
        (httpx2.UnsupportedProtocol("odd"), "failed: odd"),
        (_refused(401), "refuses the key"),
        (_refused(404), "no such model or path"),
        (_refused(500), "failed by itself"),
        (_refused(418), "does not accept the request (418)"),
    ],
)
def test_every_failure_has_a_line_of_its_own(error, says):
    translated = upstream_error(error, where=WHERE)
    assert isinstance(translated, UpstreamError)
    assert says in translated.message
    assert WHERE in translated.message
    assert upstream_error(translated, where="elsewhere") is translated


def test_retry_after_is_read_as_seconds_or_as_a_date():
    assert upstream_error(_refused(429, retry_after="3"), where=WHERE).retry_after_s == 3.0
    assert upstream_error(_refused(429), where=WHERE).retry_after_s == 1.0
    assert upstream_error(_refused(429, retry_after="soon"), where=WHERE).retry_after_s == 1.0
    assert upstream_error(_refused(500), where=WHERE).retry_after_s is None
    later = email.utils.formatdate(time.time() + 100, usegmt=True)
    wait_s = upstream_error(_refused(503, retry_after=later), where=WHERE).retry_after_s
    assert wait_s is not None
    assert 1 < wait_s <= 100


def test_only_what_may_pass_at_once_is_worth_a_second_try():
    assert is_brief(_refused(502))
    assert is_brief(_refused(503))
    assert is_brief(httpx2.ConnectError("refused"))
    assert is_brief(httpx2.RemoteProtocolError("closed"))
    assert not is_brief(_refused(500))
    assert not is_brief(_refused(429))
    assert not is_brief(httpx2.ConnectTimeout("slow"))
    assert not is_brief(httpx2.ReadTimeout("slow"))


def test_a_foreign_message_is_short_and_holds_no_key():
    assert foreign_message('{"error": {"message": "no model x"}}') == "no model x"
    assert foreign_message('{"detail": "Not Found"}') == "Not Found"
    assert foreign_message("<html>oops</html>") == ""
    assert foreign_message("") == ""
    assert foreign_message("bad key sk-abcdefgh12345678, sorry") == "bad key [key], sorry"
    assert len(foreign_message("word " * 1000)) == 200


def test_a_loopback_server_is_never_asked_through_a_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    monkeypatch.setenv("ALL_PROXY", "http://192.0.2.1:3128")
    assert not open_client(WHERE).trust_env
    assert open_client("https://api.example.org/v1").trust_env
