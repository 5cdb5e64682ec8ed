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


def test_a_reply_has_exactly_the_tokens_asked_for_and_ends_with_its_mark():
    async def scenario(client, mock):
        prompt = '<source n="2" title="T">\nThe sky is blue. The sea is deep.\n</source>\nWhy?'
        asked = [{"role": "user", "content": prompt}]
        return await client.chat.completions.create(model="mock", messages=asked)

    texts = []
    for num_tokens in (1, 6, 30):
        answer = _with_client(MockOptions(num_tokens=num_tokens), scenario)
        assert answer.usage.completion_tokens == num_tokens
        texts.append(answer.choices[0].message.content)
    assert texts[1] == "The sky is blue. [2] [2]"
    assert all(text.endswith("[2]") for text in texts)
    assert texts[2].count("The sky is blue. [2] The sea is deep. [2]") >= 2


def test_sixty_four_streams_at_once_all_end_with_every_token():
    async def scenario(client, mock):
        async def one():
            stream = await client.chat.completions.create(model="mock", messages=ASK, stream=True)
            texts = [chunk.choices[0].delta.content or "" async for chunk in stream]
            return "".join(texts)

        texts = await asyncio.gather(*(one() for _ in range(64)))
        return texts, mock.open_streams, mock.dropped, mock.num_requests

    options = MockOptions(reply="a b c d e f g h", ttft_ms=20, tokens_per_s=200)
    texts, still_open, dropped, num = _with_client(options, scenario)
    assert texts == ["a b c d e f g h"] * 64
    assert (still_open, dropped, num) == (0, 0, 64)


def test_a_connection_carries_one_stream_after_the_other():
    async def scenario(client, mock):
        for _ in range(3):
            stream = await client.chat.completions.create(model="mock", messages=ASK, stream=True)
            async for _ in stream:
                pass
        return mock.connections

    assert _with_client(MockOptions(reply="a b"), scenario) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 3\r\n\r\n{x}",
        b'POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 15\r\n\r\n{"messages": 1}',
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]",
    ],
)
def test_rubbish_is_answered_with_400(sent):
    async def run():
        async with serve_mock_llm() as mock:
            reader, writer = await asyncio.open_connection("127.0.0.1", mock.port)
            writer.write(sent)
            head = await reader.readuntil(b"\r\n")
            writer.close()
            return head

    assert asyncio.run(run()).startswith(b"HTTP/1.1 400 ")
