"""Which sentences of the passages answer a question, and whether any does.

Two logistic models over a few named features; no language model. Fit and checked by
`python bench/extractive.py`, which prints these weights and what they score.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.core.chat import Passage
from steelyard.core.ranking import Vector
from steelyard.generate.candidates import Candidate, candidates
from steelyard.generate.features import (
    SENTENCE_FEATURES,
    sentence_features,
    word_weights,
)
from steelyard.generate.spans import ReadSpan

# Conditional logit over the candidates of one question: how much a feature of
# `features.SENTENCE_FEATURES` speaks for a sentence against its rivals.
SENTENCE_WEIGHTS = {
    "cosine": 5.72,
    "passage_cosine": 2.12,
    "neighbours_cosine": 1.12,
    "recall": 3.02,
    "context_recall": 5.38,
    "heading_recall": -0.38,
    "pairs": 2.27,
    "holds_wanted": 0.83,
    "lacks_wanted": -0.83,
    "names_missing": -0.45,
    "rank": 1.29,
    "first": 0.19,
    "short": 0.48,
    "length": 0.42,
    "asks": -0.61,
    "news": -0.19,
}
# Logistic over features of the best sentence: whether it answers the question at all.
ANSWER_WEIGHTS = {
    "cosine": 1.62,
    "passage_cosine": 2.06,
    "context_recall": 1.09,
    "names_missing": -0.4,
    "lacks_wanted": -0.43,
}
ANSWER_BIAS = -2.9

# With a reader: what a logit of its margin is worth in a piece's favour, and the logistic over the
# logit above and the best margin. `python bench/reader.py --fit` fits both; in the second the
# margin has less weight than fits the dev article, as others bear it out less (bench/LOG.md).
READ_GAIN = 0.4
READ_WEIGHTS = {"answer": 0.8, "margin": 0.1}
READ_BIAS = 0.1
MAX_MARGIN = 12.0

ANSWERS = 0.3
"""From this confidence on a sentence is offered as an answer."""

MAX_EMBEDDED = 32  # sentences: 25 to 50 ms of one core with a small encoder
_MAX_WORDS = 90  # of an answer; one sentence may be longer


@dataclass(frozen=True, slots=True)
class ChooseOptions:
    """`max_gap` is how many logits a further sentence may lie behind the best."""

    max_sentences: int = 2
    max_gap: float = 1.0


@dataclass(frozen=True, slots=True)
class Weighed:
    """Likely sentences, by how many logits each beats its rivals; `answer` is the logit that the
    best of them answers at all."""

    found: tuple[Candidate, ...]
    logits: tuple[float, ...]
    answer: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The sentences that answer, in reading order with the best one's passage first; empty if
    nothing was found. `confidence` is how likely they do answer; `span` is what a reader found
    in the best one."""

    picks: tuple[Candidate, ...]
    confidence: float
    span: ReadSpan | None = None

    @property
    def answers(self) -> bool:
        return bool(self.picks) and self.confidence >= ANSWERS


def choose(
    question: str,
    passages: Sequence[Passage],
    *,
    embed: Callable[[str], Vector],
    options: ChooseOptions | None = None,
) -> Choice:
    """Return the sentences of `passages` that answer `question` best; blocking, deterministic.

    `embed` is called once for the question and for at most `MAX_EMBEDDED` sentences.
    """
    return decide(weigh(question, passages, embed=embed), options=options)


def weigh(question: str, passages: Sequence[Passage], *, embed: Callable[[str], Vector]) -> Weighed:
    """Return the likely sentences with what speaks for each; blocking."""
    found = likely(question, candidates(passages))
    if not found:
        return Weighed((), (), 0.0)
    vectors_CD = np.stack([embed(each.embedded) for each in found])
    features_CF = sentence_features(question, embed(question), found, vectors_CD)
    logits_C = features_CF @ np.array([SENTENCE_WEIGHTS[name] for name in SENTENCE_FEATURES])
    best = dict(zip(SENTENCE_FEATURES, features_CF[int(np.argmax(logits_C))], strict=True))
    answer = ANSWER_BIAS + sum(ANSWER_WEIGHTS[name] * best[name] for name in ANSWER_WEIGHTS)
    return Weighed(tuple(found), tuple(float(each) for each in logits_C), answer)


def decide(
    weighed: Weighed,
    *,
    spans: Mapping[int, ReadSpan] | None = None,
    options: ChooseOptions | None = None,
) -> Choice:
    """Return the sentences to quote. `spans` are what a reader found inside them, by number."""
    options = options or ChooseOptions()
    if not weighed.found:
        return Choice((), 0.0)
    if not spans:
        return Choice(_picks(weighed.found, weighed.logits, options), _sigmoid(weighed.answer))
    logits = [each + READ_GAIN * squashed(spans.get(n)) for n, each in enumerate(weighed.logits)]
    best = max(range(len(logits)), key=lambda n: (logits[n], -n))
    features = {"answer": weighed.answer, "margin": max(map(squashed, spans.values()))}
    answer = READ_BIAS + sum(READ_WEIGHTS[name] * features[name] for name in READ_WEIGHTS)
    return Choice(_picks(weighed.found, logits, options), _sigmoid(answer), spans.get(best))


def squashed(span: ReadSpan | None) -> float:
    """Return a span's margin, bounded on both sides; a piece that was not read has the least."""
    return -MAX_MARGIN if span is None else max(-MAX_MARGIN, min(MAX_MARGIN, span.margin))


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def likely(question: str, found: Sequence[Candidate]) -> list[Candidate]:
    """Return the `MAX_EMBEDDED` candidates that share most words with the question, in order."""
    weights = word_weights(question, found)

    def share(each: Candidate) -> float:
        around = each.before | each.context
        shared = sum(
            weight * (2.0 if word in each.words else 1.0 if word in around else 0.0)
            for word, weight in weights.items()
        )
        return shared + 0.5 / (1 + each.place)

    best = sorted(range(len(found)), key=lambda i: (-share(found[i]), i))[:MAX_EMBEDDED]
    return [found[i] for i in sorted(best)]


def _picks(
    found: Sequence[Candidate], logits: Sequence[float], options: ChooseOptions
) -> tuple[Candidate, ...]:
    order = sorted(range(len(found)), key=lambda i: (-logits[i], i))
    best = order[0]
    picked = [best]
    num_words = len(found[best].text.split())
    for i in order[1:]:
        if len(picked) == options.max_sentences or logits[best] - logits[i] > options.max_gap:
            break
        num_words += len(found[i].text.split())
        if num_words <= _MAX_WORDS and not any(_overlap(found[i], found[j]) for j in picked):
            picked.append(i)
    picked.sort(key=lambda i: (found[i].place != found[best].place, found[i].place, i))
    return tuple(found[i] for i in picked)


def _overlap(one: Candidate, other: Candidate) -> bool:
    return one.place == other.place and one.start < other.end and other.start < one.end
