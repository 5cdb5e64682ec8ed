"""Work grows with the text, not with its square: operations are counted, not seconds."""

import sys
from types import FrameType
from typing import Any

import pytest

from steelyard.chunk import ChunkOptions, StructureChunker
from steelyard.core.documents import Block, BlockKind, Parsed

KINDS = [None, *BlockKind]
UNITS = [
    "word ",
    "x",
    " ",
    "\n",
    "a\n",
    "a\n\n",
    "Yes. ",
    "日",
    "。",
    "- a\n",
    ".",
    "\u200b",
    "# a\n",
    "=\n",
    "| a ",
]


def num_calls(parsed: Parsed, tokenizer: Any) -> int:
    """Return how many functions, of C too, are called while `parsed` is cut."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    chunker = StructureChunker(tokenizer, ChunkOptions(overlap_tokens=8))
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        chunker.chunk(parsed)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", KINDS)
def test_one_long_block_takes_linear_work(words: Any, unit: str, kind: BlockKind | None) -> None:
    def work(times: int) -> tuple[int, int]:
        text = unit * times
        level = 1 if kind is BlockKind.HEADING else 0
        blocks = () if kind is None else (Block(kind, 0, len(text), level=level),)
        words.num_chars = 0
        parsed = Parsed(text=text, blocks=blocks, title="t", media_type="text/plain")
        return num_calls(parsed, words), words.num_chars

    calls, chars = work(1500)
    more_calls, more_chars = work(3000)
    assert more_calls <= 2.5 * calls + 200
    assert more_chars <= 2.5 * chars + 200


@pytest.mark.parametrize("kind", BlockKind)
def test_many_short_blocks_take_linear_work(words: Any, kind: BlockKind) -> None:
    def work(times: int) -> tuple[int, int]:
        level = 3 if kind is BlockKind.HEADING else 0
        blocks = tuple(Block(kind, 3 * at, 3 * at + 1, level=level) for at in range(times))
        words.num_chars = 0
        parsed = Parsed(text="a\n\n" * times, blocks=blocks, title="t", media_type="text/plain")
        return num_calls(parsed, words), words.num_chars

    calls, chars = work(1500)
    more_calls, more_chars = work(3000)
    assert more_calls <= 2.5 * calls + 200
    assert more_chars <= 2.5 * chars + 200
