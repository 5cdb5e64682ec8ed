"""Evaluation questions that stand in training rows: exactly, within others, lightly edited."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from steelyard.core.errors import InputError
from steelyard.core.training import TrainingRow
from steelyard.core.words import content_stems, stated_numbers
from steelyard.datasets.decisions import Verdict
from steelyard.datasets.read import read_set
from steelyard.datasets.review import find_set, list_sets, queue
from steelyard.datasets.training.signatures import Signatures, jaccard, shingles, words_of
from steelyard.datasets.training.texts import asked_of, texts_of

SHINGLE_CHARS = 3
NEAR = 0.5
# Jaccard .5 meets with a chance of .95, .6 with .999; with 3 hashes a band many more
# pairs that are not near would have to be compared.
BANDS, ROWS_OF_BAND = 48, 4
OPENING_WORDS = 4  # by which a question is looked for within a text; shorter ones stand alone
MANY_WORDS = 5  # with content, of which an edit may lose one
SLIP = 0.7  # of two words' letters in common: "card" and "cadr" have .75
MIN_WORDS = 3  # of a sentence that may be an edited question
_SENTENCE = re.compile(r"[.?!\n]+")


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
    for row in rows:
        leak = _exact(row, held) or _near(row, held)
        if leak is not None:
            yield leak


class _Held:
    """Questions by their words, by how they open, and by their signatures."""

    def __init__(self, questions: Sequence[EvaluationQuestion]) -> None:
        self.questions = questions
        self.words = [words_of(one.text) for one in questions]
        self.numbers = [stated_numbers(one.text) for one in questions]
        self.whole = {tuple(words): n for n, words in enumerate(self.words) if words}
        self.opening: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self.index = Signatures(bands=BANDS, rows=ROWS_OF_BAND)
        self.shingled = [shingles(words, SHINGLE_CHARS) for words in self.words]
        self.content = [set(content_stems(one.text)) for one in questions]
        self.longest = max(map(len, self.shingled), default=0)
        for n, words in enumerate(self.words):
            if len(words) >= OPENING_WORDS:
                self.opening[tuple(words[:OPENING_WORDS])].append(n)
            if words:
                self.index.add(n, self.index.signature(self.shingled[n]))

    def within(self, words: Sequence[str]) -> int | None:
        """Return a question all of whose words stand here in a row; None: there is none."""
        found = self.whole.get(tuple(words))
        if found is not None:
            return found
        for at in range(len(words) - OPENING_WORDS + 1):
            for n in self.opening.get(tuple(words[at : at + OPENING_WORDS]), ()):
                if words[at : at + len(self.words[n])] == self.words[n]:
                    return n
        return None

    def nearest(self, text: str) -> tuple[float, int]:
        """Return the similarity and number of the question nearest to a text; 0.0: none."""
        words = words_of(text)
        if len(words) < MIN_WORDS:
            return 0.0, -1
        shingled = shingles(words, SHINGLE_CHARS)
        if len(shingled) * NEAR > self.longest:
            return 0.0, -1
        best = 0.0, -1
        for n in sorted(self.index.near(self.index.signature(shingled))):
            similarity = jaccard(shingled, self.shingled[n])
            if similarity >= NEAR and similarity > best[0] and self._asks_the_same(text, n):
                best = similarity, n
        return best

    def _asks_the_same(self, text: str, n: int) -> bool:
        """Tell whether numbers agree, and the question's words are there but for a slip or one.

        Questions of one pattern ("How many ... are there?") share most of their characters.
        """
        if stated_numbers(text) != self.numbers[n]:
            return False
        there = set(content_stems(text))
        lost = [word for word in self.content[n] - there if not _slips(word, there)]
        return len(lost) <= (len(self.content[n]) >= MANY_WORDS)


def _slips(word: str, words: Iterable[str]) -> bool:
    """Tell whether one of `words` is `word` with a slip of the pen or another ending."""
    return any(SequenceMatcher(None, word, other).ratio() >= SLIP for other in words)


def _exact(row: TrainingRow, held: _Held) -> Leak | None:
    for field, text in texts_of(row.example):
        n = held.within(words_of(text))
        if n is not None:
            return Leak(row, field, held.questions[n], 1.0)
    return None


def _near(row: TrainingRow, held: _Held) -> Leak | None:
    best = None
    for field, text in asked_of(row.example):
        for part in dict.fromkeys([text, *_SENTENCE.split(text)]):
            similarity, n = held.nearest(part)
            if n >= 0 and (best is None or similarity > best.similarity):
                best = Leak(row, field, held.questions[n], min(similarity, 0.9999))
    return best
