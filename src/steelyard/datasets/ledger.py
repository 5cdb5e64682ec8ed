"""What is wrong with a set's files: faults that are fatal, all at once, and faults that count."""

from dataclasses import dataclass, field

from steelyard.core.errors import InputError

SHOWN_FAULTS = 20
_SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True)
class Place:
    """A row of a file as a person finds it: line or item, from 1; 0: the file as a whole."""

    file: str
    number: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.number}" if self.number else self.file


@dataclass(slots=True)
class Ledger:
    """Collects while files are read; `check` raises for all faults together.

    The first `keep` faults are kept; `check` shows 20 of them.
    """

    keep: int = SHOWN_FAULTS
    _faults: list[str] = field(default_factory=list)
    num_faults: int = 0
    _counted: dict[str, tuple[int, str]] = field(default_factory=dict)
    _notes: list[str] = field(default_factory=list)

    def fault(self, place: Place, problem: str) -> None:
        """Keep a fault with which no result can be trusted; name the field in `problem`."""
        self.num_faults += 1
        if len(self._faults) < self.keep:
            self._faults.append(f"{place}: {problem}")

    def count(self, problem: str, example: object, *, times: int = 1) -> None:
        """Count a fault that was mended or left out; the first `example` is shown."""
        times_before, first = self._counted.get(problem, (0, shown(example)))
        self._counted[problem] = (times_before + times, first)

    def counted(self, problem: str) -> int:
        return self._counted.get(problem, (0, ""))[0]

    def note(self, sentence: str) -> None:
        if sentence not in self._notes:
            self._notes.append(sentence)

    def check(self, what: str) -> None:
        """Raise if there was a fault.

        Raises:
            InputError: the first 20 faults, one a line, and how many more there are.
        """
        if not self.num_faults:
            return
        first = self._faults[:SHOWN_FAULTS]
        more = self.num_faults - len(first)
        lines = [*first, f"... and {more:,} more"] if more else first
        counted = "1 fault" if self.num_faults == 1 else f"{self.num_faults:,} faults"
        raise InputError(f"{what} has {counted}; repair and try again:\n  " + "\n  ".join(lines))

    def faults(self) -> tuple[str, ...]:
        """Return the faults that were kept, in the order in which they were found."""
        return tuple(self._faults)

    def notes(self) -> tuple[str, ...]:
        """Return every note as a sentence, counted ones with their number and first place."""
        sentences = [
            f"{problem}: {times:,} (first: {first})"
            for problem, (times, first) in self._counted.items()
        ]
        return (*self._notes, *sentences)


def shown(value: object) -> str:
    """Return a value as a message shows it: on one line, short."""
    text = str(value) if isinstance(value, Place) else repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
