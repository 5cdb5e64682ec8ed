"""Citation marks in an answer's text: `[2]`, and the sentences that they belong to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.core.sentences import split_sentences

# [1], [1, 2], [1-3], [^1], [Source 1] and the same in lenticular brackets.
MARK = re.compile(
    r"[\[【]\s*\^?(?:sources?\s+|passages?\s+)?(\d{1,3}(?:\s*(?:[,;–-]|and|&)\s*\d{1,3})*)"
    r"(?:\s*†[^\]】]{0,40})?\s*[\]】](?!\()",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class MarkedSentence:
    """A sentence of an answer without its marks, its place `[start, end)` in the answer with
    them, and the numbers that it cites, in order."""

    text: str
    start: int
    end: int
    cited: tuple[int, ...]


def without_marks(text: str) -> str:
    """Return `text` with a space in the place of each mark."""
    return MARK.sub(" ", text)


def renumbered(text: str, numbers: Mapping[int, int]) -> str:
    """Return `text` whose marks cite by other numbers; what has none is cited no more."""

    def mark(found: re.Match[str]) -> str:
        new = dict.fromkeys(numbers[n] for n in numbers_of(found.group(1)) if n in numbers)
        return "".join(f"[{n}]" for n in new)

    return re.sub(r"[ \t]+(?=$|[.,;:!?\n])", "", MARK.sub(mark, text)).strip()


def marked_sentences(text: str) -> list[MarkedSentence]:
    """Cut an answer into sentences and take their marks out of them."""
    marks = list(MARK.finditer(text))
    plain = text
    for mark in marks:  # in one form and of the same length, for the splitter to know
        width = mark.end() - mark.start()
        plain = plain[: mark.start()] + "[1]".ljust(width)[:width] + plain[mark.end() :]
    sentences: list[MarkedSentence] = []
    for start, end in _joined_spans(plain, split_sentences(plain)):
        here = [mark for mark in marks if start <= mark.start() < end]
        bare = text[start:end]
        for mark in reversed(here):
            bare = bare[: mark.start() - start] + " " + bare[mark.end() - start :]
        cited = [n for mark in here for n in numbers_of(mark.group(1))]
        if here:
            end = max(end, here[-1].end())
        sentences.append(MarkedSentence(bare.strip(), start, end, tuple(dict.fromkeys(cited))))
    return sentences


def _joined_spans(plain: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return `spans` with those that hold nothing but marks added to the one before."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and not re.sub(r"\[1\]|[\s.,;]", "", plain[start:end]):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def numbers_of(listed: str) -> list[int]:
    """Return the numbers of "1, 3-5"; a range is cut where it gets absurd."""
    found: list[int] = []
    for part in re.split(r"[,;&]|and", listed):
        ends = [int(end) for end in re.split(r"[–-]", part) if end.strip()]
        if len(ends) == 2 and ends[0] < ends[1] <= ends[0] + 20:
            found += range(ends[0], ends[1] + 1)
        else:
            found += ends
    return found
