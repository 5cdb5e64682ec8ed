"""Plain text: paragraphs apart by blank lines."""

from steelyard.core.documents import Block, BlockKind
from steelyard.parse.draft import Draft, Line, lines_of, mark

_MAX_TITLE_CHARS = 80


def parse(text: str) -> Draft:
    """Return paragraphs; underlined or bulleted lines stay as they are written."""
    blocks: list[Block] = []
    group: list[Line] = []
    for line in [*lines_of(text), Line("", len(text))]:
        if not line.blank:
            group.append(line)
        elif group:
            blocks.append(mark(_kind(group), group))
            group = []
    return Draft(text, tuple(blocks), _title(text, blocks))


def _kind(group: list[Line]) -> BlockKind:
    bulleted = sum(line.text.lstrip()[:2] in ("- ", "* ", "• ") for line in group)
    return BlockKind.LIST if bulleted > len(group) / 2 else BlockKind.PARAGRAPH


def _title(text: str, blocks: list[Block]) -> str:
    """Return the first paragraph if it looks like a title: one short line, no sentence."""
    if len(blocks) < 2:
        return ""
    first = text[blocks[0].start : blocks[0].end].strip()
    is_title = "\n" not in first and len(first) <= _MAX_TITLE_CHARS and first[-1] not in ".:;,"
    return first if is_title and any(char.isalpha() for char in first) else ""
