"""The one way out: HTTP clients for other systems, and their failures in one clear line."""

import email.utils
import ipaddress
import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx2

from steelyard.core.errors import InputError, UpstreamError

_BRIEF = 200  # characters of a foreign error message that are worth repeating


def open_client(
    url: str, *, headers: dict[str, str] | None = None, connect_timeout_s: float = 5.0
) -> httpx2.AsyncClient:
    """Return a client for `url`, to be closed by the caller.

    Reading has no timeout of its own: a stream's reader knows better what is too long. A
    loopback address is never asked through a proxy, and redirects are never followed, as they
    would carry the key to another host.
    """
    return httpx2.AsyncClient(
        headers=headers,
        timeout=httpx2.Timeout(None, connect=connect_timeout_s, write=30.0, pool=30.0),
        limits=httpx2.Limits(max_connections=256, max_keepalive_connections=32),
        follow_redirects=False,
        trust_env=not is_loopback(url),
    )


def is_loopback(url: str) -> bool:
    """Tell whether `url` can only mean this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def endpoint_root(url: str) -> str:
    """Return an OpenAI-compatible base URL so that it ends in `/v1`, whatever the user typed.

    Raises:
        InputError: not an http(s) URL with a host, or one that carries a password.
    """
    text = url.strip()
    if "://" not in text:
        text = "http://" + text
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise InputError(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{url!r} is not an http(s) URL, such as http://127.0.0.1:8000/v1")
    if parts.username or parts.password:
        place = f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port else "")
        raise InputError(f"the URL of {place} holds a password; give the key by environment")
    path = re.sub(r"/(chat/completions|completions|models|rerank)/?$", "", parts.path.rstrip("/"))
    if not re.search(r"/v\d+[a-z0-9]*(/|$)", path):
        path += "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def upstream_error(error: Exception, *, where: str) -> UpstreamError:
    """Return a failed request to `where` (a URL) as our own error, with the repair in it."""
    if isinstance(error, UpstreamError):
        return error
    if isinstance(error, httpx2.HTTPStatusError):
        return _status_error(error.response, where=where)
    if isinstance(error, httpx2.ConnectTimeout):
        return UpstreamError(f"{where} did not accept a connection in time; is the address right?")
    if isinstance(error, httpx2.ConnectError):
        return UpstreamError(f"cannot connect to {where}: {_reason(error)}; is it running?")
    if isinstance(error, (httpx2.TimeoutException, TimeoutError)):
        return UpstreamError(f"{where} did not answer in time; it may be overloaded or stuck")
    if isinstance(error, (httpx2.NetworkError, httpx2.RemoteProtocolError)):
        return UpstreamError(f"{where} broke off the connection: {_reason(error)}")
    return UpstreamError(f"the request to {where} failed: {_reason(error)}")


def is_brief(error: Exception) -> bool:
    """Tell whether asking once more at once may help: no connection, a restart behind a proxy."""
    if isinstance(error, httpx2.HTTPStatusError):
        return error.response.status_code in (502, 503)
    if isinstance(error, httpx2.ConnectTimeout):
        return False  # it has cost its full time already
    return isinstance(error, (httpx2.NetworkError, httpx2.RemoteProtocolError))


def _status_error(response: httpx2.Response, *, where: str) -> UpstreamError:
    """Say what an HTTP status means; the body must have been read."""
    status = response.status_code
    said = foreign_message(response.text)
    retry_after_s = _retry_after_s(response.headers.get("retry-after"))
    if status in (401, 403):
        text = f"{where} refuses the key ({status}); set the right one in the environment"
    elif status == 404:
        text = f"{where} knows no such model or path (404); check the model's name and the URL"
    elif status == 429:
        text = f"{where} has too many requests or no quota left (429); try again later"
        retry_after_s = 1.0 if retry_after_s is None else retry_after_s
    elif 300 <= status < 400:
        text = f"{where} redirects to {response.headers.get('location', '?')!r}; use that address"
    elif status >= 500:
        text = f"{where} failed by itself ({status}); its log says more"
    else:
        text = f"{where} does not accept the request ({status})"
    return UpstreamError(text + (f": {said}" if said else ""), retry_after_s=retry_after_s)


def foreign_message(body: str) -> str:
    """Return the human part of an error body (JSON or text) in one short line; "" if none."""
    if body.lstrip()[:1] == "<":
        return ""  # a web page says nothing in a line
    found = re.search(r'"(?:message|detail|error)"\s*:\s*"((?:[^"\\]|\\.)*)"', body)
    line = " ".join((found.group(1) if found else body).split())
    line = re.sub(r"\b(?:sk|gsk|key|hf)[-_][\w-]{8,}", "[key]", line)
    return line if len(line) <= _BRIEF else line[: _BRIEF - 1] + "…"


def _retry_after_s(value: str | None) -> float | None:
    """Read a Retry-After header, seconds or a date; None where there is none to read."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
