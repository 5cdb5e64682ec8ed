"""What a reader read out, measured as SQuAD 2.0 measures: F1, exact match, abstention."""

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
Measure = Callable[[str, str], float]  # of what was said and what is gold


@dataclass(frozen=True, slots=True)
class ReadOut:
    """The best span of a question's windows, with its score; `nowhere` is the score of "no
    answer". `gold` () : there is none."""

    text: str
    score: float
    nowhere: float
    gold: tuple[str, ...]

    @property
    def margin(self) -> float:
        return self.score - self.nowhere

    def joined(self, other: "ReadOut") -> "ReadOut":
        """Return what two windows of one question come to: the better span; "no answer" only as
        far as every window says so."""
        better = other if other.score > self.score else self
        return replace(better, nowhere=min(self.nowhere, other.nowhere))


def measures(outs: Sequence[ReadOut]) -> Mapping[str, float]:
    """Return `F1` at the best threshold over all, and of the answerable alone, span forced:
    `F1_answerable`, `EM_answerable`; `AUROC` of telling both apart, where both are there."""
    answerable = [one for one in outs if one.gold]
    found = {"F1": float(np.mean(_scores(outs, threshold_of(outs)))) if outs else 0.0}
    if answerable:
        found["F1_answerable"] = float(np.mean([_best(_f1, one) for one in answerable]))
        found["EM_answerable"] = float(np.mean([_best(_exact, one) for one in answerable]))
    if answerable and len(answerable) < len(outs):
        found["AUROC"] = auroc(
            [one.margin for one in answerable], [one.margin for one in outs if not one.gold]
        )
    return found


def threshold_of(outs: Sequence[ReadOut]) -> float:
    """Return the margin from which on answering is better than not, by F1 over all."""
    if not outs:
        return 0.0
    order = sorted(outs, key=lambda one: one.margin)
    gains = [(_best(_f1, one) if one.gold else 0.0) - float(not one.gold) for one in order]
    # Answering all but the first n: the sum of what the rest gain by being answered.
    rest = np.concatenate([np.cumsum(gains[::-1])[::-1], [0.0]])
    n = int(rest.argmax())
    margins = [one.margin for one in order]
    if n == 0:
        return margins[0] - 1e-6
    return margins[-1] + 1e-6 if n == len(margins) else (margins[n - 1] + margins[n]) / 2


def auroc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return the chance that a positive scores above a negative; ties count half."""
    values = np.concatenate([positives, negatives])
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    above = ranks[: len(positives)].sum() - len(positives) * (len(positives) + 1) / 2
    return float(above / (len(positives) * len(negatives)))


def _scores(outs: Sequence[ReadOut], threshold: float) -> list[float]:
    scores: list[float] = []
    for one in outs:
        if one.margin > threshold:
            scores.append(_best(_f1, one) if one.gold else 0.0)
        else:
            scores.append(float(not one.gold))
    return scores


def _best(measure: Measure, one: ReadOut) -> float:
    return max(measure(one.text, gold) for gold in one.gold)


def _words(text: str) -> list[str]:
    """Source: SQuAD's evaluation script, `normalize_answer`."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _exact(text: str, gold: str) -> float:
    return float(_words(text) == _words(gold))


def _f1(text: str, gold: str) -> float:
    said, wanted = _words(text), _words(gold)
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))
