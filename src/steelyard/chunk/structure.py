"""Documents cut along their structure, under a token budget."""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise, takewhile

from steelyard.chunk.options import ChunkOptions
from steelyard.chunk.packing import Packer, Piece
from steelyard.chunk.tokens import TokenMap
from steelyard.chunk.units import Unit, outline, trimmed
from steelyard.core.documents import Chunk, Parsed
from steelyard.core.protocols import Tokenizer
from steelyard.core.sentences import split_sentences

CHUNKER_VERSION = "structure-1"

_CACHED_PATHS = 4096
_SPACES = re.compile(r"\s+")


class StructureChunker:
    """Cuts at headings, then between blocks, then between sentences, then between words.

    Chunks follow each other and hold every character of the text that is not white space once,
    apart from the overlap asked for. `max_tokens` holds for each chunk with its title and
    heading path; of long ones, as much is kept as takes half the budget, innermost first. Only
    a title that alone takes more than half makes chunks go beyond, by as much.
    """

    def __init__(self, tokenizer: Tokenizer, options: ChunkOptions | None = None) -> None:
        """`tokenizer` is the embedder's."""
        self._tokenizer = tokenizer
        self.options = options or ChunkOptions()

    def chunk(self, parsed: Parsed) -> list[Chunk]:
        """Cut a document into chunks in reading order; an empty text gives none."""
        return _Cut(parsed, self._tokenizer, self.options).chunks()


class _Cut:
    """One document on its way through the chunker."""

    def __init__(self, parsed: Parsed, tokenizer: Tokenizer, options: ChunkOptions) -> None:
        self._parsed = parsed
        self._text = parsed.text
        self._tokenizer = tokenizer
        self._options = options
        self._half = options.max_tokens // 2
        self._tokens = TokenMap(parsed.text, tokenizer)
        self._fitted = lru_cache(_CACHED_PATHS)(self._fit)

    def chunks(self) -> list[Chunk]:
        packer = Packer(
            self._text,
            self._tokens,
            room=lambda unit: self._room(_path([unit])) - self._options.overlap_tokens,
            min_tokens=self._options.min_tokens,
        )
        pieces = packer.pack(outline(self._parsed))
        chunks = self._overlapping(self._within_budget([self._chunk(piece) for piece in pieces]))
        return [replace(chunk, ordinal=ordinal) for ordinal, chunk in enumerate(chunks)]

    def _chunk(self, piece: Piece) -> Chunk:
        start, end = trimmed(self._text, piece[0].start, piece[-1].end)
        heading = self._fitted(_path(piece))[0]
        return Chunk(0, start, end, self._text[start:end], heading=heading, page=piece[0].page)

    def _room(self, path: tuple[str, ...]) -> int:
        """Return how many tokens a passage under `path` may have."""
        return max(self._options.max_tokens - self._fitted(path)[1], self._half)

    def _fit(self, path: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
        """Return the part of `path` that is kept, and its tokens with the title's."""
        while True:
            size = self._tokenizer.count([_context(path, self._parsed.title)])[0]
            if size <= self._half or not path:
                return path, size
            if len(path) > 1:
                path = path[1:]
                continue
            name = path[0]
            path = (name[: len(name) // 2].rstrip(),) if len(name) > 1 else ()

    def _limit(self, chunk: Chunk) -> int:
        return self._fitted(chunk.heading)[1] + self._room(chunk.heading)

    def _count(self, chunks: list[Chunk]) -> list[int]:
        return self._tokenizer.count([chunk.embedded_text(self._parsed.title) for chunk in chunks])

    def _overlapping(self, chunks: list[Chunk]) -> list[Chunk]:
        """Let each chunk begin with the end of the one before, inside a section."""
        if self._options.overlap_tokens == 0:
            return chunks
        longer = [
            self._reaching_back(before, chunk) if chunk.heading == before.heading else chunk
            for before, chunk in pairwise(chunks)
        ]
        counts = self._count(longer)
        return chunks[:1] + [
            replace(new, num_tokens=count) if count <= self._limit(new) else old
            for old, new, count in zip(chunks[1:], longer, counts, strict=True)
        ]

    def _reaching_back(self, before: Chunk, chunk: Chunk) -> Chunk:
        earliest = max(before.start, self._overlap_start(chunk.start))
        start, _ = trimmed(self._text, earliest, chunk.end)
        return replace(chunk, start=start, text=self._text[start : chunk.end])

    def _overlap_start(self, position: int) -> int:
        """Return the first sentence start, or else word start, inside the overlap."""
        earliest = self._tokens.before(position, self._options.overlap_tokens)
        tail = self._text[earliest:position]
        for start, _ in split_sentences(tail)[1:]:
            return earliest + start
        if earliest == 0 or self._text[earliest - 1].isspace():
            return earliest
        space = _SPACES.search(tail)
        return earliest + space.end() if space else position

    def _within_budget(self, chunks: list[Chunk]) -> list[Chunk]:
        """Count what is embedded exactly, and halve what a cut inside a word made too long."""
        kept: list[Chunk] = []
        todo = chunks
        while todo:
            halves: list[Chunk] = []
            for chunk, num_tokens in zip(todo, self._count(todo), strict=True):
                if num_tokens <= self._limit(chunk) or len(chunk.text) == 1:
                    kept.append(replace(chunk, num_tokens=num_tokens))
                else:
                    halves.extend(self._halves(chunk))
            todo = halves
        return sorted(kept, key=lambda chunk: (chunk.start, chunk.end))

    def _halves(self, chunk: Chunk) -> Iterable[Chunk]:
        size = self._tokens.count(chunk.start, chunk.end)
        middle = self._tokens.cut(chunk.start, chunk.end, max(1, size // 2))
        if middle >= chunk.end:
            middle = (chunk.start + chunk.end) // 2
        for begin, stop in ((chunk.start, middle), (middle, chunk.end)):
            start, end = trimmed(self._text, begin, stop)
            if start < end:
                yield replace(chunk, start=start, end=end, text=self._text[start:end])


def _path(units: Piece | list[Unit]) -> tuple[str, ...]:
    """Return the headings that hold for all units, then the columns of a table that goes on."""
    paths = {unit.path for unit in units}
    names = zip(*paths, strict=False)
    path = tuple(same[0] for same in takewhile(lambda names: len(set(names)) == 1, names))
    columns = units[0].columns
    return (*path, columns) if columns else path


def _context(path: tuple[str, ...], title: str) -> str:
    """Return what is embedded in front of a passage."""
    return Chunk(0, 0, 0, "", heading=path).embedded_text(title)
