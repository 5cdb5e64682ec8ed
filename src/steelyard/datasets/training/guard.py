"""Which hits may not be called wrong: the guard of mined negatives against false ones."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from steelyard.core.training import Retrieval, TrainingRow
from steelyard.core.words import content_stems, stated_numbers
from steelyard.datasets.training.signatures import shingles, words_of

SHINGLE_CHARS = 5
HELD = 0.8  # of the shorter text's runs that the longer one has
_SAYS_LITTLE = frozenset({"yes", "no", "true", "false", "none"})


class Guarded(StrEnum):
    """Why a hit is not taken, in the order in which it is asked."""

    DOCUMENT = "of a positive's document"
    POSITIVE = "nearly a positive"
    EQUAL = "right for an equal question"
    ANSWER = "says the answer"
    SPLIT = "right for a question of another split"
    SCORE = "scores as a positive does"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hit. `score` is on the scale of the positives' scores."""

    text: str
    document_id: str
    score: float


@dataclass(slots=True)
class _Right:
    """What is known to be right for a question."""

    texts: dict[str, set[bytes]] = field(default_factory=dict)
    documents: set[str] = field(default_factory=set)

    def add(self, row: TrainingRow) -> None:
        assert isinstance(row.example, Retrieval)
        for text in row.example.positives:
            self.texts[text] = runs_of(text)
        self.documents |= {*row.provenance.documents, *row.example.positives}


class Guard:
    """`answers` are accepted answers by question, as it is written; `splits` the split of each
    row, "" or left out: none."""

    def __init__(
        self,
        rows: Sequence[TrainingRow],
        *,
        answers: Mapping[str, Iterable[str]] | None = None,
        splits: Sequence[str] = (),
    ) -> None:
        self._equal: dict[object, _Right] = defaultdict(_Right)
        self._splits_of: dict[str, set[str]] = defaultdict(set)
        self._cached: dict[str, frozenset[str]] = {}
        for n, row in enumerate(rows):
            assert isinstance(row.example, Retrieval)
            self._equal[_question(row.example.query)].add(row)
            for document in row.provenance.documents if n < len(splits) and splits[n] else ():
                self._splits_of[document].add(splits[n])
        self._answers: dict[object, set[str]] = defaultdict(set)
        for question, accepted in (answers or {}).items():
            said = {f" {' '.join(words_of(one))} " for one in accepted if _says_something(one)}
            self._answers[_question(question)] |= said

    def of(self, row: TrainingRow, *, bound: float, split: str = "") -> "RowGuard":
        """Return the guard of one row's negatives. `bound` is the score from which a hit may be
        as right as a positive."""
        assert isinstance(row.example, Retrieval)
        own = _Right()
        own.add(row)
        key = _question(row.example.query)
        return RowGuard(
            own=own,
            equal=self._equal.get(key, own),
            answers=frozenset(self._answers.get(key, ())),
            elsewhere=self._elsewhere(split),
            bound=bound,
        )

    def _elsewhere(self, split: str) -> frozenset[str]:
        if split and split not in self._cached:
            listed = self._splits_of.items()
            self._cached[split] = frozenset(name for name, of in listed if of - {split})
        return self._cached.get(split, frozenset())


@dataclass(frozen=True, slots=True)
class RowGuard:
    """What is known of one question. `elsewhere` are documents of other splits' positives."""

    own: _Right
    equal: _Right
    answers: frozenset[str]
    elsewhere: frozenset[str]
    bound: float

    def why(self, candidate: Candidate) -> Guarded | None:
        """Return why a hit is no negative; None: it is one."""
        if candidate.document_id in self.own.documents:
            return Guarded.DOCUMENT
        runs = runs_of(candidate.text)
        if any(_holds(runs, one) for one in self.own.texts.values()):
            return Guarded.POSITIVE
        if candidate.document_id in self.equal.documents or any(
            _holds(runs, one) for one in self.equal.texts.values()
        ):
            return Guarded.EQUAL
        said = f" {' '.join(words_of(candidate.text))} "
        if any(one in said for one in self.answers):
            return Guarded.ANSWER
        if candidate.document_id in self.elsewhere:
            return Guarded.SPLIT
        return Guarded.SCORE if candidate.score >= self.bound else None


def runs_of(text: str) -> set[bytes]:
    """Return the runs of characters by which two texts are told to be nearly one."""
    return shingles(words_of(text), SHINGLE_CHARS)


def nearly_one(one: str, other: str) -> bool:
    """Tell whether one of two texts nearly holds the other."""
    return _holds(runs_of(one), runs_of(other))


def says(text: str, answers: Iterable[str]) -> bool:
    """Tell whether a text has all words of one of the answers, in their order."""
    said = f" {' '.join(words_of(text))} "
    return any(f" {' '.join(words_of(one))} " in said for one in answers if _says_something(one))


def _holds(one: set[bytes], other: set[bytes]) -> bool:
    return len(one & other) >= HELD * min(len(one), len(other))


def _says_something(answer: str) -> bool:
    words = words_of(answer)
    return bool(words) and not _SAYS_LITTLE.issuperset(words)


def _question(text: str) -> object:
    """Return what two questions have in common that ask for the same."""
    found = frozenset(content_stems(text))
    return (found, frozenset(stated_numbers(text))) if found else " ".join(words_of(text))
