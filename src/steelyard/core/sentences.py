"""Where the sentences of a text begin and end, by rule: no model, no dictionary, one pass."""

import re

_CLOSERS = r"[\"'”’»)\]}*_`）」』】》〉]"
_BOUNDARY = re.compile(
    # A line that stands alone: a Markdown heading, a table row.
    r"(?P<whole>^[^\S\n]*+(?:#{1,6}[^\S\n]|\|)[^\n]*+)"
    # The underline of a heading, or a rule: what is above it ends with it.
    r"|(?P<rule>^(?:={3,}+|-{3,}+|~{3,}+|\*{3,}+|_{3,}+|\+{3,}+)[^\S\n]*+$)"
    # A line that begins something new: an empty one, a list item, a quotation, a fence.
    r"|(?P<line>\n(?=[^\S\n]*+(?:\n|[-*+•▪◦‣–][^\S\n]|\d{1,3}[.)][^\S\n]|>|```|~~~)))"
    # Full stops that need no space behind them: CJK, Devanagari, Arabic, Armenian, Burmese.
    rf"|(?P<wide>[。！？｡।॥۔؟։။]++{_CLOSERS}*+)"
    rf"|(?P<stop>[.!?…]++){_CLOSERS}*+(?P<marks>(?:\[\d{{1,3}}\])*+)",
    re.MULTILINE,
)
_LATE_MARKS = re.compile(r"(?: ?\[\d{1,3}\])++(?=\s|\Z)")
_MARK = re.compile(r"\[\d{1,3}\]")
_SPACE = re.compile(r"\s*+")
_OPENERS = "\"'“‘«(¿¡*_`（「『"
_WORD_WINDOW = 24  # characters looked at before a full stop; no abbreviation is longer


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\S+", text))


# More of the same sentence follows, whatever it begins with.
_LEADING = _words(
    """mr mrs ms mx dr prof rev hon gen col lt capt sgt maj sen rep gov pres st mt ft cf viz vs v
    e.g i.e eg ie approx ca resp esp incl excl eds trans"""
)
# A number follows, or the sentence ends.
_NUMBERED = _words("no nos fig figs eq eqs sec ch chap vol pp p art op ed tel ref refs ser tab pt")
# Usually inside a sentence, but they may also close one: an upper-case letter decides.
_TRAILING = _words(
    """etc inc ltd co corp llc plc jr sr bros dept govt univ assn est al ibid jan feb mar apr jun
    jul aug sept sep oct nov dec mon tue wed thu fri sat sun min max avg temp hr hrs sq ave blvd
    rd"""
)
# Words that open a sentence: an initial or "U.S." before them did close one.
_STARTERS = _words(
    """The This That These Those It Its He She They We You I In On At For From By As If When While
    After Before But And Or So However There Here Then A An His Her Their Our My What Why How Who
    Where Although Because Since Each Every All No Not"""
)


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Return the trimmed `(start, end)` spans of the sentences of `text`, in order.

    Together the spans hold every character that is not white space; none is empty. Headings,
    table rows, list items and paragraphs end a sentence, single line breaks do not. A citation
    mark behind the full stop ("... in May. [2]") belongs to the sentence before it. Time is
    linear in the length of the text.
    """
    spans: list[tuple[int, int]] = []
    start = _SPACE.match(text, 0).end()  # type: ignore[union-attr]  # matches emptiness too
    for match in _BOUNDARY.finditer(text):
        if match.end() <= start:
            continue
        if match["whole"] is not None and match.start() > start:
            start = _close(spans, text, start, match.start())
        if match["stop"] is not None and not _ends_sentence(text, start, match):
            continue
        start = _close(spans, text, start, _end_with_marks(text, start, match))
    _close(spans, text, start, len(text))
    return spans


def _close(spans: list[tuple[int, int]], text: str, start: int, end: int) -> int:
    """Add `[start, end)` without white space around it; return where the next one starts."""
    while end > start and text[end - 1].isspace():
        end -= 1
    if end > start:
        spans.append((start, end))
    return _SPACE.match(text, max(start, end)).end()  # type: ignore[union-attr]


def _end_with_marks(text: str, start: int, match: re.Match[str]) -> int:
    end = match.end()
    if match["line"] is not None or _MARK.match(text, start):  # a list of references
        return end
    late = _LATE_MARKS.match(text, end)
    return late.end() if late else end


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    """Tell whether a full stop, or a run of such marks, closes the sentence begun at `start`."""
    end = match.end()
    if end == len(text):
        return True
    if not text[end].isspace():
        return False  # a decimal, a version, a file name, a URL
    following = _SPACE.match(text, end).end()  # type: ignore[union-attr]
    opener = following
    while opener < len(text) and opener < following + 4 and text[opener] in _OPENERS:
        opener += 1
    lower = opener < len(text) and text[opener].islower()
    if match["stop"] != ".":  # "Stop!" he said; and so on ... and on
        return not lower
    stop = match.start()
    word = _word_before(text, max(start, stop - _WORD_WINDOW), stop)
    if not word:
        return True  # the stop of tokenised text: "the end . the next"
    if stop - len(word) == start and word.isdigit():
        return False  # "1. First"
    return _word_closes(word, lower=lower, following=text[opener : opener + 12])


def _word_before(text: str, low: int, stop: int) -> str:
    begin = stop
    while begin > low and not text[begin - 1].isspace():
        begin -= 1
    return text[begin:stop].lstrip("([{\"'“‘*_`")


def _word_closes(word: str, *, lower: bool, following: str) -> bool:
    """Tell whether "`word`." closes a sentence before a text that begins with `following`."""
    plain = word.lower()
    if plain in _LEADING:
        return False
    if plain in _NUMBERED:
        return not following[:1].isdigit()
    if plain in _TRAILING:
        return following[:1].isupper()
    initial = len(word) == 1 and word.isupper() and word != "I"
    if initial or re.fullmatch(r"(?:[^\W\d_]\.)+[^\W\d_]", word):  # J., U.S, p.m
        next_word = re.match(r"\w*", following)
        return next_word is not None and next_word.group() in _STARTERS
    if lower:
        return len(word) > 3 and word[-1].isalnum()
    return True
