"""Found chunks on their way to becoming passages: read once, then kept, joined and cut."""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from steelyard.core.chat import Passage
from steelyard.core.documents import Chunk, StoredChunk
from steelyard.core.protocols import Tokenizer
from steelyard.core.sentences import split_sentences
from steelyard.core.words import bigrams, content_stems, names, negations, numbers, stem, stems

_MAX_READ = 512  # texts remembered, some 15 KB each


class Reading:
    """What a text says, as far as rules can see it; nothing here depends on a question.

    Each part is read when it is first asked for.
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self._text = text
        self._tokenizer = tokenizer

    @cached_property
    def sentences(self) -> list[tuple[int, int]]:
        return split_sentences(self._text)

    @cached_property
    def words(self) -> list[frozenset[str]]:
        """Return the content stems of each sentence."""
        return [frozenset(content_stems(self._text[start:end])) for start, end in self.sentences]

    @cached_property
    def stems(self) -> list[str]:
        """Return the stems of all words, in order."""
        return stems(self._text)

    @cached_property
    def phrases(self) -> frozenset[object]:
        """Return the stems of all words, and all pairs of neighbours among them."""
        return frozenset(self.rarest)

    @cached_property
    def rarest(self) -> list[object]:
        """Return the phrases, each once, those first that few other texts have: the pairs."""
        return [*bigrams(self.stems), *set(self.stems)]

    @cached_property
    def facts(self) -> frozenset[str]:
        """Return the numbers, the stems of names, and the negations."""
        text = self._text
        return frozenset(numbers(text) | set(map(stem, names(text))) | negations(text))

    @cached_property
    def token_starts(self) -> "array[int]":
        """Return where each token begins, in order."""
        return array("I", [start for start, _ in self._tokenizer.offsets(self._text)])


class Reader:
    """Reads texts; the same chunks are found again and again, so it remembers them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._read = lru_cache(maxsize=_MAX_READ)(lambda text: Reading(text, tokenizer))
        self._count = lru_cache(maxsize=_MAX_READ)(lambda text: tokenizer.count([text])[0])

    def whole(self, chunk: StoredChunk, *, score: float, joined: bool = False) -> "Excerpt":
        """Return all of a chunk as an excerpt."""
        reading = self._read(chunk.text)
        return Excerpt(
            chunk=chunk,
            score=score,
            reading=reading,
            end=len(chunk.text),
            num_tokens=self._num_tokens(chunk, reading),
            joined=joined,
        )

    def _num_tokens(self, chunk: StoredChunk, reading: Reading) -> int:
        """Count the text alone; what ingestion counted has title and headings in it."""
        if chunk.num_tokens == 0:
            return len(reading.token_starts)
        path = Chunk(0, 0, 0, "", heading=chunk.heading).embedded_text(chunk.title)
        return max(1, chunk.num_tokens - self._count(path))


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`chunk.text[:end]`, its tokens, and what was read in all of the chunk's text.

    `joined`: it was not found itself, but stands beside what was.
    """

    chunk: StoredChunk
    score: float
    reading: Reading
    end: int
    num_tokens: int
    joined: bool = False

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
        """Return the content stems of title and headings, and all of the text."""
        return self.above.union(self.reading.stems)

    def cut(self, end: int) -> "Excerpt":
        """Return its beginning, up to a place in the text."""
        tokens = bisect_left(self.reading.token_starts, end)
        return replace(self, end=end, num_tokens=min(tokens, self.num_tokens))

    def passage(self, n: int) -> Passage:
        chunk = self.chunk
        return Passage(
            n=n,
            chunk_id=chunk.chunk_id,
            document_id=chunk.document_id,
            uri=chunk.uri,
            title=chunk.title,
            text=chunk.text[: self.end],
            start=chunk.start,
            end=chunk.start + self.end,
            score=self.score,
            heading=chunk.heading,
            page=chunk.page,
            num_tokens=self.num_tokens,
        )


def num_tokens(excerpts: Sequence[Excerpt]) -> int:
    return sum(each.num_tokens for each in excerpts)


@lru_cache(maxsize=_MAX_READ)
def _content(text: str) -> frozenset[str]:
    return frozenset(content_stems(text))
