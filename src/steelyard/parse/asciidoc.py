"""AsciiDoc: the source itself is the text; blocks lie over it."""

import re

from steelyard.core.documents import Block, BlockKind, MetadataValue
from steelyard.parse.draft import Draft, Line, first_heading, lines_of, mark, mark_heading

_HEADING = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)$")
_ATTRIBUTE = re.compile(r":([\w-]{1,40}):[ \t]*(.*)$")
_ITEM = re.compile(r"[ \t]*(?:[*.\-]{1,5}|\d{1,4}\.)[ \t]+\S|[^|\n]{1,120}::(?:[ \t]|$)")
_TABLE = re.compile(r"[|,:!]={3,}[ \t]*$")
_FENCES = {
    "----": BlockKind.CODE,
    "....": BlockKind.CODE,
    "```": BlockKind.CODE,
    "++++": BlockKind.CODE,
}
_HIDDEN = "////"
_KEPT_ATTRIBUTES = ("author", "email", "revdate", "revnumber", "description", "keywords")
_FRAMES = ("====", "****", "____", "--")  # of examples, sidebars, quotes: their body is text


def parse(text: str) -> Draft:
    """Return headings, lists, tables and listings, each whole."""
    lines = lines_of(text)
    blocks = _Scanner(lines).blocks()
    return Draft(text, tuple(blocks), first_heading(text, blocks), _attributes(lines))


def _attributes(lines: list[Line]) -> dict[str, MetadataValue]:
    found = (_ATTRIBUTE.match(line.text) for line in lines[:50])
    return {
        match.group(1): match.group(2).strip()
        for match in found
        if match and match.group(1) in _KEPT_ATTRIBUTES and match.group(2).strip()
    }


class _Scanner:
    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines
        self.at = 0

    def blocks(self) -> list[Block]:
        found = []
        while self.at < len(self.lines):
            if (block := self._next()) is not None:
                found.append(block)
        return found

    def _next(self) -> Block | None:
        line = self.lines[self.at]
        text = line.text.rstrip()
        if heading := _HEADING.match(line.text):
            self.at += 1
            return mark_heading(line, heading.group(2), level=len(heading.group(1)))
        if _TABLE.match(text):
            return self._take(BlockKind.TABLE, self._after(text))
        for fence, kind in _FENCES.items():
            if text.startswith(fence) and (fence == "```" or not text.strip(fence[0])):
                return self._take(kind, self._after(fence if fence == "```" else text))
        if text.startswith(_HIDDEN):
            self.at = self._after(text)
            return None
        if self._is_aside(text):
            self.at += 1
            return None
        return self._take(*self._flowing())

    def _is_aside(self, text: str) -> bool:
        """Tell whether a line is markup around text rather than text."""
        is_attribute = bool(_ATTRIBUTE.match(text)) or (text.startswith("[") and text[-1:] == "]")
        is_comment = text.startswith("//") or text in ("+", "'''", "<<<")
        return not text.strip() or is_attribute or is_comment or text in _FRAMES

    def _flowing(self) -> tuple[BlockKind, int]:
        """Return a list or a paragraph, and the index after it."""
        is_list = bool(_ITEM.match(self.lines[self.at].text))
        end = last = self.at
        while end < len(self.lines):
            text = self.lines[end].text
            if end > self.at and self._breaks(text):
                break
            if not text.strip() and not is_list:
                break
            if is_list and end > last + 1 and text.strip() and not _ITEM.match(text):
                break
            if text.strip():
                last = end
            end += 1
        return (BlockKind.LIST if is_list else BlockKind.PARAGRAPH), last + 1

    def _breaks(self, text: str) -> bool:
        fenced = any(text.startswith(fence) for fence in (*_FENCES, _HIDDEN))
        return bool(_HEADING.match(text) or _TABLE.match(text) or fenced or text in _FRAMES)

    def _after(self, closing: str) -> int:
        """Return the index after the line that closes what this line opens; none: the end."""
        for index in range(self.at + 1, len(self.lines)):
            if self.lines[index].text.rstrip() == closing:
                return index + 1
        return len(self.lines)

    def _take(self, kind: BlockKind, end: int) -> Block:
        start, self.at = self.at, max(end, self.at + 1)
        return mark(kind, self.lines[start : self.at])
