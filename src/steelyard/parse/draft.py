"""What every format's parser returns, and the two ways to make it: compose text, or mark it up."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from steelyard.core.documents import Block, BlockKind, MetadataValue
from steelyard.parse.decode import clean

_MAX_TITLE_CHARS = 200
_MARKUP = re.compile(
    r"!\[[^\]]*\]\([^)]*\)|\[([^\]]*)\]\([^)]*\)|[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}"
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A file as its format's parser sees it; an empty title means that the file names none."""

    text: str
    blocks: tuple[Block, ...]
    title: str = ""
    metadata: dict[str, MetadataValue] = field(default_factory=dict)


class Composer:
    """Builds a text block by block, for formats whose source is not readable as it stands."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self.blocks: list[Block] = []

    def add(self, kind: BlockKind, text: str, *, level: int = 0, page: int | None = None) -> None:
        """Append one block, a blank line after the last; white space alone adds nothing."""
        text = clean(text)
        text = text.strip("\n").rstrip() if kind is BlockKind.CODE else text.strip()
        if not text.strip():
            return
        if self._parts:
            self._parts.append("\n\n")
            self._length += 2
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        self.blocks.append(Block(kind, start, self._length, level=level, page=page))

    def heading(self, text: str, *, level: int, page: int | None = None) -> None:
        self.add(BlockKind.HEADING, one_line(text), level=min(max(level, 1), 6), page=page)

    def mark(self) -> int:
        """Return where the text is now, for `rewind`."""
        return len(self.blocks)

    def texts(self, num_blocks: int) -> list[str]:
        """Return the texts of the first blocks."""
        return self._parts[: 2 * num_blocks : 2]

    def since(self, mark: int) -> str:
        """Return the text of the blocks added after `mark`, one after the other."""
        return "\n".join(self._parts[max(0, 2 * mark - 1) :])

    def rewind(self, mark: int) -> None:
        """Take back the blocks added after `mark`."""
        del self.blocks[mark:]
        del self._parts[max(0, 2 * mark - 1) :]
        self._length = sum(map(len, self._parts))

    def draft(self, *, title: str = "", metadata: dict[str, MetadataValue] | None = None) -> Draft:
        return Draft("".join(self._parts), tuple(self.blocks), title, metadata or {})

    def absorb(self, other: Draft, *, deeper: int = 0) -> None:
        """Append another draft's blocks, their headings `deeper` levels down."""
        for block in other.blocks:
            level = min(block.level + deeper, 6) if block.level else 0
            self.add(block.kind, other.text[block.start : block.end], level=level, page=block.page)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a text: `text[start:end]`, without its line break."""

    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def blank(self) -> bool:
        return not self.text.strip()

    @property
    def indent(self) -> int:
        """Columns before the first character, a tab reaching to the next multiple of 4."""
        column = 0
        for char in self.text:
            if char == "\t":
                column += 4 - column % 4
            elif char == " ":
                column += 1
            else:
                break
        return column


def lines_of(text: str) -> list[Line]:
    r"""Cut at `\n` only; other line separators are white space inside a line."""
    lines, start = [], 0
    for piece in text.split("\n"):
        lines.append(Line(piece, start))
        start += len(piece) + 1
    return lines


def mark(kind: BlockKind, lines: Sequence[Line], *, level: int = 0) -> Block:
    """Return the block over whole lines, without the white space around them."""
    first, last = lines[0], lines[-1]
    start = first.start
    if kind is not BlockKind.CODE:
        start += len(first.text) - len(first.text.lstrip())
    return Block(kind, start, last.start + len(last.text.rstrip()), level=level)


def mark_heading(line: Line, title: str, *, level: int) -> Block | None:
    """Return the heading block over `title` inside `line`; None if the title is empty."""
    title = title.strip()
    if not title:
        return None
    start = line.start + line.text.index(title)
    return Block(BlockKind.HEADING, start, start + len(title), level=min(level, 6))


def one_line(text: str) -> str:
    return " ".join(text.split())


def plain_title(text: str) -> str:
    """Return a title without inline markup, on one line, cut at 200 characters."""
    title = one_line(_MARKUP.sub(lambda found: found.group(1) or "", text[:1000]))
    return title[:_MAX_TITLE_CHARS].strip()


def first_heading(text: str, blocks: Sequence[Block]) -> str:
    """Return the page's title: the outermost heading that comes first."""
    headings = [block for block in blocks if block.kind is BlockKind.HEADING]
    if not headings:
        return ""
    outermost = min(block.level for block in headings)
    block = next(block for block in headings if block.level == outermost)
    return plain_title(text[block.start : block.end])


def well_formed(blocks: Sequence[Block], text: str) -> Iterator[Block]:
    """Yield the blocks that keep the promise of `core.Block`: in order, apart, inside, not blank.

    White space at the edges is trimmed; what overlaps its predecessor is cut or dropped.
    """
    cursor = 0
    for block in blocks:
        start, end = max(block.start, cursor), min(block.end, len(text))
        if block.kind is not BlockKind.CODE or start != block.start:
            while start < end and text[start].isspace():
                start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if start < end and text[start:end].strip():
            cursor = end
            level = min(max(block.level, 1), 6) if block.kind is BlockKind.HEADING else 0
            yield replace(block, start=start, end=end, level=level)
