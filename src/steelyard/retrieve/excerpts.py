"""Found chunks on their way to becoming passages: read once, then kept, joined and cut."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from steelyard.core.chat import Passage
from steelyard.core.documents import StoredChunk
from steelyard.core.protocols import Tokenizer
from steelyard.core.sentences import split_sentences
from steelyard.core.words import bigrams, content_stems, names, negations, numbers, stem, stems

_MAX_READ = 2048  # texts remembered: some 8 MB


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says, as far as rules can see it; nothing here depends on a question.

    `sentences` and `words` go together: the spans, and the content stems of each. `phrases` are
    the stems of all words and of all neighbouring pairs; `facts` its numbers, stems of names,
    and negations. `token_starts` is where each token begins, in order.
    """

    sentences: tuple[tuple[int, int], ...]
    words: tuple[frozenset[str], ...]
    phrases: frozenset[str | tuple[str, str]]
    facts: frozenset[str]
    token_starts: tuple[int, ...]


class Reader:
    """Reads texts; the same chunks are found again and again, so it remembers them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.read = lru_cache(maxsize=_MAX_READ)(self._read)

    def _read(self, text: str) -> Reading:
        sentences = tuple(split_sentences(text))
        in_order = stems(text)
        return Reading(
            sentences=sentences,
            words=tuple(frozenset(content_stems(text[start:end])) for start, end in sentences),
            phrases=frozenset((*in_order, *bigrams(in_order))),
            facts=frozenset(numbers(text) | set(map(stem, names(text))) | negations(text)),
            token_starts=tuple(start for start, _ in self._tokenizer.offsets(text)),
        )


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`chunk.text[start:end]` with what was read in all of the chunk's text.

    `joined`: it was not found itself, but stands beside what was.
    """

    chunk: StoredChunk
    score: float
    reading: Reading
    start: int
    end: int
    joined: bool = False

    @property
    def num_tokens(self) -> int:
        starts = self.reading.token_starts
        return bisect_left(starts, self.end) - bisect_left(starts, self.start)

    @property
    def headings(self) -> frozenset[str]:
        """Return the content stems of the headings above it."""
        return _content("\n".join(self.chunk.heading))

    @property
    def above(self) -> frozenset[str]:
        """Return the content stems of title and headings."""
        return self.headings | _content(self.chunk.title)

    @property
    def says(self) -> frozenset[str]:
        """Return the content stems of title, headings and text."""
        return self.above.union(*self.reading.words)

    def cut(self, start: int, end: int) -> "Excerpt":
        return replace(self, start=start, end=end)

    def passage(self, n: int) -> Passage:
        chunk = self.chunk
        return Passage(
            n=n,
            chunk_id=chunk.chunk_id,
            document_id=chunk.document_id,
            uri=chunk.uri,
            title=chunk.title,
            text=chunk.text[self.start : self.end],
            start=chunk.start + self.start,
            end=chunk.start + self.end,
            score=self.score,
            heading=chunk.heading,
            page=chunk.page,
        )


def whole(chunk: StoredChunk, *, score: float, reader: Reader, joined: bool = False) -> Excerpt:
    """Return all of a chunk."""
    return Excerpt(chunk, score, reader.read(chunk.text), 0, len(chunk.text), joined)


def num_tokens(excerpts: Sequence[Excerpt]) -> int:
    return sum(each.num_tokens for each in excerpts)


@lru_cache(maxsize=_MAX_READ)
def _content(text: str) -> frozenset[str]:
    return frozenset(content_stems(text))
