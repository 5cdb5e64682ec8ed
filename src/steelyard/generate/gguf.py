"""Answers from a local GGUF file: llama.cpp's own server, in a child process of ours."""

import asyncio
import contextlib
import importlib.util
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path

from steelyard.core.chat import Message, Passage, Piece
from steelyard.core.errors import SetupError
from steelyard.core.protocols import Tokenizer
from steelyard.generate.openai import OpenAIGenerator
from steelyard.generate.options import LlmOptions

_MAGIC = b"GGUF"
_LOAD_TIMEOUT_S = 180.0  # gigabytes from a slow disk
_STOP_TIMEOUT_S = 5.0
_MARGIN_TOKENS = 1024  # rules, template, and what characters / 4 counts too low


class GgufGenerator:
    """A `Generator` over `options.gguf`; the model is loaded at the first question.

    The native code runs in a process of its own: should it crash, one answer fails, and the
    next question starts it again.
    """

    def __init__(
        self,
        options: LlmOptions,
        *,
        tokenizer: Tokenizer | None = None,
        closed_book: bool = False,
    ) -> None:
        """Check what can be checked without loading the model.

        Raises:
            SetupError: the extra is not installed, or the file is missing or no GGUF file.
        """
        self._path = checked_file(options.gguf)
        if importlib.util.find_spec("xllamacpp") is None:
            raise SetupError(
                f"running {self._path.name!r} needs a package that is not installed; run "
                "pip install 'steelyard[llm]'"
            )
        self._options = options
        self._tokenizer = tokenizer
        self._closed_book = closed_book
        self._process: Process | None = None
        self._generator: OpenAIGenerator | None = None
        self._starting = asyncio.Lock()

    @property
    def model(self) -> str:
        return self._path.name

    async def generate(
        self, question: str, passages: Sequence[Passage], *, history: Sequence[Message] = ()
    ) -> AsyncGenerator[Piece, None]:
        """Stream `Token`s, then one `Finish`.

        Raises:
            SetupError: the model cannot be loaded.
            UpstreamError: its process failed or stalled.
        """
        generator = await self._ready()
        pieces = generator.generate(question, passages, history=history)
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def complete(self, messages: Sequence[Message]) -> str:
        """Return the whole reply to a conversation of the caller's own; raises as `generate`."""
        return await (await self._ready()).complete(messages)

    async def aclose(self) -> None:
        """Stop the child process; safe to call twice."""
        async with self._starting:
            await self._stop()

    async def _ready(self) -> OpenAIGenerator:
        async with self._starting:
            alive = self._process is not None and self._process.returncode is None
            if self._generator is None or not alive:
                await self._stop()
                url = await self._start()
                options = replace(self._options, url=url, model=self.model)
                self._generator = OpenAIGenerator(
                    options, tokenizer=self._tokenizer, closed_book=self._closed_book
                )
            return self._generator

    async def _start(self) -> str:
        """Start the child and return its URL once the model is loaded."""
        options = self._options
        tokens = (options.context_tokens + options.history_tokens) * 3 // 2
        command = ["-m", "steelyard.generate.gguf_server", str(self._path), str(_cores())]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            str(tokens + options.max_tokens + _MARGIN_TOKENS),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
        )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(_LOAD_TIMEOUT_S):
                said = json.loads(await self._process.stdout.readline() or b"{}")
        except (TimeoutError, ValueError):
            said = {}
        if "url" in said:
            return str(said["url"])
        await self._stop()
        reason = said.get("error", "its process ended or gave no sign of life")
        raise SetupError(
            f"the model {str(self._path)!r} cannot be loaded ({reason}); check that the file is "
            "whole and fits the memory, or choose another: steelyard serve --llm-gguf FILE"
        )

    async def _stop(self) -> None:
        generator, self._generator = self._generator, None
        process, self._process = self._process, None
        if generator is not None:
            await generator.aclose()
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def checked_file(name: str) -> Path:
    """Return the path of a file that at least begins as a GGUF file does.

    Raises:
        SetupError: it is not there, cannot be read, or is something else.
    """
    path = Path(name).expanduser()
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        reason = error.strerror or str(error)
        raise SetupError(
            f"the model file {str(path)!r} cannot be read: {reason}; give the path of a .gguf file"
        ) from error
    if magic != _MAGIC:
        raise SetupError(
            f"{str(path)!r} is no GGUF file, or a damaged one (it begins with {magic!r}); "
            "download it again"
        )
    return path.resolve()


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
