"""Events that arrive together are one delta, and lose nothing by it."""

import asyncio
import json

import httpx2
import pytest

from steelyard.core.chat import Finish
from steelyard.core.errors import UpstreamError
from steelyard.generate.deltas import Delta, read_deltas


def event(text: str, *, finish_reason: str | None = None) -> bytes:
    choice = {"delta": {"content": text}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def read(*chunks: bytes) -> list[Delta | UpstreamError]:
    async def source():
        for chunk in chunks:
            yield chunk

    async def collect() -> list[Delta | UpstreamError]:
        headers = {"content-type": "text/event-stream"}
        response = httpx2.Response(200, headers=headers, content=source())
        found: list[Delta | UpstreamError] = []
        try:
            async for delta in read_deltas(response, where="http://x"):
                found.append(delta)
        except UpstreamError as error:
            found.append(error)
        return found

    return asyncio.run(collect())


def test_tokens_of_one_chunk_are_one_delta_that_counts_them() -> None:
    found = read(event("a") + event("b"), event("c", finish_reason="stop") + b"data: [DONE]\n\n")
    assert found == [Delta("ab", None, 2), Delta("c", None, 1)]


@pytest.mark.parametrize("bad", [b"data: {\n\n", b'data: {"error": {"message": "oops"}}\n\n'])
def test_what_came_before_an_error_in_the_same_chunk_is_not_lost(bad: bytes) -> None:
    text, error = read(event("a") + bad + event("b"))
    assert text == Delta("a", None, 1)
    assert isinstance(error, UpstreamError)


def test_what_follows_the_end_is_not_read() -> None:
    found = read(event("a", finish_reason="stop") + b"data: [DONE]\n\n" + event("b"))
    assert found == [Delta("a", None, 1)]


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 2}, Finish(9, 2)),
        (
            {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": None},
            Finish(9, 2),
        ),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 0}},
            Finish(9, 0, cached_tokens=0),
        ),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}},
            Finish(9, 0, cached_tokens=8),
        ),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 80}},
            Finish(9, 0, cached_tokens=9),
        ),
        ({"prompt_tokens": -9, "completion_tokens": True}, Finish()),
        ({"prompt_tokens": "9", "prompt_tokens_details": {"cached_tokens": "8"}}, Finish()),
    ],
)
def test_the_servers_count_of_tokens_is_read_and_nonsense_is_not(usage, told) -> None:
    last = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
    found = read(event("a", finish_reason="stop") + last + b"data: [DONE]\n\n")
    assert [one.usage for one in found if one.usage] == [told]
