"""What the extractive answerer may quote: sentences, list items, table rows, code lines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.core.chat import Passage
from steelyard.core.sentences import split_sentences
from steelyard.core.words import content_stems, fold, numbers, stems

_LONG = 320  # characters; a longer piece that has lines (code, a listing) is quoted by line
_LONGEST = 1200  # a longer sentence is no answer
_RULE_ROW = re.compile(r"\|?[\s:|+=-]+\|?\s*")
_HEADING = re.compile(r"(?:#{1,6}|={1,6})\s")
_UNDERLINED = re.compile(r"\n[=~^\"'*+#-]{3,}\s*$")
_HEADING_WORDS = 6
_ITEM = re.compile(r"(?:[-*+•▪◦‣–.]|\d{1,3}[.)]|[a-z][.)])\s")
_LONGEST_LIST = 600


@dataclass(frozen=True, slots=True)
class Candidate:
    """A quotable piece: `passages[place].text[start:end]` is `text`, word for word.

    `before` is the stems of the piece in front of it, `context` those of what stands above it:
    title, headings, and for a table's row the table's first row. `embedded` is what an embedder
    should see: a row says little without the names of its columns. `order` counts in its passage.
    """

    place: int
    start: int
    end: int
    order: int
    text: str
    embedded: str
    words: frozenset[str]
    before: frozenset[str]
    context: frozenset[str]


def candidates(passages: Sequence[Passage]) -> list[Candidate]:
    """Return all quotable pieces, in order; a text that two passages share comes once."""
    found: list[Candidate] = []
    seen: set[str] = set()
    for place, passage in enumerate(passages):
        for candidate in _of_passage(place, passage):
            key = " ".join(candidate.text.split()).casefold()
            if key not in seen:
                seen.add(key)
                found.append(candidate)
    return found


def _of_passage(place: int, passage: Passage) -> list[Candidate]:
    """Read a passage from top to bottom; what only announces (a heading, the first row of a
    table, a question) is kept as context for what follows and not offered itself."""
    above = frozenset(stems("\n".join((passage.title, *passage.heading))))
    titles = {fold(title) for title in (passage.title, *passage.heading)}
    found: list[Candidate] = []
    before = heading = frozenset[str]()
    header = lead = ""
    last_row_end = -1
    for start, end in _with_lists(passage.text, _pieces(passage.text)):
        text = passage.text[start:end]
        words = frozenset(stems(text))
        is_row = text.startswith("|")
        names_columns = is_row and passage.text[last_row_end:start].count("\n") != 1
        header = (_columns(passage) or text) if names_columns else header if is_row else ""
        last_row_end = end if is_row else -1
        is_head = names_columns and bool(_RULE_ROW.fullmatch(_line_after(passage.text, end)))
        if _is_heading(text, titles, alone=_line_after(passage.text, end).strip() == ""):
            heading, lead = words, ""
        elif text.endswith("?"):
            before, lead = words, text
        elif not is_head and _says_something(text):
            context = above | heading | frozenset(stems(header))
            known = _columns(passage) if names_columns else header
            embedded = "\n".join(part for part in (known, lead, text) if part)
            order = len(found)
            found.append(
                Candidate(place, start, end, order, text, embedded, words, before, context)
            )
            before, lead = words, ""
    return found


def _columns(passage: Passage) -> str:
    """Return the names of the columns, where the passage goes on with a table begun before it:
    they are the last of its headings then. "" elsewhere."""
    if not passage.text.startswith("|") or not passage.heading:
        return ""
    return passage.heading[-1] if " | " in passage.heading[-1] else ""


def _is_heading(text: str, titles: set[str], *, alone: bool) -> bool:
    """Tell whether `text` only names what follows; `alone`: an empty line comes behind it."""
    if _HEADING.match(text) or _UNDERLINED.search(text):
        return True
    plain = text.strip("*_#=:. ")
    if fold(plain) in titles:
        return True
    is_short = len(plain.split()) <= _HEADING_WORDS and "\n" not in text
    if not is_short or any(map(str.isdigit, plain)) or text.startswith("|"):
        return False
    return plain.isupper() or (alone and not _ITEM.match(text) and text[-1].isalnum())


def _with_lists(text: str, pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return `pieces` with each lead-in ("... are fulfilled:") stretched over its list.

    The items stay pieces of their own, too.
    """
    stretched = list(pieces)
    for i, (start, end) in enumerate(pieces):
        if text[end - 1] != ":":
            continue
        for item_start, item_end in pieces[i + 1 :]:
            if not _ITEM.match(text, item_start) or item_end - start > _LONGEST_LIST:
                break
            stretched[i] = (start, item_end)
    return stretched


def _line_after(text: str, end: int) -> str:
    """Return the line below the one that ends at `end`; "" if there is none."""
    return text[end:].partition("\n")[2].partition("\n")[0]


def _pieces(text: str) -> list[tuple[int, int]]:
    pieces: list[tuple[int, int]] = []
    for start, end in split_sentences(text):
        is_code = text.startswith(("```", "~~~"), start)
        if not is_code and (end - start <= _LONG or "\n" not in text[start:end]):
            pieces.append((start, end))
            continue
        for line in re.finditer(r"[^\n]+", text[start:end]):
            stripped = line.group().strip()
            if stripped and not stripped.startswith(("```", "~~~")):
                at = start + line.start() + line.group().index(stripped)
                pieces.append((at, at + len(stripped)))
    return pieces


def _says_something(text: str) -> bool:
    if len(text) > _LONGEST or _RULE_ROW.fullmatch(text):
        return False
    return len(content_stems(text)) >= 2 or bool(numbers(text))
