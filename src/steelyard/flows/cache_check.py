"""Pairs of questions → how often the meaning test is wrong, and the threshold that it allows."""

import gzip
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.cache.meaning import guard
from steelyard.core.errors import InputError
from steelyard.core.protocols import Embedder

CONFIDENCE = 0.95
SHOWN_FAULTS = 20
EXAMPLE = '{"a": "...", "b": "...", "label": 1}'
MAX_CHARACTERS = 20_000
# Where `tune` looks, best hit rate first. Lower, questions are not even alike.
THRESHOLDS = tuple(round(0.5 + 0.01 * step, 2) for step in range(51))


@dataclass(frozen=True, slots=True)
class QuestionPair:
    """`label` is 1 if one answer serves both, else 0. An empty `kind` is to be found out."""

    a: str
    b: str
    label: int
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """`reason` is what the rules found (empty: nothing); `cosine` that of the two questions."""

    pair: QuestionPair
    kind: str
    cosine: float
    reason: str

    def hit(self, threshold: float) -> bool:
        return not self.reason and self.cosine >= threshold


@dataclass(frozen=True, slots=True)
class Rates:
    """Hits among pairs that must not and that may be served by one answer.

    `wrong_upper` bounds the rate of wrong hits from above, with a confidence of 95 %.
    """

    wrong: int
    different: int
    hits: int
    same: int

    @property
    def wrong_upper(self) -> float:
        return upper_bound(self.wrong, self.different)


@dataclass(frozen=True, slots=True)
class Check:
    """`worst` are the wrong hits, then the paraphrases missed, nearest first."""

    threshold: float
    total: Rates
    by_kind: dict[str, Rates]
    wrong: tuple[Judged, ...]
    missed: tuple[Judged, ...]


@dataclass(frozen=True, slots=True)
class Tuned:
    """`threshold` is None if no pair count or threshold proves the budget; `needed` says how
    many pairs of label 0 would, if not one of them were a wrong hit."""

    threshold: float | None
    budget: float
    needed: int
    curve: tuple[tuple[float, Rates], ...]


def upper_bound(successes: int, trials: int, *, confidence: float = CONFIDENCE) -> float:
    """Return the exact one-sided upper bound of a rate; 1.0 without trials.

    Source: Clopper & Pearson, Biometrika 1934.
    """
    if trials == 0 or successes >= trials:
        return 1.0
    low, high = successes / trials, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(successes, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def pairs_needed(budget: float, *, confidence: float = CONFIDENCE) -> int:
    """Return how many pairs without a wrong hit prove that the rate is within `budget`."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - budget))


def _at_most(successes: int, trials: int, rate: float) -> float:
    """Return the probability of at most so many successes."""
    odds, rest = math.log(rate), math.log1p(-rate)
    return math.fsum(
        math.exp(
            math.lgamma(trials + 1)
            - math.lgamma(count + 1)
            - math.lgamma(trials - count + 1)
            + count * odds
            + (trials - count) * rest
        )
        for count in range(successes + 1)
    )


def read_pairs(path: Path) -> list[QuestionPair]:
    """Read JSON lines, gzipped or not.

    Raises:
        InputError: the file cannot be read, or rows are wrong; names them all.
    """
    pairs: list[QuestionPair] = []
    faults: list[str] = []
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            try:
                pairs.append(_pair_of(line))
            except ValueError as error:
                faults.append(f"{path}:{number}: {error}")
    if faults:
        more = f"\n  and {len(faults) - SHOWN_FAULTS} more" if len(faults) > SHOWN_FAULTS else ""
        raise InputError("pairs are wrong:\n  " + "\n  ".join(faults[:SHOWN_FAULTS]) + more)
    if not pairs:
        raise InputError(f"{path} holds no pairs; write lines like {EXAMPLE}")
    return pairs


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text: {error.reason} at byte {error.start}"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}; give a JSON lines file") from error


def _pair_of(line: str) -> QuestionPair:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON ({error}); write one object a line") from error
    if not isinstance(row, dict):
        raise ValueError(f"no object; write {EXAMPLE}")
    faults = [fault for name in ("a", "b", "kind") if (fault := _fault_of(row, name))]
    label = row.get("label")
    if isinstance(label, bool) or label not in (0, 1):
        faults.append(f"label {label!r} is neither 0 nor 1")
    if faults:
        raise ValueError("; ".join(faults))
    return QuestionPair(row["a"], row["b"], int(row["label"]), row.get("kind") or "")


def _fault_of(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if name == "kind":
        usable = value is None or isinstance(value, str)
        return "" if usable else f"kind {value!r} is no text; leave it out or name it"
    if not isinstance(value, str) or not value.strip():
        return f"{name} {value!r} is no question; write one"
    if len(value) > MAX_CHARACTERS:
        return f"{name} is longer than {MAX_CHARACTERS:,} characters; shorten it"
    return ""


def judge(pairs: Sequence[QuestionPair], embedder: Embedder) -> list[Judged]:
    """Run the meaning test over pairs; blocking, a few milliseconds a pair."""
    judged = []
    for pair in pairs:
        cosine = float(embedder.embed_query(pair.a) @ embedder.embed_query(pair.b))
        reason = guard(pair.a, pair.b)
        judged.append(Judged(pair, pair.kind or reason or "other", cosine, reason))
    return judged


def check(judged: Sequence[Judged], *, threshold: float) -> Check:
    """Count wrong and true hits at `threshold`, in all and by kind."""
    kinds = sorted({one.kind for one in judged})
    wrong = [one for one in judged if one.pair.label == 0 and one.hit(threshold)]
    missed = [one for one in judged if one.pair.label == 1 and not one.hit(threshold)]
    return Check(
        threshold=threshold,
        total=_rates(judged, threshold),
        by_kind={
            kind: _rates([one for one in judged if one.kind == kind], threshold) for kind in kinds
        },
        wrong=tuple(sorted(wrong, key=lambda one: -one.cosine)),
        missed=tuple(sorted(missed, key=lambda one: -one.cosine)),
    )


def tune(judged: Sequence[Judged], *, budget: float) -> Tuned:
    """Choose the lowest threshold from which on every wrong-hit bound is within `budget`."""
    curve = tuple((threshold, _rates(judged, threshold)) for threshold in THRESHOLDS)
    chosen = None
    for threshold, rates in reversed(curve):
        if rates.wrong_upper > budget:
            break
        chosen = threshold
    return Tuned(chosen, budget, pairs_needed(budget), curve)


def _rates(judged: Sequence[Judged], threshold: float) -> Rates:
    hits = [one.pair.label for one in judged if one.hit(threshold)]
    same = sum(one.pair.label for one in judged)
    return Rates(wrong=hits.count(0), different=len(judged) - same, hits=hits.count(1), same=same)
