"""Replies of an OpenAI-compatible endpoint, asked again where that may help."""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx2

from steelyard.core.chat import Message
from steelyard.core.errors import SetupError, UpstreamError
from steelyard.infra.http import endpoint_root, open_client, upstream_error

_LOG = logging.getLogger(__name__)
_PASSING = (408, 425, 429)
_LONGEST_BACKOFF_S = 30.0


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """Who judges, how often, and how patiently it is asked.

    A wait that the endpoint asks for (Retry-After) is kept, up to `longest_wait_s`; else waits
    begin at `backoff_s` and double. After `give_up_after` failures in a row nothing more is
    asked: what was answered so far is in the cache.
    """

    url: str
    model: str
    repeats: int = 3
    concurrency: int = 8
    attempts: int = 5
    timeout_s: float = 120.0
    max_tokens: int = 512
    backoff_s: float = 0.5
    longest_wait_s: float = 90.0
    give_up_after: int = 10


class Endpoint:
    """One model at one address, asked at temperature 0."""

    def __init__(
        self, options: JudgeOptions, *, key: str = "", client: httpx2.AsyncClient | None = None
    ) -> None:
        """Prepare a client; nothing is sent yet.

        Raises:
            InputError: `options.url` is no usable URL.
        """
        self._options = options
        self._url = endpoint_root(options.url)
        self._seeded = True
        headers = {"Authorization": f"Bearer {key}"} if key else None
        self._client = client or open_client(self._url, headers=headers)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def reply(self, messages: Sequence[Message], *, seed: int) -> str:
        """Return the model's whole text.

        Raises:
            SetupError: asking anything else would fail as well: key, model or address are wrong.
            UpstreamError: this request failed, after all attempts that made sense.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._once(messages, seed=seed)
            except (httpx2.HTTPError, TimeoutError) as error:
                failure = upstream_error(error, where=self._url)
                if _is_final(error):
                    raise SetupError(failure.message) from error
                if attempt >= self._options.attempts or not _passes(error):
                    raise failure from error
                wait_s = self._wait_s(failure, attempt)
                if wait_s > self._options.longest_wait_s:
                    raise failure from error
                _LOG.info("judge_retry", extra={"attempt": attempt, "wait_s": round(wait_s, 1)})
                await asyncio.sleep(wait_s)

    def _wait_s(self, failure: UpstreamError, attempt: int) -> float:
        if failure.retry_after_s is not None:
            return failure.retry_after_s
        longest: float = min(self._options.backoff_s * 2 ** (attempt - 1), _LONGEST_BACKOFF_S)
        return longest * (0.5 + random.random() / 2)  # so that those refused together part

    async def _once(self, messages: Sequence[Message], *, seed: int) -> str:
        body: dict[str, Any] = {
            "model": self._options.model,
            "messages": [asdict(message) for message in messages],
            "temperature": 0,
            "max_tokens": self._options.max_tokens,
        }
        if self._seeded:
            body["seed"] = seed
        async with asyncio.timeout(self._options.timeout_s):
            response = await self._client.post(f"{self._url}/chat/completions", json=body)
        refused = response.status_code in (400, 422) and b"seed" in response.content
        if refused and "seed" in body:
            self._seeded = False  # this server knows no seeds; the orders still differ
            return await self._once(messages, seed=seed)
        response.raise_for_status()
        return self._text(response)

    def _text(self, response: httpx2.Response) -> str:
        try:
            return str(response.json()["choices"][0]["message"]["content"] or "")
        except (ValueError, LookupError, TypeError) as error:
            raise SetupError(
                f"{self._url} does not answer as OpenAI's chat completions do; is it the right URL?"
            ) from error


def _passes(error: Exception) -> bool:
    """Tell whether the same request may succeed later."""
    if isinstance(error, httpx2.HTTPStatusError):
        status = error.response.status_code
        return status in _PASSING or status >= 500
    return True


def _is_final(error: Exception) -> bool:
    if not isinstance(error, httpx2.HTTPStatusError):
        return False
    return error.response.status_code in (401, 403, 404, 405) or error.response.is_redirect
