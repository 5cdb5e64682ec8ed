"""Files and fine-tuning jobs of an OpenAI-shaped host, asked for until it answers."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from steelyard.core.errors import InputError, SetupError, UpstreamError
from steelyard.infra.http import endpoint_root, is_loopback, open_client, upstream_error

KEY_NAME = "STEELYARD_HOSTED_KEY"
ANSWER_S = 60.0
UPLOAD_S = 900.0
TRIES = 6
LONGEST_WAIT_S = 120.0  # also where a host asks for more
FILE_POLL_S = 2.0
FILE_POLLS = 150

_FIRST_WAIT_S = 1.0
_BUSY = (408, 429, 500, 502, 503, 504)
# A request that makes something is sent again only if it was surely not taken.
_NOT_TAKEN = (429, 503)


class HostedClient:
    """One host, by its base URL; closed by `async with`.

    The key is sent to this host alone: redirects are not followed. `sleep` is for tests.

    Raises:
        SetupError: the host is another machine, and there is no key.
    """

    def __init__(
        self, url: str, *, key: str, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self.url = endpoint_root(url)
        if not key and not is_loopback(self.url):
            raise SetupError(f"{self.url} needs a key; run: export {KEY_NAME}=...")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = open_client(self.url, headers=headers)
        self._sleep = sleep

    async def __aenter__(self) -> "HostedClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def upload(self, path: Path) -> str:
        """Send a file to train on, wait until it is checked, and return its id.

        Raises:
            InputError: the host finds faults in it.
            UpstreamError: the host does not take it.
        """
        content = await asyncio.to_thread(path.read_bytes)
        files = {"file": (path.name, content, "application/jsonl")}
        told = await self._ask(
            "POST", "/files", data={"purpose": "fine-tune"}, files=files, limit_s=UPLOAD_S
        )
        for _ in range(FILE_POLLS):
            status = told.get("status")
            if status == "error":
                raise InputError(
                    f"{self.url} finds faults in {path.name!r}: {told.get('status_details')}"
                )
            if status in ("processed", None):  # some hosts tell none
                break
            if status == "uploaded":
                await self._sleep(FILE_POLL_S)
                told = await self._ask("GET", f"/files/{told['id']}")
        return str(told["id"])

    async def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a job, and return it as the host tells it."""
        return await self._ask("POST", "/fine_tuning/jobs", json=dict(body))

    async def job(self, identity: str) -> dict[str, Any]:
        return await self._ask("GET", f"/fine_tuning/jobs/{identity}")

    async def cancel(self, identity: str) -> dict[str, Any]:
        return await self._ask("POST", f"/fine_tuning/jobs/{identity}/cancel")

    async def events(self, identity: str, *, after: str = "") -> list[dict[str, Any]]:
        """Return a job's events since the one named `after`, oldest first, of the newest 100."""
        path = f"/fine_tuning/jobs/{identity}/events"
        told = await self._ask("GET", path, params={"limit": "100"})
        new: list[dict[str, Any]] = []
        for event in told.get("data", []):
            if event.get("id") == after:
                break
            new.append(event)
        return new[::-1]

    async def _ask(
        self, method: str, path: str, *, limit_s: float = ANSWER_S, **given: Any
    ) -> dict[str, Any]:
        """Return the JSON object that the host answers.

        A busy host is asked again when it says, or later and later.

        Raises:
            UpstreamError: it fails, refuses, or answers something else; the last of all tries.
        """
        headers = {} if method == "GET" else {"Idempotency-Key": secrets.token_hex(16)}
        wait_s = _FIRST_WAIT_S
        for attempt in range(1, TRIES + 1):
            try:
                async with asyncio.timeout(limit_s):
                    response = await self._client.request(
                        method, self.url + path, headers=headers, **given
                    )
                response.raise_for_status()
                return _object(response, where=self.url)
            except (httpx2.HTTPError, TimeoutError) as error:
                told = upstream_error(error, where=self.url)
                if attempt == TRIES or not _again(error, method):
                    raise told from error
            asked_s = told.retry_after_s
            await self._sleep(min(LONGEST_WAIT_S, wait_s if asked_s is None else asked_s))
            wait_s *= 2
        raise AssertionError("the last try returns or raises")


def _again(error: Exception, method: str) -> bool:
    """Tell whether a request may be sent once more."""
    if isinstance(error, httpx2.HTTPStatusError):
        return error.response.status_code in (_BUSY if method == "GET" else _NOT_TAKEN)
    if method == "GET":
        return True
    return isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)


def _object(response: httpx2.Response, *, where: str) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise UpstreamError(f"{where} answers no JSON object; is it an OpenAI-shaped host?")
    return content
