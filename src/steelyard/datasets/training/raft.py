"""Reader's rows among distractors: which are asked without gold, what is quoted, in what order.

Source: Zhang et al., "RAFT: Adapting Language Model to Domain Specific RAG", 2024.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from steelyard.core.sentences import split_sentences
from steelyard.core.training import Reading, TrainingRow
from steelyard.datasets.training.canonical import sha256_of

T = TypeVar("T")
WINDOW_CHARS = 1_000  # of a context that is a whole document: about a chunk or two
MAX_QUOTE_CHARS = 600  # a longer "sentence" is a table or a list: then the answer alone is quoted


def without_gold(rows: Sequence[TrainingRow], share: float, *, seed: int) -> frozenset[str]:
    """Return the hashes of the answerable rows that are asked without gold: `share` of them, to
    the nearest whole number, whichever order the rows are in."""
    hashes = [sha256_of(row) for row in rows if _reading(row).answers]
    ranked = sorted(hashes, key=lambda one: drawn(seed, one))
    return frozenset(ranked[: round(share * len(ranked))])


def quoted(reading: Reading) -> str:
    """Return the sentence of the context that holds the first answer, or the answer alone."""
    first = reading.answers[0]
    end = first.start + len(first.text)
    for start, stop in split_sentences(reading.context):
        if start <= first.start and end <= stop and stop - start <= MAX_QUOTE_CHARS:
            return reading.context[start:stop].strip()
    return first.text.strip()


def window(reading: Reading) -> str:
    """Return the context, or of a long one the sentences around the first answer."""
    text = reading.context
    if len(text) <= WINDOW_CHARS:
        return text
    middle = reading.answers[0].start if reading.answers else 0
    spans = split_sentences(text)
    here = max((n for n, (start, _) in enumerate(spans) if start <= middle), default=0)
    first, last = here, here + 1
    while first > 0 or last < len(spans):
        before = max(first - 1, 0), last
        after = first, min(last + 1, len(spans))
        wider = (
            after if last < len(spans) and (last - here <= here - first or not first) else before
        )
        if spans[wider[1] - 1][1] - spans[wider[0]][0] > WINDOW_CHARS:
            break
        first, last = wider
    return text[spans[first][0] : spans[last - 1][1]]


def shuffled(items: Sequence[T], names: Sequence[str], *, seed: int, of: str) -> list[T]:
    """Return items in an order that only their names, the seed and what they are `of` decide."""
    order = sorted(range(len(items)), key=lambda n: (drawn(seed, f"{of}\0{names[n]}"), n))
    return [items[n] for n in order]


def drawn(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).digest()


def _reading(row: TrainingRow) -> Reading:
    assert isinstance(row.example, Reading)
    return row.example
