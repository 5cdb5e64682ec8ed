"""Two texts as one input, made from token ids: what a tokenizer's pair template does."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.infra.bert.tokenizer import BertTokenizer

Ids = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Pair:
    """`ids` and `segments` (0 or 1 each) of one input, both (S,)."""

    ids: Ids
    segments: Ids


@dataclass(frozen=True, slots=True)
class PairTemplate:
    """The special tokens before, between and after two texts, and each part's segments."""

    before: Pair
    between: Pair
    after: Pair
    first_segment: int
    second_segment: int

    @classmethod
    def of(cls, tokenizer: BertTokenizer) -> "PairTemplate":
        """Read the template off an encoded pair of probes."""
        encoding = tokenizer.pair("a", "a")
        ids = np.array(encoding.ids, np.int32)
        segments = np.array(encoding.type_ids, np.int32)
        own = np.flatnonzero(np.array(encoding.special_tokens_mask) == 0)
        length = len(tokenizer.own_ids("a", limit=8))
        assert len(own) == 2 * length, f"a pair of probes has tokens {encoding.tokens}"
        first, second = own[:length], own[length:]

        def part(start: int, stop: int) -> Pair:
            return Pair(ids[start:stop], segments[start:stop])

        return cls(
            before=part(0, first[0]),
            between=part(first[-1] + 1, second[0]),
            after=part(second[-1] + 1, len(ids)),
            first_segment=int(segments[first[0]]),
            second_segment=int(segments[second[0]]),
        )

    @property
    def num_special(self) -> int:
        return len(self.before.ids) + len(self.between.ids) + len(self.after.ids)

    def join(self, first: Ids, second: Ids) -> Pair:
        """Return the input for two texts' ids, nothing cut."""
        before, between, after = self.before, self.between, self.after
        return Pair(
            ids=np.concatenate([before.ids, first, between.ids, second, after.ids]),
            segments=np.concatenate(
                [
                    before.segments,
                    np.full(len(first), self.first_segment, np.int32),
                    between.segments,
                    np.full(len(second), self.second_segment, np.int32),
                    after.segments,
                ]
            ),
        )
