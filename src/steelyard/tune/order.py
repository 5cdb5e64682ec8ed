"""Which examples a step learns from: a function of seed and step alone, so that runs resume."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

WINDOW = 16  # batches whose examples are sorted by length among themselves, to save padding


class Order:
    """An endless row of batches: each epoch holds every example once, shuffled anew.

    Examples of like length share a batch where the shuffled order leaves the choice. A batch in
    which one epoch ends is filled up by the next.
    """

    def __init__(self, lengths: Sequence[int], *, batch_size: int, seed: int) -> None:
        self._lengths = np.array(lengths, np.int64)
        self._batch_size = batch_size
        self._seed = seed
        self._epochs: dict[int, Indices] = {}

    def batch(self, step: int) -> Indices:
        """Return the examples (B,) of a step, from 0."""
        num = len(self._lengths)
        wanted = np.arange(step * self._batch_size, (step + 1) * self._batch_size)
        of_epoch = wanted // num
        return np.concatenate(
            [self._epoch(int(one))[wanted[of_epoch == one] % num] for one in np.unique(of_epoch)]
        )

    def longest(self) -> Indices:
        """Return as many of the longest examples as a batch has, the longest first."""
        by_length = np.argsort(-self._lengths, kind="stable")
        return np.resize(by_length, self._batch_size)

    def _epoch(self, epoch: int) -> Indices:
        if epoch not in self._epochs:
            kept = {key: value for key, value in self._epochs.items() if key == epoch - 1}
            self._epochs = kept | {epoch: self._shuffled(epoch)}
        return self._epochs[epoch]

    def _shuffled(self, epoch: int) -> Indices:
        num, size = len(self._lengths), self._batch_size
        chance = np.random.Generator(np.random.PCG64([self._seed, epoch]))
        order = chance.permutation(num)
        head = -(epoch * num) % size  # these fill the batch in which the last epoch ended
        parts = [order[:head]]
        for start in range(head, num, WINDOW * size):
            window = order[start : start + WINDOW * size]
            window = window[np.argsort(-self._lengths[window], kind="stable")]
            whole = len(window) // size
            batches = [window[n * size : (n + 1) * size] for n in range(whole)]
            parts += [batches[n] for n in chance.permutation(whole)]
            parts.append(window[whole * size :])  # the epoch's end, where it fills no batch
        return np.concatenate(parts)


def pieces(indices: Indices, *, accumulate: int, process: int, num_processes: int) -> list[Indices]:
    """Return the parts of a batch that one process does, one for each piece of the step.

    All processes' parts of a piece are together what one process alone would do of it.
    """
    return [piece[process::num_processes] for piece in np.split(indices, accumulate)]
