"""Source code: one block for each definition at the top level."""

import re

from steelyard.core.documents import Block, BlockKind
from steelyard.parse.draft import Draft, Line, lines_of, mark

_CLOSER = re.compile(r"[)\]}]|end\b|else\b|elif\b|except\b|finally\b|catch\b|fi\b|done\b|esac\b")
_HASH_COMMENT = ("#!", "# ", "//", "/*", " *", "--", ";;", '"""', "'''")
_MAX_SECTION_LINES = 400


def parse(text: str) -> Draft:
    """Return whole definitions: cut at unindented lines after a blank line.

    Works by layout, not by grammar, so for any language; comments and decorators stay with
    what follows them. A section of more than 400 lines is cut at its next blank line.
    """
    blocks: list[Block] = []
    group: list[Line] = []
    after_blank = False
    for line in lines_of(text):
        if line.blank:
            after_blank = True
            continue
        if group and after_blank and _starts_section(line, group):
            blocks.append(mark(BlockKind.CODE, group))
            group = []
        group.append(line)
        after_blank = False
    if group:
        blocks.append(mark(BlockKind.CODE, group))
    return Draft(text, tuple(blocks))


def _starts_section(line: Line, group: list[Line]) -> bool:
    if len(group) >= _MAX_SECTION_LINES:
        return True
    if line.text[0].isspace() or _CLOSER.match(line.text):
        return False
    return not all(above.text.startswith(_HASH_COMMENT) for above in group)
