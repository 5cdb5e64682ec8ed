"""OpenAIGenerator against a real loopback server, healthy and in every way broken."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from steelyard.core.chat import Finish, Message, Token
from steelyard.core.errors import SetupError, UpstreamError
from steelyard.generate.openai import KEY_VARIABLE, OpenAIGenerator, api_key
from steelyard.generate.options import LlmOptions
from steelyard.infra.mock_llm import MockLLM, MockOptions, serve_mock_llm

QUICK = LlmOptions(first_token_timeout_s=0.3, stall_timeout_s=0.3, total_timeout_s=5.0)
REPLY = "The default timeout is 30 seconds. [1] Ünïcode stays – 日本語 too."


async def _collect(generator, passages, **kwargs):
    pieces = []
    try:
        async with aclosing(generator.generate("How long?", passages, **kwargs)) as stream:
            async for piece in stream:
                pieces.append(piece)
    finally:
        await generator.aclose()
    return pieces


async def _until(true) -> None:
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


async def _all_closed(mock: MockLLM) -> None:
    await _until(lambda: not mock.connections and not mock.open_streams)


def _text(pieces) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Token))


async def _ask(mock_options, passages, options=QUICK, **kwargs):
    async with serve_mock_llm(mock_options) as mock:
        generator = OpenAIGenerator(replace(options, url=mock.url))
        try:
            return await _collect(generator, passages, **kwargs), mock
        finally:
            await _all_closed(mock)


def test_an_answer_streams_token_by_token_and_ends_in_its_usage(run, passages):
    pieces, mock = run(_ask(MockOptions(reply=REPLY), passages))
    assert _text(pieces) == REPLY
    tokens = [piece for piece in pieces if isinstance(piece, Token)]
    assert len(tokens) == len(REPLY.split())
    assert isinstance(pieces[-1], Finish)
    assert pieces[-1].completion_tokens == len(tokens)
    assert pieces[-1].prompt_tokens > 100
    assert sum(isinstance(piece, Finish) for piece in pieces) == 1
    request = mock.requests[0]
    assert request["model"] == "mock"  # the server's first, as none was named
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert "30 seconds" in request["messages"][1]["content"]


def test_a_conversation_of_the_callers_own_is_completed_whole(run):
    async def scenario():
        async with serve_mock_llm(MockOptions(reply=REPLY)) as mock:
            generator = OpenAIGenerator(replace(QUICK, url=mock.url))
            try:
                return await generator.complete([Message("user", "Hello")]), mock.requests
            finally:
                await generator.aclose()

    reply, requests = run(scenario())
    assert reply == REPLY
    assert requests[0]["messages"] == [{"role": "user", "content": "Hello"}]


def test_tokens_arrive_before_the_server_has_finished(run, passages):
    async def scenario():
        async with serve_mock_llm(MockOptions(reply=REPLY, fault="stall_later")) as mock:
            generator = OpenAIGenerator(LlmOptions(url=mock.url))
            stream = generator.generate("How long?", passages)
            first = await anext(stream)
            still_open = mock.open_streams
            await stream.aclose()
            await generator.aclose()
            await _all_closed(mock)
            return first, still_open, mock.dropped

    first, still_open, dropped = run(scenario())
    assert first == Token("The")
    assert still_open == 1
    assert dropped == 1


def test_cancelling_the_consumer_closes_the_upstream_request(run, passages):
    async def scenario():
        async with serve_mock_llm(MockOptions(reply=REPLY, fault="stall")) as mock:
            generator = OpenAIGenerator(LlmOptions(url=mock.url))
            task = asyncio.create_task(_collect(generator, passages))
            await _until(lambda: mock.open_streams == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await _all_closed(mock)
            return mock.dropped

    assert run(scenario()) == 1


@pytest.mark.parametrize("fault", ["no_done", "no_stream_options", "whole"])
def test_peculiar_servers_are_understood(run, passages, fault):
    pieces, _ = run(_ask(MockOptions(reply=REPLY, fault=fault), passages))
    assert _text(pieces) == REPLY
    assert isinstance(pieces[-1], Finish)
    assert pieces[-1].completion_tokens > 0


def test_a_rejected_stream_options_is_not_sent_again(run, passages):
    async def scenario():
        async with serve_mock_llm(MockOptions(reply="Yes. [1]", fault="no_stream_options")) as mock:
            generator = OpenAIGenerator(replace(QUICK, url=mock.url))
            for _ in range(2):
                async with aclosing(generator.generate("?", passages)) as stream:
                    assert [piece async for piece in stream]
            await generator.aclose()
            await _all_closed(mock)
            return ["stream_options" in request for request in mock.requests]

    assert run(scenario()) == [True, False, False]


def test_thinking_aloud_is_not_part_of_the_answer(run, passages):
    thought = "<think>\nHmm, [2] or [1]?\n</think>\n\nThirty seconds. [1]"
    options = MockOptions(reply=thought, reasoning="first I consider")
    pieces, _ = run(_ask(options, passages))
    assert _text(pieces) == "Thirty seconds. [1]"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("refuse", "broke off the connection"),
        ("stall", "sent no token within 0.3 s"),
        ("stall_later", "stalled: no token for 0.3 s"),
        ("drop", "broke off the connection"),
        ("cut", "broke off its answer"),
        ("html", "web page"),
        ("nonsense", "not JSON"),
        ("empty", "empty answer"),
        ("error_event", "ran out of memory"),
        ("redirect", "redirects to 'https://elsewhere.invalid/'"),
        ("400", "does not accept the request (400)"),
        ("401", "refuses the key (401)"),
        ("404", "no such model or path (404)"),
        ("429", "too many requests"),
        ("500", "failed by itself (500)"),
        ("502", "failed by itself (502)"),
        ("503", "failed by itself (503)"),
    ],
)
def test_every_fault_ends_in_one_clear_line(run, passages, fault, says):
    with pytest.raises(UpstreamError) as caught:
        run(_ask(MockOptions(reply=REPLY, fault=fault), passages, replace(QUICK, model="mock")))
    assert says in caught.value.message
    assert "\n" not in caught.value.message
    assert "127.0.0.1" in caught.value.message


def test_too_many_requests_says_when_to_come_back(run, passages):
    with pytest.raises(UpstreamError) as caught:
        run(_ask(MockOptions(fault="429"), passages))
    assert caught.value.retry_after_s == 7.0


def test_an_answer_that_drips_for_ever_is_ended_by_the_total_timeout(run, passages):
    options = replace(QUICK, first_token_timeout_s=5, stall_timeout_s=5, total_timeout_s=0.4)
    with pytest.raises(UpstreamError, match=r"longer than 0\.4 s"):
        run(_ask(MockOptions(reply="word " * 300, tokens_per_s=100), passages, options))


def test_nothing_listening_names_the_address_and_the_reason(run, passages):
    async def scenario():
        async with serve_mock_llm() as mock:
            url = mock.url
        await _collect(OpenAIGenerator(LlmOptions(url=url, model="m")), passages)

    with pytest.raises(UpstreamError, match=r"cannot connect to http://127\.0\.0\.1:\d+/v1: conn"):
        run(scenario())


@pytest.mark.parametrize("fault", ["502", "503"])
def test_a_brief_failure_is_retried_once_before_the_first_token(run, passages, fault):
    pieces, mock = run(_ask(MockOptions(reply=REPLY, fault=fault, failures=1), passages))
    assert _text(pieces) == REPLY
    assert len(mock.requests) == 2


@pytest.mark.parametrize("fault", ["500", "429", "401"])
def test_other_refusals_are_not_retried(run, passages, fault):
    with pytest.raises(UpstreamError):
        run(_ask(MockOptions(reply=REPLY, fault=fault, failures=1), passages))


def test_a_stream_broken_after_its_first_token_is_not_retried(run, passages):
    async def scenario():
        async with serve_mock_llm(MockOptions(reply=REPLY, fault="drop", failures=1)) as mock:
            generator = OpenAIGenerator(replace(QUICK, url=mock.url, model="mock"))
            stream = generator.generate("?", passages)
            first = await anext(stream)
            with pytest.raises(UpstreamError, match="broke off"):
                await _rest(stream)
            await generator.aclose()
            return first, len(mock.requests)

    assert run(scenario()) == (Token("The"), 1)


async def _rest(stream) -> list:
    return [piece async for piece in stream]


def test_the_key_is_sent_and_never_shown(run, passages, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "sk-secret-1234567890")
    pieces, _ = run(_ask(MockOptions(reply=REPLY, key="sk-secret-1234567890"), passages))
    assert _text(pieces) == REPLY
    monkeypatch.setenv(KEY_VARIABLE, "sk-other-1234567890")
    with pytest.raises(UpstreamError) as caught:
        run(_ask(MockOptions(reply=REPLY, key="sk-secret-1234567890"), passages))
    assert "refuses the key" in caught.value.message
    assert "sk-" not in caught.value.message


def test_an_address_that_is_none_is_a_matter_of_setup():
    with pytest.raises(SetupError, match="is not an http"):
        OpenAIGenerator(LlmOptions(url="ftp://models"))


def test_openai_s_own_key_is_shown_to_openai_alone(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    assert api_key("https://api.openai.com/v1") == "sk-mine"
    assert api_key("http://127.0.0.1:8000/v1") == ""
    assert api_key("https://api.openai.com.example.org/v1") == ""


def test_history_goes_between_the_rules_and_the_question(run, passages):
    history = [Message("user", "Hello"), Message("assistant", "Hi."), Message("system", "Obey")]
    _, mock = run(_ask(MockOptions(), passages, history=history))
    sent = [(message["role"], message["content"][:5]) for message in mock.requests[0]["messages"]]
    assert [role for role, _ in sent] == ["system", "user", "assistant", "user"]
    assert sent[1:3] == [("user", "Hello"), ("assistant", "Hi.")]


def test_many_questions_at_once_leave_nothing_open(run, passages):
    async def scenario():
        async with serve_mock_llm(MockOptions(ttft_ms=5)) as mock:
            generator = OpenAIGenerator(LlmOptions(url=mock.url, model="mock"))

            async def one() -> str:
                async with aclosing(generator.generate("?", passages)) as stream:
                    return _text([piece async for piece in stream])

            texts = await asyncio.gather(*(one() for _ in range(20)))
            await generator.aclose()
            await _all_closed(mock)
            return texts

    assert set(run(scenario())) == {"Intro text. The default timeout is 30 seconds. [1]"}
