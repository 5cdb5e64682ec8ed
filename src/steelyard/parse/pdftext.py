"""The text of PDF pages, which has lines and no structure, as paragraphs, headings and tables.

By layout only: how long lines are, how they begin, and how many numbers they hold.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from steelyard.core.documents import BlockKind
from steelyard.parse.draft import Composer, Draft, one_line

_SOFT_HYPHEN = re.compile("(?<=[^\\W\\d_])(?:\x02|\u00ad)\\s*(?=[^\\W\\d_])")
_STRAY_MARK = re.compile("^\\s*[\x02\x03\uf0b7]\\s*", re.MULTILINE)  # bullets of symbol fonts
_NUMBER = re.compile(r"[($€£+\-–—]*\d[\d.,:/]*[%)]*|[$€£%—–-]|\(\d[\d.,]*|n/?a", re.IGNORECASE)
_BULLET = re.compile(r"(?:[•◦▪‣●○■–*-]|\(?[a-z0-9]{1,3}[.)])\s+\S", re.IGNORECASE)
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+[A-Z]\S")
_NAMED = re.compile(
    r"(Part|Chapter|Appendix|Annex|Item|Section|Article)\s+[\dIVXA-Z]{1,5}[.:]?\b", re.I
)
_NAMED_LEVELS = {"part": 1, "chapter": 1, "appendix": 1, "annex": 1, "item": 2, "section": 2}
_LEADERS = re.compile(r"\s*(?:\. ?){4,}")  # of a table of contents
_COLUMN_HEAD = re.compile(
    r"\b(?:19|20)\d\d\b|\bended\b|\(in |\(?unaudited|[A-Z][a-z]{2,8} \d{1,2},$", re.IGNORECASE
)
_PARENTHESIS = re.compile(r"\([^()]*\)")
_MAX_HEAD_LINES = 12
_TITLE_CHARS = 100
_NO_TITLES = ("untitled", "(anonymous)", "microsoft word", "powerpoint presentation", "unknown")


def compose(pages: Sequence[tuple[int, str]]) -> Draft:
    """Return the pages' text with page numbers on every block.

    Lines of a paragraph are joined, words that were hyphenated at a line's end too; running
    headers and footers (the same line on most pages, numbers aside) are left out.
    """
    cut = [(number, _lines(text)) for number, text in pages]
    running = _running_lines([lines for _, lines in cut])
    composer = Composer()
    for number, lines in cut:
        _add_page(composer, _body(lines, running), number)
    return composer.draft(title=_first_title(composer))


def usable_title(title: str) -> str:
    """Return a title from the metadata, empty if it is a program's filler."""
    title = one_line(title)
    letters = sum(char.isalpha() for char in title)
    filler = title.lower().startswith(_NO_TITLES) or letters < max(3, len(title) / 2)
    return "" if filler else title


def _lines(text: str) -> list[str]:
    text = _SOFT_HYPHEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _STRAY_MARK.sub("• ", text).replace("\x02", "-")
    return [one_line(line) for line in text.split("\n")]


def _shape(line: str) -> str:
    return re.sub(r"\d+|\b[ivxlc]+\b", "#", line.lower())


def _edges(lines: list[str]) -> list[int]:
    """Return where running lines may stand: the outermost line, two on a page of some length."""
    depth = 2 if len(lines) > 6 else 1
    return [*range(min(depth, len(lines))), *range(max(depth, len(lines) - depth), len(lines))]


def _running_lines(pages: Sequence[list[str]]) -> set[str]:
    """Return the shapes of lines that open or close at least half of four or more pages."""
    if len(pages) < 4:
        return set()
    counts: Counter[str] = Counter()
    for lines in pages:
        counts.update({_shape(lines[index]) for index in _edges(lines) if lines[index]})
    return {shape for shape, count in counts.items() if count >= max(3, len(pages) / 2)}


def _body(lines: list[str], running: set[str]) -> list[str]:
    """Return a page's lines without running ones and the bare page number."""
    out = {i for i in _edges(lines) if _shape(lines[i]) in running or lines[i].isdigit()}
    return [line for index, line in enumerate(lines) if index not in out]


def _add_page(composer: Composer, lines: list[str], page: int) -> None:
    usual = sorted(map(len, lines))[int(len(lines) * 0.9)] if lines else 0
    at = 0
    while at < len(lines):
        end = at + 1
        if not lines[at]:
            pass
        elif table_end := _table_end(lines, at):
            end = table_end
            composer.add(BlockKind.TABLE, "\n".join(lines[at:end]), page=page)
        elif _LEADERS.search(lines[at]):
            end = _run_end(lines, at, lambda i: bool(_LEADERS.search(lines[i])))
            entries = (_LEADERS.sub(" … ", line) for line in lines[at:end])
            composer.add(BlockKind.LIST, "\n".join(entries), page=page)
        elif level := _heading_level(lines[at]):
            composer.heading(lines[at], level=level, page=page)
        elif _BULLET.match(lines[at]):
            end = _add_list(composer, lines, at, (usual, page))
        else:
            end = _paragraph_end(lines, at, usual)
            composer.add(BlockKind.PARAGRAPH, " ".join(lines[at:end]), page=page)
        at = end


def _add_list(composer: Composer, lines: list[str], at: int, layout: tuple[int, int]) -> int:
    """Append the items that follow each other from here; return the index after the last."""
    usual, page = layout
    items = []
    while at < len(lines) and _BULLET.match(lines[at]) and not _table_end(lines, at):
        end = _paragraph_end(lines, at, usual)
        items.append(" ".join(lines[at:end]))
        at = end
    composer.add(BlockKind.LIST, "\n".join(items), page=page)
    return at


def _run_end(lines: list[str], start: int, belongs: Callable[[int], bool]) -> int:
    return next((i for i in range(start + 1, len(lines)) if not belongs(i)), len(lines))


def _paragraph_end(lines: list[str], start: int, usual: int) -> int:
    """Return where the paragraph ends: at a blank, after a short line, before a new beginning."""
    end = start + 1
    while end < len(lines) and lines[end]:
        above, line = lines[end - 1], lines[end]
        begins = line[0].isupper() or line[0].isdigit() or not line[0].isalnum()
        limit = 0.9 if above[-1] in ".!?:;" else 0.6
        if begins and len(above) < limit * usual:
            break
        if _BULLET.match(line) or _heading_level(line) or _LEADERS.search(line):
            break
        if _table_end(lines, end):
            break
        end += 1
    return end


def _table_end(lines: list[str], start: int) -> int:
    """Return the index after a run of two or more rows of figures; 0 if none starts here.

    Column heads above the rows and lines of words between them (a group's name, the first
    half of a long label) belong to the table.
    """
    first = _first_row(lines, start)
    if first is None:
        return 0
    end, index, num_rows = first + 1, first + 1, 1
    while index < len(lines):
        if _is_row(lines[index]):
            num_rows += 1
            end = index + 1
        elif index > end or not lines[index] or lines[index][-1] == ".":
            break
        index += 1
    return end if num_rows > 1 else 0


def _first_row(lines: list[str], start: int) -> int | None:
    """Return the first row of figures, if only column heads, then few group names lead to it."""
    num_names = 0
    for index in range(start, min(len(lines), start + _MAX_HEAD_LINES)):
        line = lines[index]
        if _is_row(line):
            return index
        if not _is_column_head(line):
            num_names += 1
            if index == start or num_names > 2 or not 0 < len(line) <= 40 or line[-1] == ".":
                return None
    return None


def _is_column_head(line: str) -> bool:
    fits = 0 < len(line) <= 70 and not _heading_level(line)
    return fits and bool(_COLUMN_HEAD.search(line))


def _is_row(line: str) -> bool:
    words = line.split()
    is_figure = [_NUMBER.fullmatch(word) is not None for word in words]
    figures = sum(is_figure)
    in_columns = figures >= 0.25 * len(words) or all(is_figure[-2:])
    return figures >= 2 and in_columns and not _LEADERS.search(line)


def _heading_level(line: str) -> int:
    """Return the level of the heading on this line; 0 if it is none."""
    words = line.split()
    if not 3 <= len(line) <= _TITLE_CHARS or len(words) > 14 or _LEADERS.search(line):
        return 0
    if line[-1] in ".,;-" and not line.isupper():
        return 0
    if found := _NUMBERED.match(line):
        depth = found.group(1).count(".") + 1
        return 0 if len(words) > 12 or _is_row(line) else min(depth + 1, 6)
    if (found := _NAMED.match(line)) and line[0].isupper():
        return _NAMED_LEVELS.get(found.group(1).lower(), 2)
    name = _PARENTHESIS.sub("", line)
    letters = sum(char.isalpha() for char in name)
    shouts = letters >= 4 and name.isupper() and letters > 0.6 * len(name.replace(" ", ""))
    return 3 if shouts and not _is_row(line) else 0


def _first_title(composer: Composer) -> str:
    """Return the first page's first heading, or its first short line."""
    first = [block for block in composer.blocks[:6] if block.page == composer.blocks[0].page]
    texts = composer.texts(len(first))
    headings = (t for b, t in zip(first, texts, strict=True) if b.kind is BlockKind.HEADING)
    candidates = [*headings, *texts[:1]]
    return next((text for text in candidates if len(text) <= _TITLE_CHARS), "")
