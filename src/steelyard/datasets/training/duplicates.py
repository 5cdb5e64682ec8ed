"""Rows that say the same as another: exactly, nearly, or with another label."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.core.training import Example, Labelled, TrainingRow
from steelyard.datasets.training.canonical import canonical, example_fields, sha256_of
from steelyard.datasets.training.signatures import (
    NUM_HASHES,
    Signatures,
    jaccard,
    shingles,
    words_of,
)
from steelyard.datasets.training.texts import texts_of

THRESHOLD = 0.85
SHINGLE_CHARS = 5
# 6 hashes a band: two rows of Jaccard .85 meet with a chance of .9999, of .5 with .28.
ROWS_OF_BAND = 6


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row that was left out for one that stays; `similarity` 1: equal but for case and marks."""

    row: TrainingRow
    of: TrainingRow
    similarity: float


@dataclass(frozen=True, slots=True)
class Deduplicated:
    """What stays, what does not, and texts that have several labels (their rows stay)."""

    rows: tuple[TrainingRow, ...]
    duplicates: tuple[Duplicate, ...]
    conflicts: tuple[tuple[TrainingRow, ...], ...]


def deduplicate(rows: Sequence[TrainingRow], *, threshold: float = THRESHOLD) -> Deduplicated:
    """Leave out rows that equal another, or share `threshold` of their 5-character runs with it.

    The result does not depend on the order of rows: the one with the smallest hash stays. Rows
    of different labels, weights, roles or numbers of turns are never each other's duplicates.
    """
    index = Signatures(bands=NUM_HASHES // ROWS_OF_BAND, rows=ROWS_OF_BAND)
    stay: list[TrainingRow] = []
    gone: list[Duplicate] = []
    exact: dict[str, TrainingRow] = {}
    for row in sorted(rows, key=sha256_of):
        words = _words(row.example)
        same = exact.setdefault(f"{_shape(row.example)}\n{' '.join(words)}", row)
        if same is not row:
            gone.append(Duplicate(row, same, 1.0))
            continue
        shingled = shingles(words, SHINGLE_CHARS)
        signature = index.signature(shingled)
        found = _nearest(row, shingled, [stay[number] for number in index.near(signature)])
        if found is not None and found.similarity >= threshold:
            gone.append(found)
            continue
        index.add(len(stay), signature)
        stay.append(row)
    return Deduplicated(tuple(stay), tuple(gone), _conflicts(stay))


def _nearest(
    row: TrainingRow, shingled: set[bytes], candidates: Sequence[TrainingRow]
) -> Duplicate | None:
    """Return the nearest of the candidates that could be the same row; None: there is none."""
    shape, best = _shape(row.example), None
    for other in candidates:
        if _shape(other.example) != shape:
            continue
        similarity = jaccard(shingled, shingles(_words(other.example), SHINGLE_CHARS))
        if best is None or similarity > best.similarity:
            best = Duplicate(row, other, min(similarity, 0.9999))
    return best


def _words(example: Example) -> list[str]:
    return [word for _, text in texts_of(example) for word in words_of(text)]


def _shape(example: Example) -> str:
    """Return all of an example but its texts: roles, weights, tools, counts, the label."""
    if isinstance(example, Labelled):
        return example.label
    return canonical(_without_texts(example_fields(example)))


def _without_texts(value: object) -> dict[str, object]:
    shape: dict[str, object] = {}
    for name, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, dict):
            shape[name] = _without_texts(inner)
        elif isinstance(inner, list):
            shape[name] = [_without_texts(one) for one in inner]
        elif not isinstance(inner, str) or name in ("role", "name"):
            shape[name] = inner
    return shape


def _conflicts(rows: Sequence[TrainingRow]) -> tuple[tuple[TrainingRow, ...], ...]:
    """Return groups of rows whose text is the same and whose label is not."""
    by_text: dict[str, list[TrainingRow]] = defaultdict(list)
    for row in rows:
        if isinstance(row.example, Labelled):
            by_text[" ".join(words_of(row.example.text))].append(row)
    groups = (
        group for group in by_text.values() if len({_shape(one.example) for one in group}) > 1
    )
    return tuple(tuple(group) for group in groups)
