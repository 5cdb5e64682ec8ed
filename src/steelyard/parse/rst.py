"""reStructuredText: the source itself is the text; blocks lie over it."""

import re

from steelyard.core.documents import Block, BlockKind, MetadataValue
from steelyard.parse.draft import Draft, Line, first_heading, lines_of, mark, mark_heading

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}[ \t]*$")
_ITEM = re.compile(
    r"[ \t]*(?:[-*+•]|(?:\d{1,4}|#|[a-zA-Z])[.)]|\((?:\d{1,4}|#|[a-zA-Z])\))[ \t]+\S"
)
_SIMPLE_TABLE = re.compile(r"[ \t]*=+(?:[ \t]+=+)+[ \t]*$")
_GRID_TABLE = re.compile(r"[ \t]*\+[-=+]+\+[ \t]*$")
_DIRECTIVE = re.compile(r"[ \t]*\.\.[ \t]+([\w:-]+)::[ \t]*(.*)$")
_FIELD = re.compile(r":([\w -]{1,40}):[ \t]+(.*)$")
_CODE_DIRECTIVES = frozenset(
    (
        "code",
        "code-block",
        "sourcecode",
        "literalinclude",
        "parsed-literal",
        "math",
        "doctest",
        "testcode",
        "testoutput",
        "ipython",
        "prompt",
        "command-output",
        "productionlist",
        "graphviz",
    )
)
_SILENT_DIRECTIVES = frozenset(
    (
        "raw",
        "meta",
        "toctree",
        "contents",
        "currentmodule",
        "module",
        "highlight",
        "default-role",
        "include",
        "index",
    )
)
_TABLE_DIRECTIVES = frozenset(("table", "csv-table", "list-table"))


def parse(text: str) -> Draft:
    """Return headings (levels by order of their underlines), lists, tables and code, whole.

    Fields at the very top (`:author: x`) become metadata too.
    """
    lines = lines_of(text)
    blocks = _Scanner(lines).blocks()
    return Draft(text, tuple(blocks), first_heading(text, blocks), _bibliographic(lines))


def _bibliographic(lines: list[Line]) -> dict[str, MetadataValue]:
    fields: dict[str, MetadataValue] = {}
    for line in lines:
        if line.blank:
            continue
        found = _FIELD.match(line.text)
        if not found:
            break
        fields[found.group(1).lower()] = found.group(2).strip()
    return fields


class _Scanner:
    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines
        self.at = 0
        self.styles: list[str] = []  # adornments in order of appearance: their levels

    def blocks(self) -> list[Block]:
        found = []
        while self.at < len(self.lines):
            if (block := self._next()) is not None:
                found.append(block)
        return found

    def _next(self) -> Block | None:
        line = self.lines[self.at]
        if line.blank:
            self.at += 1
            return None
        if _SIMPLE_TABLE.match(line.text) and self._is_simple_table():
            return self._simple_table()
        if _GRID_TABLE.match(line.text):
            return self._rows()
        if self._heading_height():
            return self._heading()
        if _ADORNMENT.match(line.text):
            self.at += 1
            return None
        if found := _DIRECTIVE.match(line.text):
            return self._directive(found.group(1))
        if line.text.lstrip().startswith(".. ") or line.text.strip() == "..":
            self.at = self._after_body(self.at)  # a comment or a target: nothing that is read
            return None
        if self._follows_literal_mark():
            return self._take(BlockKind.CODE, self._after_indent(self.at, line.indent))
        if line.text.startswith(">>>"):
            return self._rows(BlockKind.CODE)
        return self._list() if _ITEM.match(line.text) else self._rows(BlockKind.PARAGRAPH)

    def _take(self, kind: BlockKind, end: int) -> Block:
        start, self.at = self.at, max(end, self.at + 1)
        return mark(kind, self.lines[start : self.at])

    def _text(self, index: int) -> str:
        return self.lines[index].text if 0 <= index < len(self.lines) else ""

    def _heading_height(self) -> int:
        """Return how many lines a heading takes here: 3 with an overline, 2 without, 0: none."""
        first, second, third = (self._text(self.at + step) for step in range(3))
        over = _ADORNMENT.match(first)
        if over and second.strip() and third.strip() == first.strip():
            return 3
        under = _ADORNMENT.match(second)
        if not under or over or first[:1].isspace():
            return 0
        return 2 if len(second.strip()) >= min(len(first.strip()), 4) else 0

    def _heading(self) -> Block | None:
        height = self._heading_height()
        line = self.lines[self.at + height - 2]
        style = self._text(self.at + height - 1)[0] + str(height)
        if style not in self.styles:
            self.styles.append(style)
        self.at += height
        return mark_heading(line, line.text, level=self.styles.index(style) + 1)

    def _directive(self, name: str) -> Block | None:
        end = self._after_body(self.at)
        if name in _SILENT_DIRECTIVES:
            self.at = end
            return None
        if name in _CODE_DIRECTIVES:
            return self._take(BlockKind.CODE, end)
        if name in _TABLE_DIRECTIVES:
            return self._take(BlockKind.TABLE, end)
        return self._take(BlockKind.PARAGRAPH, self.at + 1)  # its body is read as text

    def _after_body(self, start: int) -> int:
        return self._after_indent(start + 1, self.lines[start].indent + 1)

    def _after_indent(self, start: int, indent: int) -> int:
        """Return the index after the last line from `start` that is indented at least so far."""
        end = index = start
        while index < len(self.lines) and (
            self.lines[index].blank or self.lines[index].indent >= indent
        ):
            index += 1
            if not self.lines[index - 1].blank:
                end = index
        return end

    def _follows_literal_mark(self) -> bool:
        """Tell whether the paragraph above ended in `::` and this line is indented below it."""
        above = self.at - 1
        while above >= 0 and self.lines[above].blank:
            above -= 1
        if above < 0 or above == self.at - 1:
            return False
        previous = self.lines[above]
        is_mark = previous.text.rstrip().endswith("::") and not _DIRECTIVE.match(previous.text)
        return is_mark and self.lines[self.at].indent > previous.indent

    def _list(self) -> Block:
        end = last = self.at
        indent = self.lines[self.at].indent
        while end < len(self.lines):
            line = self.lines[end]
            inside = line.indent > indent or _ITEM.match(line.text) or end == last + 1
            if not line.blank and end > self.at and not inside:
                break
            if not line.blank:
                last = end
            end += 1
        return self._take(BlockKind.LIST, last + 1)

    def _rows(self, kind: BlockKind = BlockKind.TABLE) -> Block:
        end = self.at + 1
        while end < len(self.lines) and not self.lines[end].blank:
            if kind is BlockKind.PARAGRAPH and _ITEM.match(self._text(end)):
                break
            end += 1
        return self._take(kind, end)

    def _is_simple_table(self) -> bool:
        return any(
            _SIMPLE_TABLE.match(line.text) for line in self.lines[self.at + 1 : self.at + 500]
        )

    def _simple_table(self) -> Block:
        """Take all up to the closing border: the one that a blank line or the end follows."""
        end = self.at + 1
        while end < len(self.lines):
            border = _SIMPLE_TABLE.match(self._text(end)) and end > self.at + 2
            end += 1
            if border and not self._text(end).strip():
                break
        return self._take(BlockKind.TABLE, end)
