"""A kept answer, and what it costs to keep it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from steelyard.core.chat import Answer
from steelyard.core.ranking import Vector

_OVERHEAD_BYTES = 512  # of the cache's own tables, an entry


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """An answer that may be served again, to whoever asks in the same `scope`.

    `scope` stands for everything but the question that shapes an answer: collection, groups,
    filter, options, bundle. `vector` is the question's unit embedding (None: found only by its
    text). `pool` are the chunk ids that retrieval returned when the answer was made, and
    `snapshot` the sequence number at which it was made or last found valid. `created_at` is in
    Unix seconds; `size_bytes` is what the entry holds in memory, its vector's row in the
    cache's matrix not counted.
    """

    question: str
    scope: str
    vector: Vector | None
    answer: Answer
    pool: tuple[int, ...]
    snapshot: int
    created_at: float
    size_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        parts = (self.question, self.scope, self.vector, self.answer, self.pool)
        size = _OVERHEAD_BYTES + sum(map(held_bytes, parts))
        object.__setattr__(self, "size_bytes", size)


@dataclass(frozen=True, slots=True)
class Near:
    """An entry whose question is `cosine` near to the one asked."""

    entry: Entry
    cosine: float


def held_bytes(value: Any) -> int:
    """Return the memory that a value made of dataclasses, texts and numbers holds.

    What is shared between two parts is counted twice: an estimate from above.
    """
    size = sys.getsizeof(value)
    if isinstance(value, np.ndarray):
        return size if value.base is None else size + value.nbytes
    if is_dataclass(value) and not isinstance(value, type):
        return size + sum(held_bytes(getattr(value, name)) for name in _names(type(value)))
    if isinstance(value, Mapping):
        return size + sum(held_bytes(key) + held_bytes(item) for key, item in value.items())
    if isinstance(value, tuple | list | set | frozenset):
        return size + sum(map(held_bytes, value))
    return size


@lru_cache(maxsize=64)
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(member.name for member in fields(kind))
