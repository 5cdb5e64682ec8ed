"""A question and a passage as one input, cut as serving cuts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steelyard.infra.bert import BertTokenizer, Pair, PairTemplate, open_tokenizer
from steelyard.infra.bert.window import best_window
from steelyard.tune.encoder import Encoder, masks, padded
from steelyard.tune.tokens import Ids, Texts

if TYPE_CHECKING:
    import torch

SEEN_TOKENS = 512  # of a passage, from which its best window is taken (rerank: the same)


@dataclass(frozen=True, slots=True)
class Scored:
    """A pair, and how many of the passage's own tokens it has and lacks."""

    pair: Pair
    kept: int
    cut: int


class Pairing:
    """Makes pairs for one base."""

    def __init__(self, encoder: Encoder) -> None:
        self._texts = Texts(encoder.path)
        self._template = PairTemplate.of(BertTokenizer(open_tokenizer(encoder.path)))
        self._room = encoder.recipe.max_tokens - self._template.num_special
        self.template = self._template
        self._typed = encoder.card.architecture.model_type == "bert"

    @property
    def room(self) -> int:
        """Return how many tokens a question and a passage may have together."""
        return self._room

    def question(self, text: str) -> tuple[Ids, int]:
        """Return a question's ids, cut to half of the room, and how many were cut off."""
        (encoding,) = self._texts.encodings([text])
        ids = np.array(encoding.ids, np.int32)
        limit = max(1, self._room // 2)
        return ids[:limit], max(0, len(ids) - limit)

    def passages(self, question: Ids, texts: Sequence[str]) -> list[Scored]:
        """Return the pair of a question with the best window of each passage."""
        room = self._room - len(question)
        made: list[Scored] = []
        for encoding in self._texts.encodings(texts):
            ids = np.array(encoding.ids, np.int32)
            window = best_window(ids[:SEEN_TOKENS], question, room=room)
            pair = self._template.join(question, window)
            made.append(Scored(pair, len(window), len(ids) - len(window)))
        return made

    def inputs(self, pairs: Sequence[Pair]) -> dict[str, "torch.Tensor"]:
        """Return pairs as a model takes them, padded."""
        ids = [one.ids for one in pairs]
        made = {"input_ids": padded(ids), "attention_mask": masks(ids)}
        if self._typed:
            made["token_type_ids"] = padded([one.segments for one in pairs])
        return made
