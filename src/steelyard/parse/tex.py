"""TeX and LaTeX: the source without comments and preamble is the text."""

import re

from steelyard.core.documents import Block, BlockKind, MetadataValue
from steelyard.parse.draft import Draft, Line, first_heading, lines_of, mark, one_line

_COMMENT = re.compile(r"(?<!\\)%.*")
_LEVELS = {
    "part": 1,
    "chapter": 1,
    "section": 2,
    "subsection": 3,
    "subsubsection": 4,
    "paragraph": 5,
    "frametitle": 3,
}
_HEADING = re.compile(r"\\(" + "|".join(_LEVELS) + r")\*?(?:\[[^\]]{0,200}\])?\{")
_BEGIN = re.compile(r"\s*\\begin\{([A-Za-z]{1,40})\*?\}")
_KINDS = {
    **dict.fromkeys(("tabular", "tabularx", "longtable", "table", "array"), BlockKind.TABLE),
    **dict.fromkeys(("itemize", "enumerate", "description"), BlockKind.LIST),
    **dict.fromkeys(("verbatim", "lstlisting", "minted", "alltt", "algorithm"), BlockKind.CODE),
    **dict.fromkeys(("equation", "align", "gather", "multline"), BlockKind.CODE),
}
_PREAMBLE = ("title", "author", "date")
_MAX_ARGUMENT = 1000
_MAX_ENVIRONMENT_LINES = 2000
_MAX_UNCLOSED = 20  # then the source is broken, and looking ahead only costs time


def parse(text: str) -> Draft:
    """Return sections, lists, tables, code and formulas, each whole.

    The preamble gives title, author and date, and is left out like the comments.
    """
    text = "\n".join(_uncommented(line) for line in text.split("\n"))
    _preamble, found, rest = text.partition("\\begin{document}")
    body = rest.split("\\end{document}", 1)[0].strip("\n") if found else text
    metadata: dict[str, MetadataValue] = {}
    for name in _PREAMBLE:
        position = text.find(f"\\{name}" + "{")
        if position >= 0:
            metadata[name] = one_line(
                _argument(text, position + len(name) + 2).replace("\\\\", " ")
            )
    blocks = _Scanner(lines_of(body)).blocks()
    title = str(metadata.pop("title", "")) or first_heading(body, blocks)
    return Draft(
        body, tuple(blocks), title, {key: value for key, value in metadata.items() if value}
    )


def _uncommented(line: str) -> str:
    return _COMMENT.sub("", line) if "%" in line else line


def _argument(text: str, start: int) -> str:
    """Return the text from `start`, just after a brace, to its closing brace."""
    depth = 1
    for index in range(start, min(len(text), start + _MAX_ARGUMENT)):
        if text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return text[start:index]
    return text[start : start + _MAX_ARGUMENT].split("\n", 1)[0]


class _Scanner:
    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines
        self.at = 0
        self.num_unclosed = 0

    def blocks(self) -> list[Block]:
        found = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.blank:
                self.at += 1
                continue
            if heading := _HEADING.match(line.text.lstrip()):
                found.extend(self._heading(line, heading))
                continue
            start, kind = self.at, BlockKind.PARAGRAPH
            if begin := _BEGIN.match(line.text):
                kind = _KINDS.get(begin.group(1), BlockKind.PARAGRAPH)
                self.at = self._after_environment(begin.group(1))
            else:
                self.at = self._after_paragraph()
            found.append(mark(kind, self.lines[start : self.at]))
        return found

    def _heading(self, line: Line, found: re.Match[str]) -> list[Block]:
        """Return the heading and, where the line goes on, the paragraph's first line."""
        self.at += 1
        offset = line.start + len(line.text) - len(line.text.lstrip())
        source = line.text.lstrip()
        title = _argument(source, found.end())
        start = offset + found.end()
        blocks = [Block(BlockKind.HEADING, start, start + len(title), _LEVELS[found.group(1)])]
        rest = source[found.end() + len(title) + 1 :]
        if len(rest) > 40:  # more than a label
            blocks.append(Block(BlockKind.PARAGRAPH, start + len(title) + 1, line.end))
        return blocks

    def _after_environment(self, name: str) -> int:
        """Return the index after the matching `\\end`; without one, after the paragraph."""
        opening, closing = f"\\begin{{{name}", f"\\end{{{name}"
        depth = 0
        reach = _MAX_ENVIRONMENT_LINES if self.num_unclosed < _MAX_UNCLOSED else 0
        for index in range(self.at, min(len(self.lines), self.at + reach)):
            text = self.lines[index].text
            depth += text.count(opening) - text.count(closing)
            if depth <= 0:
                return index + 1
        self.num_unclosed += 1
        return self._after_paragraph()

    def _after_paragraph(self) -> int:
        end = self.at + 1
        while end < len(self.lines) and not self.lines[end].blank:
            text = self.lines[end].text
            if _BEGIN.match(text) or _HEADING.match(text.lstrip()):
                break
            end += 1
        return end
