"""Texts that are nearly the same, found without comparing each with each: MinHash, LSH."""

import re
import zlib
from collections.abc import Hashable, Iterable
from typing import Any

from steelyard.core.words import fold

NUM_HASHES = 128
_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """Return the words of a text without case, marks and breaks: what exact means here."""
    return _WORD.findall(fold(text))


def shingles(words: Iterable[str], size: int) -> set[bytes]:
    """Return the runs of `size` characters of words joined by spaces; short texts are padded."""
    text = f" {' '.join(words)} ".ljust(size)
    return {text[at : at + size].encode() for at in range(len(text) - size + 1)}


def jaccard(one: set[bytes], other: set[bytes]) -> float:
    """Return how much of both is in both, 0 to 1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


class Signatures:
    """An index of sets of shingles. `near` may miss and may err: what it gives is to be proved.

    `bands` of `rows` hashes each: sets with Jaccard s meet with the chance
    1 - (1 - s^rows)^bands.
    """

    def __init__(self, *, bands: int, rows: int) -> None:
        from datasketch import MinHash, MinHashLSH  # brings scipy: loaded only when needed

        self._hash = MinHash(num_perm=bands * rows, hashfunc=zlib.crc32)
        self._index = MinHashLSH(num_perm=bands * rows, params=(bands, rows))

    def signature(self, shingled: set[bytes]) -> Any:
        """Return what `add` and `near` take."""
        signed = self._hash.copy()
        signed.update_batch(shingled)
        return signed

    def add(self, key: Hashable, signature: Any) -> None:
        self._index.insert(key, signature, check_duplication=False)

    def near(self, signature: Any) -> list[Any]:
        """Return the keys of sets that may be near."""
        return list(self._index.query(signature))
