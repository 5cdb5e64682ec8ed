"""Embeddings without a model: hashed bags of words, for tests and machines without weights."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from steelyard.core.errors import InputError
from steelyard.core.ranking import Matrix, Vector

_WORD = re.compile(r"\w+|[^\w\s]")


class WordTokenizer:
    """A token is a run of letters, digits and underscores, or one other visible character."""

    def count(self, texts: Sequence[str]) -> list[int]:
        return [sum(1 for _ in _WORD.finditer(text)) for text in texts]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return the character span of each token of `text`, in order."""
        return [match.span() for match in _WORD.finditer(text)]


class HashingEmbedder:
    """Embeds by word overlap: each word adds +1 or -1 to one of `dim` places.

    Equal on every machine and in every process. A text without a word gets the first unit
    vector, so that every embedding has unit length.

    Source: the hashing trick, Weinberger et al., ICML 2009; counts are damped by square root.
    """

    def __init__(self, dim: int = 64) -> None:
        if dim < 1:
            raise InputError(f"dim {dim} is not positive; give 1 or more")
        self._dim = dim
        self._tokenizer = WordTokenizer()

    @property
    def fingerprint(self) -> str:
        return f"hashing-1-{self._dim}"

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def tokenizer(self) -> WordTokenizer:
        return self._tokenizer

    def embed_passages(self, texts: Sequence[str]) -> Matrix:
        """Return one row per text, in order."""
        rows_ND = np.empty((len(texts), self._dim), np.float32)
        for row, text in zip(rows_ND, texts, strict=True):
            row[:] = self.embed_query(text)
        return rows_ND

    def embed_query(self, text: str) -> Vector:
        """Return the unit vector of a text; questions and passages are treated alike."""
        vector = np.zeros(self._dim, np.float32)
        for word, times in Counter(match.group() for match in _WORD.finditer(text.lower())).items():
            place, sign = _place(word, self._dim)
            vector[place] += sign * times**0.5
        length = float(np.linalg.norm(vector))
        if length == 0.0:
            vector[0] = length = 1.0
        return vector / np.float32(length)


def _place(word: str, dim: int) -> tuple[int, float]:
    digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
    number = int.from_bytes(digest, "little")
    return (number >> 1) % dim, 1.0 if number & 1 else -1.0
