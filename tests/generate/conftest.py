"""Hand-made passages and a way to run async tests."""

import asyncio
import re
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from steelyard.core.chat import Passage


@pytest.fixture
def run() -> Callable[[Awaitable[Any]], Any]:
    """Run a coroutine to its end and fail if it leaves a task behind or upsets the loop."""

    def run_to_end(job: Awaitable[Any]) -> Any:
        async def watched() -> Any:
            upsets: list[dict[str, Any]] = []
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: upsets.append(context))
            async with asyncio.timeout(20):
                result = await job
            await asyncio.sleep(0)
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            assert not left, f"left behind: {left}"
            assert not upsets, upsets
            return result

        return asyncio.run(watched())

    return run_to_end


@pytest.fixture
def passages() -> tuple[Passage, ...]:
    timeouts = (
        "Intro text. The default timeout is 30 seconds. You may raise it with `--timeout`. "
        "Retries are off."
    )
    limits = (
        "The limit is 5 files per upload, 1,000 MB each. Larger files are refused with code 413."
    )
    return (
        Passage(1, 11, "d1", "file:a.md", "Timeouts", timeouts, 100, 100 + len(timeouts), 1.0),
        Passage(2, 12, "d2", "file:b.md", "Limits", limits, 7, 7 + len(limits), 0.5, ("Upload",)),
    )


class WordEmbedder:
    """An honest small embedder: each word is a direction, drawn from its hash."""

    fingerprint = "words-64"
    dim = 64

    def __init__(self) -> None:
        self.num_texts = 0

    def embed_query(self, text: str) -> np.ndarray:
        self.num_texts += 1
        total = np.full(self.dim, 1e-3, np.float32)
        for word in re.findall(r"\w+", text.lower()):
            rng = np.random.default_rng(zlib.crc32(word.encode()))
            total += rng.standard_normal(self.dim).astype(np.float32)
        return total / np.linalg.norm(total)


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()
