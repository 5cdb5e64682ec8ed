"""Markdown: the source itself is the text; blocks lie over it."""

import re

from steelyard.core.documents import Block, BlockKind
from steelyard.parse.draft import Draft, Line, first_heading, lines_of, mark, mark_heading
from steelyard.parse.frontmatter import split_front_matter

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r"[ \t]*(?:>[ \t]?)*(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]+|$)")
_DELIMITER = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?$")
_MAX_COMMENT_LINES = 500
_RULE = re.compile(r" {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")


def parse(text: str) -> Draft:
    """Return headings, lists, tables and code of a Markdown text, each whole.

    A heading's block covers its words only. Front matter becomes metadata. Comments, which no
    reader sees, stay in the text but in no block.
    """
    metadata, body = split_front_matter(text)
    blocks = _Scanner(lines_of(body)).blocks()
    title = metadata.get("title")
    named = title if isinstance(title, str) else ""
    return Draft(body, tuple(blocks), named or first_heading(body, blocks), metadata)


class _Scanner:
    """Walks the lines once; every step moves forward."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines
        self.at = 0

    def blocks(self) -> list[Block]:
        found = []
        while self.at < len(self.lines):
            block = self._next()
            if block is not None:
                found.append(block)
        return found

    def _next(self) -> Block | None:
        line = self.lines[self.at]
        if line.blank or _RULE.match(line.text):
            self.at += 1
            return None
        if _FENCE.match(line.text):
            return self._code()
        if line.text.lstrip().startswith("<!--") and (end := self._after_comment()):
            self.at = end
            return None
        if heading := _ATX.match(line.text):
            self.at += 1
            title = _without_tail(heading.group(2) or "")
            return mark_heading(line, title, level=len(heading.group(1)))
        if self._is_table(self.at):
            return self._table()
        if _ITEM.match(line.text):
            return self._list()
        if line.indent >= 4:
            return self._indented_code()
        return self._paragraph()

    def _take(self, kind: BlockKind, end: int) -> Block:
        start, self.at = self.at, end
        return mark(kind, self.lines[start:end])

    def _code(self) -> Block:
        return self._take(BlockKind.CODE, self._after_fence(self.at))

    def _after_fence(self, start: int) -> int:
        """Return the index after the fence that `start` opens; unclosed, it runs to the end."""
        opening = _FENCE.match(self.lines[start].text)
        assert opening is not None
        mark_ = opening.group(1)
        for index in range(start + 1, len(self.lines)):
            closing = _FENCE.match(self.lines[index].text)
            if closing and closing.group(1).startswith(mark_):
                rest = self.lines[index].text[closing.end() :]
                if not rest.strip():
                    return index + 1
        return self._last_text() + 1

    def _after_comment(self) -> int:
        """Return the index after the comment that begins here; 0 if text follows it, or no end."""
        for index in range(self.at, min(len(self.lines), self.at + _MAX_COMMENT_LINES)):
            _, closed, rest = self.lines[index].text.partition("-->")
            if closed:
                return 0 if rest.strip() else index + 1
        return 0

    def _last_text(self) -> int:
        last = len(self.lines) - 1
        while last > self.at and self.lines[last].blank:
            last -= 1
        return last

    def _is_table(self, index: int) -> bool:
        if index + 1 >= len(self.lines) or "|" not in self.lines[index].text:
            return False
        below = self.lines[index + 1].text
        return "-" in below and "|" in below and _DELIMITER.match(below.strip()) is not None

    def _table(self) -> Block:
        end = self.at + 2
        while end < len(self.lines) and "|" in self.lines[end].text:
            end += 1
        return self._take(BlockKind.TABLE, end)

    def _list(self) -> Block:
        """Take items with their continuation lines, inner lists and inner code."""
        end = last = self.at
        while end < len(self.lines):
            line = self.lines[end]
            if line.blank:
                end += 1
                continue
            after_blank = end > last + 1
            continues = _ITEM.match(line.text) or line.indent >= 2 or not after_blank
            if end > self.at and (not continues or self._interrupts(line)):
                break
            if _FENCE.match(line.text):
                end = self._after_fence(end)
                last = end - 1
            else:
                last = end
                end += 1
        return self._take(BlockKind.LIST, last + 1)

    def _interrupts(self, line: Line) -> bool:
        """Tell whether a line ends the list or paragraph above it without a blank line."""
        if line.indent >= 2:
            return False
        return bool(_ATX.match(line.text) or _RULE.match(line.text) or _FENCE.match(line.text))

    def _indented_code(self) -> Block:
        end = last = self.at
        while end < len(self.lines) and (self.lines[end].blank or self.lines[end].indent >= 4):
            if not self.lines[end].blank:
                last = end
            end += 1
        return self._take(BlockKind.CODE, last + 1)

    def _paragraph(self) -> Block | None:
        start = self.at
        end = start + 1
        while end < len(self.lines) and not self.lines[end].blank:
            line = self.lines[end]
            if (found := _SETEXT.match(line.text)) and end == start + 1:
                self.at = end + 1
                level = 1 if found.group(1)[0] == "=" else 2
                return mark_heading(self.lines[start], self.lines[start].text, level=level)
            if self._interrupts(line) or self._is_table(end) or _starts_list(line):
                break
            end += 1
        return self._take(BlockKind.PARAGRAPH, end)


def _without_tail(title: str) -> str:
    """Return a heading's words without closing `#` and attributes such as `{ #anchor }`."""
    title = title.rstrip()
    if title.endswith("}") and "{" in title:
        title = title[: title.rindex("{")].rstrip()
    bare = title.rstrip("#")
    return bare if not bare or bare[-1] in " \t" else title


def _starts_list(line: Line) -> bool:
    """Tell whether a line starts a list right after a paragraph: a bullet, or number one."""
    text = line.text.lstrip()
    return bool(_ITEM.match(line.text)) and (not text[0].isdigit() or text[:2] in ("1.", "1)"))
