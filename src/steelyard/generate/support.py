"""Does this text back that sentence? Judged by words, without a model."""

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache

from steelyard.core.sentences import split_sentences
from steelyard.core.words import (
    bigrams,
    content_stems,
    fold,
    names,
    negated,
    numbers,
    stated_numbers,
    stem,
    stems,
)

# Logistic weights. Recall, pairs, news and bias are fit on BEGIN (1,229 answers judged against
# their evidence) by `python bench/citations.py`; numbers, names and negation, which are too
# rare there to be fit, are set by hand so that one wrong number outweighs a full overlap.
_WEIGHTS = {
    "recall": 3.0,  # share of the sentence's content words that the evidence has
    "pairs": 2.8,  # share of its neighbouring words that are neighbours there
    "news": -4.0,  # content words the evidence lacks, 6 or more = 1
    "numbers": -3.0,  # a number that the evidence lacks
    "names": -0.7,  # a name that the evidence lacks
    "negation": -0.5,  # one of the two is negated, the other not
}
_BIAS = -2.9
_MANY_NEWS = 6

SUPPORTED = 0.15
"""From this support on a sentence counts as backed. Low on purpose: a mark on a sound sentence
costs more trust than a missing one. `bench/citations.py` prints what it passes and catches."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A text made ready to be compared with many sentences."""

    words: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    numbers: frozenset[str]
    negated: bool

    @classmethod
    def of(cls, text: str, *, context: str = "") -> "Evidence":
        """Read `text`; `context` (its title and headings) lends words, but no pairs."""
        listed = stems(text)
        around = set(stems(context))
        return cls(
            words=frozenset(listed) | around,
            pairs=frozenset(bigrams(listed)),
            numbers=frozenset(stated_numbers(text) | stated_numbers(context)),
            negated=negated(text),
        )


def support(sentence: str, evidence: Evidence) -> float:
    """Return how likely it is, 0 to 1, that `evidence` says all that `sentence` claims.

    A sentence without content words claims nothing and is supported by anything.
    """
    features = features_of(sentence, evidence)
    if not features:
        return 1.0
    logit = _BIAS + sum(weight * features[name] for name, weight in _WEIGHTS.items())
    return 1 / (1 + math.exp(-logit))


def features_of(sentence: str, evidence: Evidence) -> dict[str, float]:
    """Return what `support` weighs; empty for a sentence without content words."""
    content = content_stems(sentence)
    if not content:
        return {}
    pairs = bigrams(stems(sentence))
    missing = [word for word in content if word not in evidence.words]
    return {
        "recall": 1 - len(missing) / len(content),
        "pairs": len(pairs & evidence.pairs) / len(pairs) if pairs else 0.0,
        "news": min(len(set(missing)), _MANY_NEWS) / _MANY_NEWS,
        "numbers": float(bool(numbers(sentence) - evidence.numbers)),
        "names": float(any(stem(name) not in evidence.words for name in names(sentence))),
        "negation": float(negated(sentence) != evidence.negated),
    }


_MOST_SENTENCES = 3
_COST_OF_A_SENTENCE = 0.04
_PAIRS_SHARE = 0.3
_WORTH_A_SECOND = 0.25  # share of a claim's weight that a second span must add


class Source:
    """A passage's text, cut into sentences, in which claims are looked up."""

    def __init__(self, text: str, *, context: str = "") -> None:
        self.text = text
        self.context = context
        self._spans = split_sentences(text)
        self._words = [stems(text[start:end]) for start, end in self._spans]
        self._sets = [set(words) for words in self._words]
        self._found_in = Counter(word for words in self._sets for word in words)

    def find(self, claim: str) -> list[tuple[int, int]]:
        """Return the spans that back `claim` best: one, rarely two; none share no word with it.

        A claim that is a quotation gives exactly that place.
        """
        exact = self._quoted(claim)
        if exact is not None:
            return [exact]
        wanted = self._weights(claim)
        if not wanted:
            return []
        best, share = self._best_window(wanted, bigrams(stems(claim)))
        if best is None:
            return []
        spans = [(self._spans[best[0]][0], self._spans[best[1] - 1][1])]
        if share < 1 - _WORTH_A_SECOND:
            second = self._second(wanted, best)
            if second is not None:
                spans.append(self._spans[second])
        return sorted(spans)

    @cached_property
    def _squeezed(self) -> tuple[str, list[int]]:
        return _squeeze(self.text)

    def _weights(self, claim: str) -> dict[str, float]:
        """Return what each content word of `claim` is worth here: rare words say more."""
        weights: dict[str, float] = {}
        for word in content_stems(claim):
            weights[word] = math.log(1 + (len(self._sets) + 1) / (self._found_in[word] + 0.5))
        total = sum(weights.values())
        return {word: weight / total for word, weight in weights.items()}

    def _best_window(
        self, wanted: dict[str, float], pairs: set[tuple[str, str]]
    ) -> tuple[tuple[int, int] | None, float]:
        """Return the best run of sentences [first, last) and the share of `wanted` in it."""
        best: tuple[int, int] | None = None
        best_score = best_share = 0.0
        for first in range(len(self._spans)):
            seen: set[str] = set()
            words: list[str] = []
            for last in range(first + 1, min(first + _MOST_SENTENCES, len(self._spans)) + 1):
                seen |= self._sets[last - 1]
                words += self._words[last - 1]
                share = sum(weight for word, weight in wanted.items() if word in seen)
                shared = len(pairs & bigrams(words)) / len(pairs) if pairs else 0.0
                cost = _COST_OF_A_SENTENCE * (last - first - 1)
                score = share + _PAIRS_SHARE * shared - cost
                if share > 0 and score > best_score + 1e-9:
                    best, best_score, best_share = (first, last), score, share
        return best, best_share

    def _second(self, wanted: dict[str, float], best: tuple[int, int]) -> int | None:
        """Return the sentence that adds most to `best`, if it adds enough."""
        covered = set().union(*self._sets[best[0] : best[1]])
        left = {word: weight for word, weight in wanted.items() if word not in covered}
        gains = [
            -1.0 if best[0] <= i < best[1] else sum(left[word] for word in left if word in words)
            for i, words in enumerate(self._sets)
        ]
        richest = max(range(len(gains)), key=gains.__getitem__)
        return richest if gains[richest] >= _WORTH_A_SECOND else None

    def _quoted(self, claim: str) -> tuple[int, int] | None:
        """Return where `claim` stands word for word, white space, case and markup aside."""
        wanted, _ = _squeeze(claim.strip(" \t\r\n\"'“”‘’«»*_`>-•"))
        wanted = wanted.strip().rstrip(".,;:!?")
        if len(content_stems(wanted)) < 2:
            return None
        squeezed, places = self._squeezed
        at = squeezed.find(wanted)
        if at < 0:
            return None
        start, end = places[at], places[at + len(wanted) - 1] + 1
        if end < len(self.text) and self.text[end] in ".!?":
            end += 1
        return self._whole_words(start, end)

    def _whole_words(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the span, or None when it begins or ends inside a word."""
        text = self.text
        cut_front = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
        cut_back = end < len(text) and text[end - 1].isalnum() and text[end].isalnum()
        return None if cut_front or cut_back else (start, end)


def _squeeze(text: str) -> tuple[str, list[int]]:
    """Return `text` folded, without emphasis marks and with single spaces, and the place in
    `text` that each of its characters comes from."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character in "*`":
            continue
        if character.isspace():
            if characters and characters[-1] == " ":
                continue
            character = " "
        for folded in _fold_one(character):
            characters.append(folded)
            places.append(place)
    return "".join(characters), places


@lru_cache(maxsize=4096)
def _fold_one(character: str) -> str:
    return fold(character)
