"""What holds for the chunks of any text, any blocks and any tokenizer."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.chunk import ChunkOptions, StructureChunker
from steelyard.core.documents import Block, BlockKind, Chunk, Parsed

PIECES = st.sampled_from(
    [
        "alpha beta gamma. ",
        "Delta epsilon! ",
        "one\n",
        "\n\n",
        "# Head ",
        "| a | b |\n|---|---|\n| 1 | 2 |\n",
        "```py\n",
        "- item\n",
        "    ",
        "x" * 130,
        "。日本語の文。",
        "é\u200b",
        "\ud800",
        "=====\n",
        "a" * 26,
        " " * 60,
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> Parsed:
    text = draw(st.one_of(st.lists(PIECES, max_size=40).map("".join), st.text(max_size=200)))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=16)))
    blocks: list[Block] = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        if start < end:
            kind = draw(st.sampled_from(BlockKind))
            level = draw(st.integers(1, 6)) if kind is BlockKind.HEADING else 0
            page = draw(st.one_of(st.none(), st.integers(1, 9)))
            blocks.append(Block(kind, start, end, level=level, page=page))
    title = draw(st.sampled_from(["", "Title", "A long title of many words " * 3]))
    return Parsed(text=text, blocks=tuple(blocks), title=title, media_type="text/plain")


@st.composite
def option_sets(draw: st.DrawFn) -> ChunkOptions:
    budget = draw(st.integers(16, 80))
    return ChunkOptions(
        max_tokens=budget,
        min_tokens=draw(st.integers(0, budget // 2)),
        overlap_tokens=draw(st.integers(0, budget // 4)),
    )


def check_chunks(
    parsed: Parsed, chunks: list[Chunk], tokenizer: Any, options: ChunkOptions
) -> None:
    """Assert coverage, order, exact offsets, budget and counts."""
    covered = 0
    for ordinal, chunk in enumerate(chunks):
        assert chunk.ordinal == ordinal
        assert chunk.text == parsed.text[chunk.start : chunk.end]
        assert chunk.text
        assert chunk.text == chunk.text.strip()
        if options.overlap_tokens == 0:
            assert chunk.start >= covered
        assert chunk.end > covered
        assert not parsed.text[covered : max(chunk.start, covered)].strip()
        covered = chunk.end
        embedded = chunk.embedded_text(parsed.title)
        assert chunk.num_tokens == tokenizer.count([embedded])[0]
        context = tokenizer.count([embedded[: len(embedded) - len(chunk.text)]])[0]
        limit = context + max(options.max_tokens - context, options.max_tokens // 2)
        assert chunk.num_tokens <= limit or len(chunk.text) == 1
    assert not parsed.text[covered:].strip()


@given(parsed=documents(), options=option_sets())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_chunks_hold_all_text_once_in_order_within_budget(
    any_tokenizer: Any, parsed: Parsed, options: ChunkOptions
) -> None:
    chunker = StructureChunker(any_tokenizer, options)
    chunks = chunker.chunk(parsed)
    check_chunks(parsed, chunks, any_tokenizer, options)
    assert chunker.chunk(parsed) == chunks
