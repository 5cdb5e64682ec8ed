"""Answers from any server that speaks OpenAI's chat completions, streamed."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from dataclasses import asdict
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2

from steelyard.core.chat import Finish, Message, Passage, Piece, Token
from steelyard.core.errors import InputError, SetupError, UpstreamError
from steelyard.core.protocols import Tokenizer
from steelyard.generate.conversation import build_conversation
from steelyard.generate.deltas import Delta, ThoughtFilter, read_deltas
from steelyard.generate.discover import list_models
from steelyard.generate.options import LlmOptions
from steelyard.infra.http import endpoint_root, is_brief, open_client, upstream_error

_LOG = logging.getLogger(__name__)
T = TypeVar("T")

KEY_VARIABLE = "STEELYARD_LLM_KEY"


def api_key(url: str) -> str:
    """Return the key for `url` from the environment, "" if there is none.

    `STEELYARD_LLM_KEY` serves any host; `OPENAI_API_KEY` is shown to OpenAI alone.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key and urlsplit(url).hostname == "api.openai.com":
        key = os.environ.get("OPENAI_API_KEY", "").strip()
    return key


class OpenAIGenerator:
    """A `Generator` over one endpoint. The key is read once, here, and never shown."""

    def __init__(
        self,
        options: LlmOptions,
        *,
        tokenizer: Tokenizer | None = None,
        closed_book: bool = False,
    ) -> None:
        """Prepare a client; nothing is sent yet. `closed_book`: no sources are to be expected.

        Raises:
            SetupError: `options.url` is no usable URL.
        """
        self._options = options
        try:
            self._url = endpoint_root(options.url)
        except InputError as error:
            raise SetupError(
                f"{error}; run steelyard serve --llm-url http://127.0.0.1:8000/v1"
            ) from error
        self._tokenizer = tokenizer
        self._closed_book = closed_book
        self._model = options.model
        self._ask_usage = True
        key = api_key(self._url)
        self._client = open_client(
            self._url,
            headers={"Authorization": f"Bearer {key}"} if key else None,
            connect_timeout_s=options.connect_timeout_s,
        )

    @property
    def model(self) -> str:
        return self._model

    @property
    def url(self) -> str:
        return self._url

    async def check(self) -> tuple[str, ...]:
        """Return the endpoint's models; raises `UpstreamError` when it cannot be used."""
        return await list_models(self._client, self._url)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def generate(
        self, question: str, passages: Sequence[Passage], *, history: Sequence[Message] = ()
    ) -> AsyncGenerator[Piece, None]:
        """Stream `Token`s, then one `Finish`; leaving early closes the upstream request.

        Raises:
            UpstreamError: in one line, what failed and what may help.
        """
        messages = build_conversation(
            question,
            passages,
            history=history,
            options=self._options,
            tokenizer=self._tokenizer,
            closed_book=self._closed_book,
        )
        async with contextlib.aclosing(self._stream(messages)) as pieces:
            async for piece in pieces:
                yield piece

    async def complete(self, messages: Sequence[Message]) -> str:
        """Return the whole reply to a conversation of the caller's own.

        Raises:
            UpstreamError: in one line, what failed and what may help.
        """
        async with contextlib.aclosing(self._stream(list(messages))) as pieces:
            return "".join([piece.text async for piece in pieces if isinstance(piece, Token)])

    async def _stream(self, messages: list[Message]) -> AsyncGenerator[Piece, None]:
        """Stream a reply; a request that failed briefly before its first token is sent again."""
        clock = _Clock(self._options, where=self._url)
        started = False
        for attempt in (1, 2):
            try:
                async with contextlib.aclosing(self._attempt(messages, clock)) as pieces:
                    async for piece in pieces:
                        started = True
                        yield piece
                return
            except httpx2.HTTPError as error:
                if started or attempt == 2 or not is_brief(error):
                    raise upstream_error(error, where=self._url) from error
                _LOG.warning("llm_retry", extra={"url": self._url, "reason": type(error).__name__})

    async def _attempt(
        self, messages: list[Message], clock: "_Clock"
    ) -> AsyncGenerator[Piece, None]:
        response = await clock.wait(self._open(messages))
        try:
            async with (
                contextlib.aclosing(read_deltas(response, where=self._url)) as deltas,
                contextlib.aclosing(self._pieces(deltas, clock)) as pieces,
            ):
                async for piece in pieces:
                    yield piece
        finally:
            await response.aclose()

    async def _pieces(
        self, deltas: AsyncIterator[Delta], clock: "_Clock"
    ) -> AsyncGenerator[Piece, None]:
        usage = Finish()
        visible = ThoughtFilter()
        num_tokens = 0
        while (delta := await clock.wait(_next(deltas))) is not None:
            usage = delta.usage or usage
            text = visible.feed(delta.text)
            if text:
                clock.token()
                num_tokens += delta.num_tokens
                yield Token(text)
        rest = visible.rest()
        if rest:
            yield Token(rest)
        if not clock.started and not rest:
            raise UpstreamError(f"{self._model!r} at {self._url} finished with an empty answer")
        yield usage if usage.completion_tokens else Finish(completion_tokens=num_tokens)

    async def _open(self, messages: list[Message]) -> httpx2.Response:
        """Return the response with its body unread; a refusal is raised with its body read."""
        if not self._model:
            await self._take_first_model()
        while True:
            asked_usage = self._ask_usage
            request = self._client.build_request(
                "POST", f"{self._url}/chat/completions", json=self._body(messages)
            )
            response = await self._client.send(request, stream=True)
            if response.status_code == 200:
                return response
            try:
                body = await response.aread()
            finally:
                await response.aclose()
            if asked_usage and response.status_code in (400, 422) and b"stream_options" in body:
                self._ask_usage = False
                continue
            raise httpx2.HTTPStatusError("refused", request=request, response=response)

    def _body(self, messages: list[Message]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [asdict(message) for message in messages],
            "stream": True,
            "max_tokens": self._options.max_tokens,
            "temperature": self._options.temperature,
        }
        if self._ask_usage:
            body["stream_options"] = {"include_usage": True}
        return body

    async def _take_first_model(self) -> None:
        models = await self.check()
        if not models:
            raise UpstreamError(f"{self._url} serves no chat model; load one, or name it")
        self._model = models[0]


async def _next(deltas: AsyncIterator[Delta]) -> Delta | None:
    return await anext(deltas, None)


class _Clock:
    """Watches one answer: how long until its first token, between tokens, and in all."""

    def __init__(self, options: LlmOptions, *, where: str) -> None:
        self._options = options
        self._where = where
        self._begun_s = self._latest_s = time.monotonic()
        self.started = False

    def token(self) -> None:
        self.started = True
        self._latest_s = time.monotonic()

    async def wait(self, step: Coroutine[Any, Any, T]) -> T:
        """Await `step` within what is left, or raise what ran out as an `UpstreamError`."""
        options = self._options
        patience_s = options.stall_timeout_s if self.started else options.first_token_timeout_s
        now_s = time.monotonic()
        step_left_s = self._latest_s + patience_s - now_s
        total_left_s = self._begun_s + options.total_timeout_s - now_s
        try:
            async with asyncio.timeout(max(0.0, min(step_left_s, total_left_s))):
                return await step
        except TimeoutError as error:
            if total_left_s <= step_left_s:
                text = f"took longer than {options.total_timeout_s:g} s for one answer"
            elif self.started:
                text = f"stalled: no token for {options.stall_timeout_s:g} s"
            else:
                text = f"sent no token within {options.first_token_timeout_s:g} s"
            raise UpstreamError(f"{self._where} {text}; it may be overloaded or stuck") from error
