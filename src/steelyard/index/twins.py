"""Slots with equal codes: one of them stands in the graph for all.

A crowd of equal vectors (a licence header in five hundred files) links only to itself, fills
every walk that meets it, and hides what lies behind. So the graph holds each code once.

Shape suffixes: L leaders (slots in the graph), F followers, M slots asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.index.codes import Codes
from steelyard.index.rows import Slots

Hashes = NDArray[np.uint64]

_WORD_BYTES = 8


@dataclass(frozen=True, slots=True)
class Twins:
    """Which slots lead and which follow whom."""

    hashes: Hashes  # (L,), ascending
    leaders: Slots  # (L,), in the order of `hashes`
    followed: Slots  # (F,), ascending: the leader of each of
    followers: Slots  # (F,)

    @classmethod
    def none(cls) -> Twins:
        slots = np.empty(0, dtype=np.int64)
        return cls(np.empty(0, dtype=np.uint64), slots, slots, slots)

    def leaders_of(self, hashes: Hashes, slots: Slots) -> Slots:
        """Return for each slot the one that leads it, which is itself if its code is new.

        `slots` are new here; the first of several with one new code leads the others.
        """
        _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
        leaders = slots[first][group]
        if not len(self.hashes):
            return leaders
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[places] == hashes, self.leaders[places], leaders)

    def joined(self, new_hashes: Hashes, slots: Slots, leaders: Slots) -> Twins:
        """Return these twins and new `slots`, led by `leaders`."""
        leading = leaders == slots
        hashes = np.concatenate([self.hashes, new_hashes[leading]])
        order = np.argsort(hashes, kind="stable")
        followed = np.concatenate([self.followed, leaders[~leading]])
        followers = np.concatenate([self.followers, slots[~leading]])
        by_leader = np.argsort(followed, kind="stable")
        return Twins(
            hashes=hashes[order],
            leaders=np.concatenate([self.leaders, slots[leading]])[order],
            followed=followed[by_leader],
            followers=followers[by_leader],
        )

    def with_followers(self, slots: Slots) -> Slots:
        """Return leaders and all that follow them, in no order."""
        if not len(self.followed):
            return slots
        begins = np.searchsorted(self.followed, slots, side="left")
        ends = np.searchsorted(self.followed, slots, side="right")
        crowds = [
            self.followers[begin:end]
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
            if end > begin
        ]
        return np.concatenate([slots, *crowds])


def hashes_of(codes: Codes) -> Hashes:
    """Return 64 bits a row; rows that differ collide once in 10^19 pairs."""
    rows = np.ascontiguousarray(codes).view(np.uint8).reshape(len(codes), -1)
    num_words = -(-rows.shape[1] // _WORD_BYTES)
    padded = np.zeros((len(rows), num_words * _WORD_BYTES), dtype=np.uint8)
    padded[:, : rows.shape[1]] = rows
    words = padded.view(np.uint64)
    mixed = (words ^ (words >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    factors = np.random.default_rng(num_words).integers(
        0, 2**64 - 1, num_words, dtype=np.uint64
    ) | np.uint64(1)
    summed: Hashes = (mixed * factors).sum(axis=1, dtype=np.uint64)
    return summed
