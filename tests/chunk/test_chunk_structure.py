"""Where documents are cut: hand-made ones, with the cuts known."""

from itertools import pairwise

import pytest

from steelyard.chunk import CHUNKER_VERSION, ChunkOptions, StructureChunker
from steelyard.core.documents import Block, BlockKind, Chunk, Parsed
from steelyard.core.errors import SetupError
from steelyard.core.protocols import Chunker, Tokenizer


def sentence(num_words: int, name: str = "word") -> str:
    """A sentence of `num_words` tokens: its words and a full stop."""
    return " ".join([name.capitalize()] + [name] * (num_words - 2)) + "."


def document(*parts: tuple[BlockKind, str, int] | tuple[BlockKind, str], title: str = "") -> Parsed:
    """Join parts (kind, text, level) with blank lines, a block over each."""
    text, blocks = "", []
    for kind, piece, *level in parts:
        start = len(text)
        text += piece + "\n\n"
        blocks.append(Block(kind, start, start + len(piece), level=level[0] if level else 0))
    return Parsed(text=text, blocks=tuple(blocks), title=title, media_type="text/plain")


def cut(parsed: Parsed, tokenizer: Tokenizer, **options: int) -> list[Chunk]:
    chunker: Chunker = StructureChunker(tokenizer, ChunkOptions(**options))
    return chunker.chunk(parsed)


H, P, L, T, C = (
    BlockKind.HEADING,
    BlockKind.PARAGRAPH,
    BlockKind.LIST,
    BlockKind.TABLE,
    BlockKind.CODE,
)


def test_an_empty_text_gives_no_chunk(words: Tokenizer) -> None:
    for text in ("", " \n\t "):
        assert cut(Parsed(text, (), "", "text/plain"), words) == []


def test_a_short_document_is_one_chunk(words: Tokenizer) -> None:
    parsed = document((H, "Leave", 1), (P, sentence(10)), (P, sentence(10)))
    (chunk,) = cut(parsed, words)
    assert chunk.text == parsed.text.strip()
    assert chunk.heading == ("Leave",)


def test_each_section_is_a_chunk_under_its_path(words: Tokenizer) -> None:
    parsed = document(
        (H, "Handbook", 1),
        (H, "Leave", 2),
        (P, sentence(40, "days")),
        (H, "Travel", 2),
        (P, sentence(40, "hotel")),
        title="Handbook",
    )
    first, second = cut(parsed, words, max_tokens=128, min_tokens=32)
    assert first.text.startswith("Handbook\n\nLeave\n\nDays")
    assert second.text.startswith("Travel\n\nHotel")
    assert second.heading == ("Handbook", "Travel")


def test_paragraphs_are_packed_until_the_budget_is_full(words: Tokenizer) -> None:
    parsed = document(*[(P, sentence(10, name)) for name in "abcdefgh"])
    chunks = cut(parsed, words, max_tokens=32, min_tokens=0)
    assert [chunk.num_tokens for chunk in chunks] == [30, 30, 20]


def test_title_and_path_count_in_the_budget(words: Tokenizer) -> None:
    parts = [(P, sentence(10, name)) for name in "abc"]
    parsed = document((H, "One two three", 1), *parts, title="Four five")
    chunks = cut(parsed, words, max_tokens=32, min_tokens=0)
    assert [chunk.num_tokens for chunk in chunks] == [6 + 3 + 20, 6 + 10]  # "Four five > One…"


def test_a_small_section_takes_in_the_next_one_of_its_rank(words: Tokenizer) -> None:
    parsed = document(
        (H, "Guide", 1),
        (P, sentence(40)),
        (H, "One", 2),
        (P, sentence(5)),
        (H, "Two", 2),
        (P, sentence(40)),
    )
    first, second = cut(parsed, words, max_tokens=100, min_tokens=20)
    assert first.heading == ("Guide",)
    assert second.text.startswith("One\n\nWord")
    assert "Two" in second.text
    assert second.heading == ("Guide",)  # what holds for both


def test_a_small_section_does_not_reach_into_the_next_chapter(words: Tokenizer) -> None:
    parsed = document(
        (H, "A", 1),
        (P, sentence(40)),
        (H, "A1", 2),
        (P, sentence(5)),
        (H, "B", 1),
        (P, sentence(40)),
    )
    assert [chunk.heading for chunk in cut(parsed, words, max_tokens=100, min_tokens=20)] == [
        ("A",),
        ("A", "A1"),
        ("B",),
    ]


def test_a_heading_stays_with_what_follows_it(words: Tokenizer) -> None:
    parsed = document((P, sentence(28)), (H, "Next", 1), (P, sentence(28)))
    chunks = cut(parsed, words, max_tokens=32, min_tokens=0)
    assert chunks[0].text == sentence(28)
    assert all(chunk.text != "Next" for chunk in chunks)
    assert chunks[1].text.startswith("Next")


def test_a_long_paragraph_is_cut_at_sentence_ends(words: Tokenizer) -> None:
    parsed = document((P, " ".join(sentence(12, name) for name in "abcde")))
    chunks = cut(parsed, words, max_tokens=26, min_tokens=0)
    assert [chunk.num_tokens for chunk in chunks] == [24, 24, 12]
    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_a_long_sentence_is_cut_at_spaces(words: Tokenizer) -> None:
    text = "abcdefgh " * 100
    chunks = cut(Parsed(text, (), "", "text/plain"), words, max_tokens=32, min_tokens=0)
    assert all(set(chunk.text.split()) == {"abcdefgh"} for chunk in chunks)
    assert sum(len(chunk.text.split()) for chunk in chunks) == 100
    assert len(chunks) == 4


def test_a_word_beyond_the_budget_is_cut_between_characters(words: Tokenizer) -> None:
    chunks = cut(Parsed("x" * 1000, (), "", "text/plain"), words, max_tokens=32, min_tokens=0)
    assert "".join(chunk.text for chunk in chunks) == "x" * 1000
    assert max(chunk.num_tokens for chunk in chunks) <= 32


def test_a_short_tail_is_evened_out_with_the_chunk_before(words: Tokenizer) -> None:
    parsed = document(*[(P, sentence(8, name)) for name in "abcde"])
    chunks = cut(parsed, words, max_tokens=32, min_tokens=16)
    assert [chunk.num_tokens for chunk in chunks] == [24, 16]


def test_a_short_paragraph_is_filled_up_with_sentences_of_the_next(words: Tokenizer) -> None:
    parsed = document((P, sentence(4)), (P, f"{sentence(14, 'a')} {sentence(14, 'b')}"))
    first, second = cut(parsed, words, max_tokens=30, min_tokens=8)
    assert first.text.endswith("A a a a a a a a a a a a a.")
    assert second.text == sentence(14, "b")


def test_a_table_that_fits_stays_whole(words: Tokenizer) -> None:
    table = "| a | b |\n|---|---|\n| 1 | 2 |"
    parsed = document((P, sentence(20)), (T, table), (P, sentence(20)))
    chunks = cut(parsed, words, max_tokens=40, min_tokens=0)
    assert sum(table in chunk.text for chunk in chunks) == 1


def test_a_long_table_breaks_into_rows_under_its_columns(words: Tokenizer) -> None:
    rows = [f"| plan{n} | {n} |" for n in range(20)]
    table = "\n".join(["| Plan | Price |", "|---|---|", *rows])
    parsed = document((H, "Prices", 1), (T, table))
    chunks = cut(parsed, words, max_tokens=64, min_tokens=0)
    assert len(chunks) > 1
    assert chunks[0].heading == ("Prices",)
    for chunk in chunks[1:]:
        assert chunk.heading == ("Prices", "Plan | Price")
        assert chunk.text.startswith("| plan")
        assert chunk.text.endswith("|")


def test_a_fence_goes_with_its_code(words: Tokenizer) -> None:
    code = "def f():\n    return 1\n\n\ndef g():\n    return 2"
    text = f"{sentence(20)}\n\n```python\n{code}\n```\n\n{sentence(20)}"
    start = text.index(code)
    blocks = (
        Block(P, 0, len(sentence(20))),
        Block(C, start, start + len(code)),
        Block(P, text.rindex("\n\n") + 2, len(text)),
    )
    chunks = cut(Parsed(text, blocks, "", "text/plain"), words, max_tokens=34, min_tokens=0)
    assert chunks[1].text == f"```python\n{code}\n```"


def test_long_code_is_cut_at_blank_lines(words: Tokenizer) -> None:
    functions = [f"def f{n}(a, b):\n    c = a + b\n    return c" for n in range(6)]
    parsed = document((C, "\n\n".join(functions)))
    chunks = cut(parsed, words, max_tokens=40, min_tokens=0)
    assert len(chunks) == 3
    assert all(chunk.text.startswith("def ") and chunk.text.endswith("c") for chunk in chunks)


def test_a_long_list_is_cut_between_items(words: Tokenizer) -> None:
    items = [f"- {sentence(9)}\n  - {sentence(4)}" for _ in range(6)]
    chunks = cut(document((L, "\n".join(items))), words, max_tokens=40, min_tokens=0)
    assert len(chunks) == 3
    assert all(chunk.text.startswith("- Word word") for chunk in chunks)


def test_markup_beside_a_heading_goes_with_it_but_not_into_the_path(words: Tokenizer) -> None:
    text = "## *Set* up [it](a.md) { #setup }\n\nBody text.\n\nLow\n===\n\nMore."
    blocks = (
        Block(H, 3, text.index(" {"), level=2),
        Block(P, text.index("Body"), text.index("Body") + 10),
        Block(H, text.index("Low"), text.index("Low") + 3, level=2),
        Block(P, text.index("More"), len(text)),
    )
    first, second = cut(Parsed(text, blocks, "", "text/plain"), words, min_tokens=0)
    assert first.text == "## *Set* up [it](a.md) { #setup }\n\nBody text."
    assert first.heading == ("Set up it",)
    assert second.text == "Low\n===\n\nMore."


def test_text_outside_the_blocks_is_not_lost(words: Tokenizer) -> None:
    text = "Before.\n\nInside.\n\nAfter."
    (chunk,) = cut(Parsed(text, (Block(P, 9, 16),), "", "text/plain"), words)
    assert chunk.text == text


def test_a_chunk_is_on_the_page_where_it_begins(words: Tokenizer) -> None:
    text = f"{sentence(20)}\n\n{sentence(20)}"
    blocks = (
        Block(P, 0, len(sentence(20)), page=3),
        Block(P, len(sentence(20)) + 2, len(text), page=4),
    )
    chunks = cut(Parsed(text, blocks, "", "application/pdf"), words, max_tokens=24, min_tokens=0)
    assert [chunk.page for chunk in chunks] == [3, 4]


def test_overlap_begins_at_a_sentence_and_stays_in_the_section(words: Tokenizer) -> None:
    names = "abcdefgh"
    parsed = document(
        (H, "One", 1),
        (P, " ".join(sentence(6, name) for name in names)),
        (H, "Two", 1),
        (P, sentence(20)),
    )
    chunks = cut(parsed, words, max_tokens=40, min_tokens=0, overlap_tokens=8)
    inner = [chunk for chunk in chunks if chunk.heading == ("One",)]
    for before, after in pairwise(inner):
        assert parsed.text[after.start : before.end] == before.text[-len(sentence(6, "a")) :]
    assert chunks[-1].text.startswith("Two")


def test_a_path_that_is_too_long_keeps_its_innermost_part(words: Tokenizer) -> None:
    headings = [(H, f"{name} " * 6, level) for level, name in enumerate("abcdef", start=1)]
    chunks = cut(document(*headings, (P, sentence(30))), words, max_tokens=32, min_tokens=0)
    assert chunks[-1].heading[-1] == "f f f f f f"
    assert max(chunk.num_tokens for chunk in chunks) <= 32


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"max_tokens": 8}, r"max_tokens is 8; set it to 16 or more"),
        ({"max_tokens": 64, "min_tokens": 40}, r"min_tokens is 40; set it from 0 to 32"),
        ({"max_tokens": 64, "overlap_tokens": -1}, r"overlap_tokens is -1; set it from 0 to 16"),
    ],
)
def test_options_that_cannot_hold_are_refused(options: dict[str, int], fault: str) -> None:
    with pytest.raises(SetupError, match=fault):
        ChunkOptions(**options)


def test_the_version_names_the_rule() -> None:
    assert CHUNKER_VERSION.startswith("structure-")
