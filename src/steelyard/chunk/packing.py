"""Units packed into pieces under a token budget: one pass, each unit is looked at once or twice."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from steelyard.chunk.tokens import TokenMap
from steelyard.chunk.units import Unit, break_unit
from steelyard.core.documents import BlockKind

_WORD_PIECES = 8  # a sentence beyond the budget is cut into pieces of an eighth of it
_WHOLE = (BlockKind.TABLE, BlockKind.CODE)  # kept whole even behind a very short piece

Piece = tuple[Unit, ...]  # consecutive units that become one chunk


class Packer:
    """Packs the units of one document greedily, a section at a time.

    A heading stays with what follows it. A piece of fewer than `min_tokens` takes in the next
    section, if that is not of a higher rank, or the first sentences of a paragraph that does
    not fit. A short last piece of a section is evened out with the piece before it.
    """

    def __init__(
        self, text: str, tokens: TokenMap, *, room: Callable[[Unit], int], min_tokens: int
    ) -> None:
        """`room` tells how many tokens a piece that begins with a unit may have; 1 or more."""
        self._text = text
        self._tokens = tokens
        self._room = room
        self._min_tokens = min_tokens
        self._current: list[Unit] = []
        self._full: Piece = ()  # the piece before, if the section goes on in the current one
        self._done: list[Piece] = []

    def pack(self, units: Iterator[Unit]) -> list[Piece]:
        waiting = [units]
        while waiting:
            unit = next(waiting[-1], None)
            if unit is None:
                waiting.pop()
                continue
            if self._parts_before(unit):
                self._end_section()
            if self._fits(unit):
                self._current.append(unit)
                continue
            smaller = self._smaller(unit)
            if smaller is None:
                self._end_piece()
                smaller = iter((unit,))
            waiting.append(smaller)
        self._end_section()
        return self._done

    def _parts_before(self, unit: Unit) -> bool:
        if not self._current:
            return False
        first, last = self._current[0], self._current[-1]
        if unit.heading and unit.level < first.level:
            return True
        opens = unit.heading and not (last.heading and unit.step > 0)  # not a long one's rest
        if not opens and unit.part_of == last.part_of:
            return False
        if all(one.heading for one in self._current):
            return False
        return bool(self._full) or self._size(self._current) >= self._min_tokens

    def _fits(self, unit: Unit) -> bool:
        first = self._current[0] if self._current else unit
        return self._tokens.count(first.start, unit.end) <= self._room(first)

    def _smaller(self, unit: Unit) -> Iterator[Unit] | None:
        """Return the parts of a unit that does not fit; None: it shall begin the next piece."""
        room = self._room(unit)
        by_words = max(1, room // _WORD_PIECES)
        if self._tokens.count(unit.start, unit.end) > room:
            unit = replace(unit, part_of=(unit.start, unit.end))
            return break_unit(unit, self._text) or self._words(unit, by_words)
        size = self._size(self._current)
        if all(one.heading for one in self._current):
            if size > room // 2:
                return None
            return break_unit(unit, self._text) or self._words(unit, by_words)
        if size >= self._min_tokens or unit.kind in _WHOLE:
            return None
        return break_unit(unit, self._text)

    def _words(self, unit: Unit, num_tokens: int) -> Iterator[Unit] | None:
        if self._tokens.cut(unit.start, unit.end, num_tokens) >= unit.end:
            return None
        return self._cut(unit, num_tokens)

    def _cut(self, unit: Unit, num_tokens: int) -> Iterator[Unit]:
        start = unit.start
        while start < unit.end:
            end = self._tokens.cut(start, unit.end, num_tokens)
            if self._text[start:end].strip():
                yield replace(unit, start=start, end=end)
            start = end

    def _end_piece(self) -> None:
        """Close the current piece in the middle of a section; its last headings go on."""
        kept = len(self._current)
        while kept and self._current[kept - 1].heading:
            kept -= 1
        kept = kept or len(self._current)
        self._keep_full()
        self._full = tuple(self._current[:kept])
        self._current = self._current[kept:]

    def _end_section(self) -> None:
        if self._full and self._current and self._size(self._current) < self._min_tokens:
            self._even_out()
        self._keep_full()
        if self._current:
            self._done.append(tuple(self._current))
        self._current = []

    def _keep_full(self) -> None:
        if self._full:
            self._done.append(self._full)
        self._full = ()

    def _even_out(self) -> None:
        """Move the border between the last two pieces to where they differ least in size."""
        units = [*self._full, *self._current]
        room = self._room(units[0])
        best, least = len(self._full), self._size(self._full) - self._size(self._current)
        for at in range(len(self._full) - 1, 0, -1):
            left, right = self._size(units[:at]), self._size(units[at:])
            if right > min(room, self._room(units[at])) or units[at - 1].heading:
                break
            if abs(left - right) < least:
                best, least = at, abs(left - right)
        self._full, self._current = tuple(units[:best]), units[best:]

    def _size(self, units: Sequence[Unit]) -> int:
        return self._tokens.count(units[0].start, units[-1].end)
