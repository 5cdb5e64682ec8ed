"""From a question and passages to the model's inputs, under a token budget."""

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from steelyard.core.ranking import RerankPassage
from steelyard.infra.bert import BertTokenizer, Pair, PairTemplate
from steelyard.infra.bert.window import best_window

Ids = NDArray[np.int32]

_KEPT_TEXTS = 2_000  # of passages without kept ids: some 2 MB
_PASSAGE_TOKENS = 512  # a text is tokenised so far; its best window is smaller


class PairInputs:
    """Joins question and passage ids; tokenises only what came without ids."""

    def __init__(self, tokenizer: BertTokenizer, *, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._template = PairTemplate.of(tokenizer)
        self._room = max_tokens - self._template.num_special
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Ids] = OrderedDict()

    @property
    def smallest(self) -> int:
        """Return how many tokens a pair of one token each has."""
        return self._template.num_special + 2

    def question(self, text: str) -> Ids:
        """Return a question's ids, cut to half of the room, so that a passage has the rest."""
        return self._tokenizer.own_ids(text, limit=max(1, self._room // 2))

    def pair(self, question: Ids, passage: RerankPassage) -> Pair:
        """Return the input of a pair, at most `max_tokens` long."""
        ids = passage.token_ids
        if ids is None:
            ids = self._ids_of(passage.text)
        room = self._room - len(question)
        return self._template.join(question, best_window(ids, question, room=room))

    def _ids_of(self, text: str) -> Ids:
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
