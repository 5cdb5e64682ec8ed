"""A document as a sequence of units under headings, and how a unit breaks into smaller ones."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from steelyard.core.documents import Block, BlockKind, Parsed
from steelyard.core.sentences import split_sentences

Spans = Iterator[tuple[int, int]]

_MAX_HEADING_CHARS = 160  # of one heading, in a path
_MAX_LABEL_CHARS = 60  # of markup in front of code or a table that goes with it
_MARKS_BELOW = re.compile(r"\n[^\S\n]*+([^\w\s]{2,}+)[^\S\n]*+(?=\n|\Z)")
_BLANK_LINE = re.compile(r"\n(?:[^\S\n]*+\n)++")
_NEWLINE = re.compile(r"\n")
_NEXT_ITEM = re.compile(r"\n(?=\S)")  # a line that is not indented
_TABLE_RULE = re.compile(r"[|:\-+=\s]*-[|:\-+=\s]*")
_EDGE_MARKUP = re.compile(r"^[#=*\s]+(?=\S)|[\s#=:]+$|\s*\{[^{}]*\}\s*$")
_INLINE_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)|[*`]{1,3}")


@dataclass(frozen=True, slots=True)
class Unit:
    """What stays together if it can: `text[start:end]`, not blank.

    `path` holds the headings above it (a heading's own included) and `level` the innermost
    one's level, 0 above all headings. `step` is the way of breaking that made it, `part_of` the
    span of what was too long and is now in pieces. `columns` is the header row of the table
    that it continues.
    """

    kind: BlockKind
    start: int
    end: int
    path: tuple[str, ...] = ()
    level: int = 0
    page: int | None = None
    step: int = 0
    part_of: tuple[int, int] | None = None
    columns: str = ""

    @property
    def heading(self) -> bool:
        return self.kind is BlockKind.HEADING


def outline(parsed: Parsed) -> Iterator[Unit]:
    """Yield the units of a document in order; they hold every character that is not white."""
    above: list[tuple[int, str]] = []
    for block in _covering(parsed.text, parsed.blocks):
        if block.kind is BlockKind.HEADING:
            while above and above[-1][0] >= block.level:
                above.pop()
            name = heading_name(parsed.text[block.start : block.end])
            if name:
                above.append((block.level, name))
        yield Unit(
            block.kind,
            block.start,
            block.end,
            path=tuple(name for _, name in above),
            level=above[-1][0] if above else 0,
            page=block.page,
        )


def heading_name(text: str) -> str:
    """Return a heading as a path shows it: its first line with words, without markup."""
    line = next((line for line in text.splitlines() if any(map(str.isalnum, line))), "")
    name = _INLINE_MARKUP.sub(lambda found: found[1] or "", line[: 4 * _MAX_HEADING_CHARS])
    before = None
    while name != before:
        before, name = name, _EDGE_MARKUP.sub("", name)
    name = " ".join(name.split())
    if len(name) > _MAX_HEADING_CHARS:
        name = name[:_MAX_HEADING_CHARS].rsplit(" ", 1)[0] + " …"
    return name


def break_unit(unit: Unit, text: str) -> Iterator[Unit] | None:
    """Return the next smaller units of `unit`, or None if it has none.

    Tables break into rows, code at blank lines and then lines, lists into items; what is left
    breaks into sentences and lines. Words are left to `TokenMap.cut`.
    """
    for step in range(unit.step, len(_STEPS[unit.kind])):
        spans = _trimmed(text, _STEPS[unit.kind][step](text, unit.start, unit.end))
        first = next(spans, None)
        if first is None or first[1] >= unit.end:
            continue
        return _pieces(unit, text, first, spans, step + 1)
    return None


def _pieces(
    unit: Unit, text: str, first: tuple[int, int], rest: Spans, step: int
) -> Iterator[Unit]:
    columns = unit.columns or (_columns(text, unit) if unit.kind is BlockKind.TABLE else "")
    start, end = first
    yield replace(unit, start=start, end=end, step=step)
    for start, end in rest:
        yield replace(unit, start=start, end=end, step=step, columns=columns)


def _columns(text: str, table: Unit) -> str:
    """Return the header row of a table that has one (a rule is its second line)."""
    lines = text[table.start : min(table.end, table.start + 4000)].split("\n", 2)
    if len(lines) < 3 or not _TABLE_RULE.fullmatch(lines[1]):
        return ""
    cells = [" ".join(cell.split()) for cell in lines[0].strip().strip("|").split("|")]
    row = " | ".join(cell for cell in cells if cell)
    return row if len(row) <= _MAX_HEADING_CHARS else ""


def _covering(text: str, blocks: Sequence[Block]) -> Iterator[Block]:
    """Yield `blocks`, and what lies between them: markup goes with the block that it touches."""
    position = 0
    page: int | None = None
    for at, block in enumerate(blocks):
        start = _joined_start(text, position, block)
        yield from _between(text, position, start, page)
        limit = blocks[at + 1].start if at + 1 < len(blocks) else len(text)
        end = _joined_end(text, block.end, limit)
        if text[start:end].strip():
            yield replace(block, start=start, end=end)
        position, page = end, block.page
    yield from _between(text, position, len(text), page)


def _joined_start(text: str, position: int, block: Block) -> int:
    """Return where the block starts with the markup in front of it, `position` at the least."""
    before = text[position : block.start]
    stripped = before.rstrip()
    if not stripped:
        return block.start
    line = stripped.rfind("\n") + 1
    touches = "\n" not in before[len(stripped) :]
    match block.kind:
        case BlockKind.CODE | BlockKind.TABLE:  # a fence with its language, a directive
            label = len(stripped) - line <= _MAX_LABEL_CHARS
        case BlockKind.HEADING:  # an overline
            label = not any(map(str.isalnum, stripped[line:]))
        case _:
            label = False
    return position + line if touches or label else block.start


def _joined_end(text: str, end: int, limit: int) -> int:
    """Return where the block ends with the rest of its line and a line of mere marks below."""
    rest = text[end:limit].partition("\n")[0] if end < limit else ""
    if limit < len(text) and "\n" not in text[end:limit]:
        return end  # the next block is on the same line: the markup goes with it
    end += len(rest)
    below = _MARKS_BELOW.match(text, end, limit)
    return below.end(1) if below else end


def _between(text: str, start: int, end: int, page: int | None) -> Iterator[Block]:
    for begin, stop in _trimmed(text, _parts(_BLANK_LINE, text, start, end)):
        yield Block(BlockKind.PARAGRAPH, begin, stop, page=page)


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span without the white space around it; `(end, end)` if it is blank."""
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return (start + left, start + len(piece.rstrip())) if left < len(piece) else (end, end)


def _trimmed(text: str, spans: Spans) -> Spans:
    """Yield spans without the white space around them, blank ones left out."""
    for begin, stop in spans:
        start, end = trimmed(text, begin, stop)
        if start < end:
            yield start, end


def _parts(mark: re.Pattern[str], text: str, start: int, end: int) -> Spans:
    for match in mark.finditer(text, start, end):
        yield start, match.start()
        start = match.end()
    yield start, end


def _paragraphs(text: str, start: int, end: int) -> Spans:
    return _parts(_BLANK_LINE, text, start, end)


def _lines(text: str, start: int, end: int) -> Spans:
    return _parts(_NEWLINE, text, start, end)


def _items(text: str, start: int, end: int) -> Spans:
    return _parts(_NEXT_ITEM, text, start, end)


def _sentences(text: str, start: int, end: int) -> Spans:
    return ((start + a, start + b) for a, b in split_sentences(text[start:end]))


_STEPS: dict[BlockKind, tuple[Callable[[str, int, int], Spans], ...]] = {
    BlockKind.HEADING: (_sentences, _lines),
    BlockKind.PARAGRAPH: (_paragraphs, _sentences, _lines),
    BlockKind.LIST: (_items, _sentences, _lines),
    BlockKind.TABLE: (_lines, _sentences),
    BlockKind.CODE: (_paragraphs, _lines),
}
