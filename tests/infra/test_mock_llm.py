"""The mock model server is OpenAI-shaped enough for OpenAI's own client."""

import asyncio
import time

import openai
import pytest

from steelyard.infra.mock_llm import MockOptions, serve_mock_llm

ASK = [{"role": "user", "content": "Hello"}]


def _with_client(options, scenario):
    async def run():
        async with (
            serve_mock_llm(options) as mock,
            openai.AsyncOpenAI(base_url=mock.url, api_key="sk-x", max_retries=0) as client,
        ):
            return await scenario(client, mock)

    return asyncio.run(run())


def test_models_are_listed():
    async def scenario(client, mock):
        return [model.id async for model in client.models.list()]

    assert _with_client(MockOptions(models=("a", "b")), scenario) == ["a", "b"]


def test_an_answer_comes_whole_or_streamed_alike():
    async def scenario(client, mock):
        whole = await client.chat.completions.create(model="mock", messages=ASK)
        stream = await client.chat.completions.create(
            model="mock", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        return whole, chunks, len(mock.requests)

    whole, chunks, num_requests = _with_client(MockOptions(reply="It is so. [1]"), scenario)
    assert whole.choices[0].message.content == "It is so. [1]"
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == "It is so. [1]"
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens == 4
    assert num_requests == 2


def test_a_wrong_key_is_refused_in_the_usual_way():
    async def scenario(client, mock):
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="mock", messages=ASK)

    _with_client(MockOptions(key="sk-other"), scenario)


def test_tokens_are_paced_no_faster_than_asked():
    async def scenario(client, mock):
        begun = time.monotonic()
        stream = await client.chat.completions.create(model="mock", messages=ASK, stream=True)
        async for _ in stream:
            pass
        return time.monotonic() - begun

    options = MockOptions(reply="a b c d e", ttft_ms=50, tokens_per_s=100)
    assert _with_client(options, scenario) >= 0.1  # a lower bound: sleeps are never shorter


def test_the_echo_cites_the_first_source_of_the_prompt():
    async def scenario(client, mock):
        prompt = '<source n="4" title="T">\nThe sky is blue today. More.\n</source>\nWhy?'
        answers = []
        for text in (prompt, "no sources"):
            asked = [{"role": "user", "content": text}]
            answer = await client.chat.completions.create(model="mock", messages=asked)
            answers.append(answer.choices[0].message.content)
        return answers

    echoed = _with_client(MockOptions(), scenario)
    assert echoed == ["The sky is blue today. [4]", "The documents don't tell."]
