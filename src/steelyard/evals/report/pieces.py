"""Texts cut for showing: an answer's marks and unsupported sentences, the gold in a passage."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from steelyard.core.chat import Answer, Citation, Passage
from steelyard.core.evaluation import GoldSpan, Question
from steelyard.core.marks import MARK

# A piece is a string, or [kinds, text]: u unsupported; or [kinds, text, n]: c a mark of source n.
Piece = str | list[object]
Place = list[int]  # [start, end) in UTF-16 units, as JavaScript counts
SHORTEST_ANSWER = 2  # letters; shorter gold answers would light half of a text


def answer_pieces(answer: Answer) -> list[Piece]:
    """Return the answer's text in pieces; joined, they are the text."""
    text = answer.text
    known = {source.n for source in answer.sources}
    marks = {place: n for hit in MARK.finditer(text) for place, n in _marks(hit) if n in known}
    loose = [(span.start, span.end) for span in answer.unsupported]
    cuts = sorted({0, len(text), *(at for place in (*marks, *loose) for at in place)})
    pieces: list[Piece] = []
    for start, end in pairwise(cuts):
        kinds = "u" if any(low <= start and end <= high for low, high in loose) else ""
        if (start, end) in marks:
            pieces.append([kinds + "c", text[start:end], marks[start, end]])
        else:
            pieces.append([kinds, text[start:end]] if kinds else text[start:end])
    return pieces


def _marks(hit: re.Match[str]) -> list[tuple[tuple[int, int], int]]:
    """Return the numbers of a mark with their places; a lone one's place is the whole mark."""
    numbers = list(re.finditer(r"\d+", hit.group(1)))
    if len(numbers) == 1:
        return [(hit.span(), int(numbers[0].group()))]
    at = hit.start(1)
    return [((at + one.start(), at + one.end()), int(one.group())) for one in numbers]


def quote_places(passage: Passage, citations: Iterable[Citation]) -> list[Place]:
    """Return where the passage is quoted."""
    found = (
        (one.start - passage.start, one.end - passage.start)
        for one in citations
        if one.n == passage.n and one.document_id == passage.document_id
    )
    inside = [(low, high) for low, high in found if 0 <= low < high <= len(passage.text)]
    return utf16(passage.text, inside)


def gold_places(passage: Passage, question: Question) -> list[Place]:
    """Return where the passage holds gold: its spans, or the answers where none is known."""
    text = passage.text
    found = [place for span in question.spans for place in _span_places(passage, span)]
    if not question.spans and passage.document_id in _right_documents(question, passage):
        for answer in question.answers:
            if len(answer.strip()) >= SHORTEST_ANSWER:
                pattern = rf"(?<!\w){_spaced(answer)}(?!\w)"
                found += (hit.span() for hit in re.finditer(pattern, text, re.IGNORECASE))
    return utf16(text, sorted(set(found)))


def _right_documents(question: Question, passage: Passage) -> set[str]:
    """Return the documents in which an answer's words are gold; without judgements, any."""
    right = {identity for identity, grade in question.relevant.items() if grade > 0}
    return right or {passage.document_id}


def _span_places(passage: Passage, span: GoldSpan) -> Iterator[tuple[int, int]]:
    """Yield the part of the span that lies in the passage: by offsets where they fit, else by
    its words, however they are spaced."""
    text, same = passage.text, span.document_id in ("", passage.document_id)
    if same and span.start is not None and span.end is not None:
        low, high = max(0, span.start - passage.start), min(len(text), span.end - passage.start)
        within = span.start - passage.start
        if low < high and text[low:high] == span.text[low - within : high - within]:
            yield low, high
            return
    if len(span.text.strip()) >= SHORTEST_ANSWER and same:
        hit = re.search(_spaced(span.text), text)
        if hit:
            yield hit.span()


def _spaced(words: str) -> str:
    return r"\s+".join(re.escape(word) for word in words.split())


def utf16(text: str, places: Sequence[tuple[int, int]]) -> list[Place]:
    """Return places in UTF-16 units."""
    if text.isascii() or not text or max(text) <= "\uffff":
        return [list(place) for place in places]
    return [[_units(text[:start]), _units(text[:end])] for start, end in places]


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
