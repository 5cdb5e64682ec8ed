"""Evaluation questions that stand in training rows: exactly, within others, lightly edited."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import InputError
from steelyard.core.training import TrainingRow
from steelyard.core.words import NUMBER_WORDS, content_stems, fold, stated_numbers
from steelyard.datasets.decisions import Verdict
from steelyard.datasets.read import read_set
from steelyard.datasets.review import find_set, list_sets, queue
from steelyard.datasets.training.overlap import RUN_CHARS, Overlaps
from steelyard.datasets.training.signatures import jaccard, shingles, words_of
from steelyard.datasets.training.texts import asked_of, texts_of

NEAR = 0.5
AT_ONCE = 512  # rows that are looked at together
OPENING_WORDS = 4  # by which a question is looked for within a text; shorter ones stand alone
MANY_WORDS = 5  # with content, of which an edit may lose one
SLIP = 0.7  # of two words' letters in common: "card" and "cadr" have .75
MIN_WORDS = 3  # of a sentence that may be an edited question
_SENTENCE = re.compile(r"[.?!\n]+")
_DIGIT = re.compile(r"\d")
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EvaluationQuestion:
    """A question that must not be trained on."""

    set_name: str
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Leak:
    """A row in whose `field` a question stands; `similarity` 1: word for word."""

    row: TrainingRow
    field: str
    question: EvaluationQuestion
    similarity: float


def evaluation_questions(home: Path, places: Sequence[str] = ()) -> list[EvaluationQuestion]:
    """Return the questions of every set that a home keeps, and of the sets at `places`.

    What waits for review counts; what was rejected does not.

    Raises:
        InputError: there is no question to compare with.
    """
    found = [
        EvaluationQuestion(one.name, item.id, item.question)
        for one in list_sets(home)
        for item in queue(one.path)
        if item.verdict is not Verdict.REJECT
    ]
    for place in places:
        read = read_set(find_set(home, place), unreviewed=True)
        found += [EvaluationQuestion(read.name, one.id, one.text) for one in read.questions]
    if not found:
        raise InputError(
            "no evaluation question to compare with: name a set by --against, or make one by "
            "`steelyard data questions NAME`"
        )
    return found


def digest_of(questions: Iterable[EvaluationQuestion]) -> str:
    """Return the SHA-256 of what was compared with, whatever its order and names."""
    lines = sorted({one.text for one in questions})
    return hashlib.sha256("\0".join(lines).encode()).hexdigest()


def find_leaks(
    rows: Iterable[TrainingRow], questions: Sequence[EvaluationQuestion]
) -> Iterator[Leak]:
    """Yield the rows that hold a question, each with the question that is nearest.

    Exact is what has the same words in the same order, in any text of a row. Lightly edited is
    what shares half of its 3-character runs with a question, states the same numbers and has the
    question's words, as a sentence or as the whole of what a row asks.
    """
    held = _Held(questions)
    remaining = iter(rows)
    while some := list(islice(remaining, AT_ONCE)):
        yield from _leaks(some, held)


class _Stating:
    """The questions that state the same numbers, by their runs of characters."""

    def __init__(self, of: Sequence[int], words: Sequence[Sequence[str]]) -> None:
        self._of = np.array(of)
        self._overlaps = Overlaps([" ".join(words[n]) for n in of], share=NEAR)

    def near(self, asked: "Sequence[_Asked]") -> Iterator[NDArray[np.int64]]:
        for found in self._overlaps.near([" ".join(one.words) for one in asked]):
            yield self._of[found]


class _Asked(NamedTuple):
    """A sentence, or the whole, of what the row `at` a place of a batch asks."""

    at: int
    field: str
    text: str
    words: list[str]


class _Held:
    """Questions by their words, by how they open, and by their runs of characters."""

    def __init__(self, questions: Sequence[EvaluationQuestion]) -> None:
        self.questions = questions
        self.words = [words_of(one.text) for one in questions]
        self.whole = {tuple(words): n for n, words in enumerate(self.words) if words}
        self.opening: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self.shingled = [shingles(words, RUN_CHARS) for words in self.words]
        self.content = [set(content_stems(one.text)) for one in questions]
        numbered: dict[frozenset[str], list[int]] = defaultdict(list)
        for n, words in enumerate(self.words):
            if len(words) >= OPENING_WORDS:
                self.opening[tuple(words[:OPENING_WORDS])].append(n)
            numbered[frozenset(stated_numbers(questions[n].text))].append(n)
        self.stating = {key: _Stating(of, self.words) for key, of in numbered.items()}

    def within(self, words: Sequence[str]) -> int | None:
        """Return a question all of whose words stand here in a row; None: there is none."""
        found = self.whole.get(tuple(words))
        if found is not None:
            return found
        runs = zip(*(words[at:] for at in range(OPENING_WORDS)), strict=False)
        for at, run in enumerate(runs):
            for n in self.opening.get(run, ()):
                if words[at : at + len(self.words[n])] == self.words[n]:
                    return n
        return None

    def nearest(self, asked: _Asked, candidates: NDArray[np.int64]) -> tuple[float, int]:
        """Return the similarity and number of the candidate nearest to a text; 0.0: none."""
        best = 0.0, -1
        if not len(candidates):
            return best
        shingled = shingles(asked.words, RUN_CHARS)
        for n in candidates.tolist():
            similarity = jaccard(shingled, self.shingled[n])
            if similarity >= NEAR and similarity > best[0] and self._asks_the_same(asked.text, n):
                best = similarity, n
        return best

    def _asks_the_same(self, text: str, n: int) -> bool:
        """Tell whether the question's words are there but for a slip or one.

        Questions of one pattern ("How many ... are there?") share most of their characters.
        """
        there = set(content_stems(text))
        lost = [word for word in self.content[n] - there if not _slips(word, there)]
        return len(lost) <= (len(self.content[n]) >= MANY_WORDS)


def _slips(word: str, words: Iterable[str]) -> bool:
    """Tell whether one of `words` is `word` with a slip of the pen or another ending."""
    return any(SequenceMatcher(None, word, other).ratio() >= SLIP for other in words)


def _leaks(rows: Sequence[TrainingRow], held: _Held) -> Iterator[Leak]:
    """Yield the leaks among some rows; what is nearly a question is looked up for all at once."""
    exact = [_exact(row, held) for row in rows]
    stating: dict[frozenset[str], list[_Asked]] = defaultdict(list)
    for at, row in enumerate(rows):
        for field, text in asked_of(row.example) if exact[at] is None else ():
            for part, words in _sentences(text):
                stating[_numbers(part, words)].append(_Asked(at, field, part, words))
    near: dict[int, Leak] = {}
    for numbers, asked in stating.items():
        if numbers not in held.stating:
            continue
        for one, candidates in zip(asked, held.stating[numbers].near(asked), strict=True):
            similarity, n = held.nearest(one, candidates)
            before = near.get(one.at)
            if n >= 0 and (before is None or similarity > before.similarity):
                question = held.questions[n]
                near[one.at] = Leak(rows[one.at], one.field, question, min(similarity, 0.9999))
    for at, found in enumerate(exact):
        if (leak := found or near.get(at)) is not None:
            yield leak


def _exact(row: TrainingRow, held: _Held) -> Leak | None:
    for field, text in texts_of(row.example):
        n = held.within(words_of(text))
        if n is not None:
            return Leak(row, field, held.questions[n], 1.0)
    return None


def _sentences(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield a text as a whole and, if it has several, its sentences: those of enough words."""
    parts = [part for part in _SENTENCE.split(fold(text)) if part.strip()]
    split = [words_of(part) for part in parts]
    listed = [(" ".join(parts), [word for words in split for word in words])]
    if len(parts) > 1:
        listed += zip(parts, split, strict=True)
    yield from (one for one in listed if len(one[1]) >= MIN_WORDS)


def _numbers(text: str, words: Sequence[str]) -> frozenset[str]:
    """Return what `stated_numbers` does; most texts state none, which is seen more quickly."""
    if _DIGIT.search(text) is None and NUMBER_WORDS.isdisjoint(words):
        return _NONE
    return frozenset(stated_numbers(text))
