"""From a question and passages to the model's inputs, under a token budget."""

import threading
from collections import OrderedDict
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from steelyard.core.ranking import RerankPassage
from steelyard.infra.bert import BertTokenizer, Pair, PairTemplate
from steelyard.infra.bert.window import best_window

Ids = NDArray[np.int32]
T = TypeVar("T", np.int32, np.float32)

_KEPT_TEXTS = 2_000  # of passages without kept ids: some 2 MB
_PASSAGE_TOKENS = 512  # a text is tokenised so far; its best window is smaller


class PassageIds:
    """The ids of passages: kept at ingestion, or tokenised here and remembered."""

    def __init__(self, tokenizer: BertTokenizer) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Ids] = OrderedDict()

    def of(self, passage: RerankPassage) -> Ids:
        if passage.token_ids is not None:
            return passage.token_ids
        text = passage.text
        with self._lock:
            if text in self._kept:
                self._kept.move_to_end(text)
                return self._kept[text]
        ids = self._tokenizer.own_ids(text, limit=_PASSAGE_TOKENS)
        with self._lock:
            self._kept[text] = ids
            while len(self._kept) > _KEPT_TEXTS:
                self._kept.popitem(last=False)
        return ids


class PairInputs:
    """Joins question and passage ids; tokenises only what came without ids."""

    def __init__(self, tokenizer: BertTokenizer, *, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._template = PairTemplate.of(tokenizer)
        self._room = max_tokens - self._template.num_special
        self._passages = PassageIds(tokenizer)

    @property
    def smallest(self) -> int:
        """Return how many tokens a pair of one token each has."""
        return self._template.num_special + 2

    def question(self, text: str) -> Ids:
        """Return a question's ids, cut to half of the room, so that a passage has the rest."""
        return self._tokenizer.own_ids(text, limit=max(1, self._room // 2))

    def pair(self, question: Ids, passage: RerankPassage) -> Pair:
        """Return the input of a pair, at most `max_tokens` long."""
        ids = self._passages.of(passage)
        room = self._room - len(question)
        return self._template.join(question, best_window(ids, question, room=room))


class SingleInputs:
    """Question and passage as inputs of their own, each between the model's special tokens."""

    def __init__(self, tokenizer: BertTokenizer, *, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        around = tokenizer.ids("a", limit=8)
        own = list(tokenizer.own_ids("a", limit=8))
        at = next(n for n in range(len(around)) if around[n : n + len(own)] == own)
        self._before = np.array(around[:at], np.int32)
        self._after = np.array(around[at + len(own) :], np.int32)
        self._room = max_tokens - len(self._before) - len(self._after)
        self._passages = PassageIds(tokenizer)

    @property
    def smallest(self) -> int:
        """Return how many tokens an input of one token has."""
        return len(self._before) + len(self._after) + 1

    def question(self, text: str) -> Ids:
        """Return a question's own ids, cut to half of the room."""
        return self._tokenizer.own_ids(text, limit=max(1, self._room // 2))

    def passage(self, question: Ids, passage: RerankPassage) -> Ids:
        """Return the input of a passage, at most `max_tokens` long."""
        return self.whole(best_window(self._passages.of(passage), question, room=self._room))

    def unasked(self, passage: RerankPassage) -> Ids | None:
        """Return the input of a passage that every question reads alike; None: it is longer."""
        ids = self._passages.of(passage)
        return self.whole(ids) if len(ids) <= self._room else None

    def num_own(self, ids: Ids) -> int:
        """Return how many tokens of an input are its own."""
        return len(ids) - len(self._before) - len(self._after)

    def whole(self, ids: Ids) -> Ids:
        """Return ids between the special tokens."""
        return np.concatenate([self._before, ids, self._after])

    def own(self, rows: NDArray[T]) -> NDArray[T]:
        """Return the rows of an input's own tokens, without the special tokens around them."""
        return rows[len(self._before) : len(rows) - len(self._after)]
