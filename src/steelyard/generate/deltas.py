"""The pieces of a streamed chat completion."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx2

from steelyard.core.chat import Finish
from steelyard.core.errors import UpstreamError
from steelyard.generate.sse import read_events
from steelyard.infra.http import foreign_message


@dataclass(frozen=True, slots=True)
class Delta:
    """Visible text, "" if these events had none; `usage` where the server sent it.

    Events that arrive together are one delta of `num_tokens`: a server with many streams open
    then passes on fewer, longer pieces instead of falling behind.
    """

    text: str = ""
    usage: Finish | None = None
    num_tokens: int = 0


async def read_deltas(response: httpx2.Response, *, where: str) -> AsyncGenerator[Delta, None]:
    """Yield what a 200 response says, streamed or whole, until its end.

    `[DONE]` or a finish_reason ends an answer; a stream that has neither was broken off.

    Raises:
        UpstreamError: not a completion at all, an error inside it, or a broken stream.
    """
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in ("text/html", "application/xhtml+xml"):
        raise UpstreamError(
            f"{where} answered with a web page, not with a completion; is the URL right? "
            "It usually ends in /v1"
        )
    if media_type == "application/json":
        completion = _parse((await response.aread()).decode("utf-8", "replace"), where)
        yield _delta(completion, where)
        return
    finished = False
    async with aclosing(read_events(response.aiter_bytes())) as batches:
        async for batch in batches:
            read = _read_batch(batch, where)
            finished = finished or read.finished
            if read.delta is not None:
                yield read.delta
            if read.error is not None:
                raise read.error
            if read.done:
                return
    if not finished:
        raise UpstreamError(f"{where} broke off its answer before the end; ask again")


@dataclass(frozen=True, slots=True)
class _Batch:
    """What came together: its text as one delta, then perhaps an error, or the end."""

    delta: Delta | None
    finished: bool
    done: bool = False
    error: UpstreamError | None = None


def _read_batch(batch: Sequence[str], where: str) -> _Batch:
    parts: list[Delta] = []
    finished, done, error = False, False, None
    for content in batch:
        if content.strip() == "[DONE]":
            done = True
            break
        try:
            event = _parse(content, where)
            parts.append(_delta(event, where))
        except UpstreamError as caught:
            error = caught
            break
        finished = finished or _finish_reason(event) is not None
    if not parts:
        return _Batch(None, finished, done, error)
    usage = next((part.usage for part in reversed(parts) if part.usage), None)
    text = "".join(part.text for part in parts)
    num_tokens = sum(part.num_tokens for part in parts)
    return _Batch(Delta(text, usage, num_tokens), finished, done, error)


def _parse(content: str, where: str) -> dict[str, Any]:
    try:
        event = json.loads(content)
    except ValueError as error:
        raise UpstreamError(f"{where} sent something that is not JSON: {content[:60]!r}") from error
    if not isinstance(event, dict):
        raise UpstreamError(f"{where} sent JSON that is no completion: {content[:60]!r}")
    if event.get("error"):
        raise UpstreamError(f"{where} reports an error: {foreign_message(content)}")
    return event


def _choice(event: dict[str, Any]) -> dict[str, Any]:
    choices = event.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _finish_reason(event: dict[str, Any]) -> object:
    return _choice(event).get("finish_reason")


def _delta(event: dict[str, Any], where: str) -> Delta:
    if "choices" not in event and "usage" not in event:
        raise UpstreamError(f"{where} sent JSON that is no completion: {str(event)[:60]!r}")
    choice = _choice(event)
    part = choice.get("delta") or choice.get("message") or {}
    content = part.get("content") if isinstance(part, dict) else None
    text = content if isinstance(content, str) else ""
    return Delta(text, _usage(event.get("usage")), num_tokens=1 if text else 0)


def _usage(usage: object) -> Finish | None:
    if not isinstance(usage, dict):
        return None
    prompt, completion = (_count(usage, name) for name in ("prompt_tokens", "completion_tokens"))
    details = usage.get("prompt_tokens_details")
    cached = _count(details, "cached_tokens") if isinstance(details, dict) else None
    if cached is not None:
        cached = min(cached, prompt or 0)
    return Finish(prompt or 0, completion or 0, cached_tokens=cached)


def _count(counts: Mapping[str, Any], name: str) -> int | None:
    """Return a count of tokens; None where there is none, or nonsense."""
    count = counts.get(name)
    sound = isinstance(count, int) and not isinstance(count, bool) and count >= 0
    return count if sound else None


class ThoughtFilter:
    """Drops a leading `<think>...</think>`, which some local servers leave in the text."""

    _OPEN = "<think>"
    _CLOSE = "</think>"

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"

    def feed(self, text: str) -> str:
        """Return the part of `text` that is for people; may be "" for a while."""
        if self._state == "answer":
            return text
        self._held += text
        if self._state == "start":
            head = self._held.lstrip()
            if self._OPEN.startswith(head[: len(self._OPEN)]) and len(head) < len(self._OPEN):
                return ""
            self._state = "thought" if head.startswith(self._OPEN) else "answer"
        if self._state == "thought":
            _, found, answer = self._held.partition(self._CLOSE)
            if not found:
                return ""
            self._held = answer.lstrip()
            self._state = "answer" if self._held else "gap"
        elif self._state == "gap":
            self._held = self._held.lstrip()
            self._state = "answer" if self._held else "gap"
        released, self._held = self._held, ""
        return released

    def rest(self) -> str:
        """Return text held back when the stream ended; a thought never ended stays hidden."""
        return "" if self._state in ("thought", "gap") else self._held
