"""What a question sees: both indexes at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.core.errors import InputError
from steelyard.core.ranking import Allowed, Ranking, Vector
from steelyard.index.dense import DenseView
from steelyard.index.lexical import LexicalView


@dataclass(frozen=True, slots=True)
class View:
    """Both indexes at one sequence number; stays valid while others are published."""

    seq: int
    fingerprint: str
    dense_view: DenseView
    lexical_view: LexicalView

    @property
    def num_chunks(self) -> int:
        return self.dense_view.num_live

    def dense(self, vector: Vector, *, k: int, allowed: Allowed) -> Ranking:
        """Return the k nearest chunks by cosine; fewer only if fewer are allowed.

        Raises:
            InputError: `k` is below 1, or `vector` has not the index's dimensions.
        """
        _check_k(k)
        dim = self.dense_view.rows.vectors.shape[1]
        if vector.shape != (dim,):
            raise InputError(
                f"The index holds vectors of {dim} dimensions, the query's shape is "
                f"{vector.shape}: embed it with the index's own embedder"
            )
        return self.dense_view.search(vector, k=k, allowed=allowed)

    def lexical(self, text: str, *, k: int, allowed: Allowed) -> Ranking:
        """Return the k best chunks by BM25; text of any length and any characters is safe.

        Raises:
            InputError: `k` is below 1.
        """
        _check_k(k)
        share = self.dense_view.share(allowed)
        return self.lexical_view.search(text, k=k, allowed=allowed, share=share)


def _check_k(k: int) -> None:
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}")
