"""Reranking by late interaction: question and passage are read apart, their tokens compared.

Each token of the question takes its best cosine among the passage's tokens; the mean of these,
weighted by what a trained head says of each token of the question, is the score (Khattab & Zaharia,
ColBERT, SIGIR 2020). A passage's vectors do not depend on the question, so they are remembered.

Shapes: Q tokens of the question, P of the passage, H hidden.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import SetupError
from steelyard.core.ranking import RerankPassage
from steelyard.infra.bert import (
    BertTokenizer,
    BuiltEncoder,
    EncoderSession,
    SessionOptions,
    open_session,
    open_tokenizer,
    ready_tokens,
)
from steelyard.infra.bert.lora import read_whole
from steelyard.infra.bert.session import GRAPH_FILE
from steelyard.rerank.chosen import check_length, choose
from steelyard.rerank.inputs import Ids, SingleInputs
from steelyard.rerank.options import RerankOptions
from steelyard.rerank.pace import Pace
from steelyard.rerank.race import Lanes

Rows = NDArray[np.float32]

_KEPT_PASSAGES = 512  # of 100 tokens and 384 dimensions as float16: some 40 MB


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: its ids, the unit vectors (Q, H) of its own tokens, and their weights (Q,)."""

    ids: Ids
    rows_QH: Rows
    weights_Q: Rows


@dataclass(frozen=True, slots=True)
class Apart:
    """A question, the ids of a passage with special tokens, and how many are still to be read."""

    asked: Asked
    ids: Ids
    num_unread: int


class LateInteraction:
    """A `Reranker` over an adapter that was trained so; two passages at once, a thread each."""

    def __init__(
        self,
        options: RerankOptions,
        *,
        allow_download: bool = False,
        pool: ThreadPoolExecutor | None = None,
    ) -> None:
        """Find, build if needed, open and try the model; `pool` as `Lanes` has it.

        Raises:
            SetupError: the model or its adapter is missing, damaged, or cannot rerank.
        """
        self.options = options
        chosen = choose(options, allow_download=allow_download)
        if chosen.adapter is None or not chosen.is_late:
            raise SetupError(
                f"rerank.adapter {str(chosen.adapter)!r} was not trained for late interaction; "
                "train one with reranker.scoring: late"
            )
        self.first_stage, self._scale = chosen.first_stage, chosen.scale
        self.max_tokens = chosen.max_tokens
        self.built: BuiltEncoder = ready_tokens(
            chosen.base, precision=options.precision, adapter=chosen.adapter
        )
        self._head = _read_head(chosen.adapter)
        self._tokenizer = BertTokenizer(open_tokenizer(chosen.base))
        self._inputs = SingleInputs(self._tokenizer, max_tokens=chosen.max_tokens)
        check_length(
            chosen, options, least=self._inputs.smallest, most=self.built.max_tokens_possible
        )
        self._session: EncoderSession = open_session(
            self.built.folder / GRAPH_FILE, SessionOptions(threads=1)
        )
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, NDArray[np.float16]] = OrderedDict()
        self._lanes = Lanes(model=options.model, pool=pool)
        full = RerankPassage(0, "", np.ones(self.max_tokens, np.int32))
        self._lanes.warm_up(self, full)
        self.forget()

    @property
    def model(self) -> str:
        """Return a name that changes with weights, adapter, precision and input length."""
        return f"{self.options.model}@{self.built.identity[:12]}-{self.max_tokens}"

    @property
    def tokenizer_identity(self) -> str:
        """Return whose token ids passages may bring along."""
        return self._tokenizer.identity

    @property
    def pace(self) -> Pace:
        return self._lanes.pace

    async def scores(
        self, question: str, passages: Sequence[RerankPassage], *, budget_s: float
    ) -> list[float]:
        """Return scores of the first m passages, as many as fit into `budget_s`; none: [].

        Raises:
            UpstreamError: the model failed, or gave a number that is not finite.
        """
        return await self._lanes.scores(self, question, passages, budget_s=budget_s)

    def question(self, text: str) -> Asked:
        ids = self._inputs.question(text)
        hidden_QH = self._inputs.own(self._session.hidden(self._inputs.whole(ids)))
        # Softplus, as in training; a question of no known word has no token and no weight.
        logits_Q = np.einsum("qh,h->q", hidden_QH, self._head.weight_H) + self._head.bias
        weights_Q = np.logaddexp(0.0, logits_Q)
        total = float(weights_Q.sum())
        return Asked(ids, unit(hidden_QH), weights_Q / total if total else weights_Q)

    def pair(self, question: Asked, passage: RerankPassage) -> Apart:
        ids = self._inputs.passage(question.ids, passage)
        with self._lock:
            is_kept = ids.tobytes() in self._kept
        return Apart(question, ids, 0 if is_kept else len(ids))

    def num_tokens(self, pair: Apart) -> int:
        return pair.num_unread

    def score(self, pair: Apart) -> float:
        rows_PH, asked = self._rows(pair.ids), pair.asked
        if not len(rows_PH) or not len(asked.rows_QH):
            return -self._scale  # nothing to compare: the least that cosines can give
        # einsum: a product by BLAS would wake its threads, which spin on the cores of other lanes.
        best_Q = np.einsum("qh,ph->qp", asked.rows_QH, rows_PH).max(axis=1)
        return float(self._scale * np.einsum("q,q->", best_Q, asked.weights_Q))

    def forget(self) -> None:
        """Forget the vectors of passages."""
        with self._lock:
            self._kept.clear()

    def close(self) -> None:
        """End the threads, if they are our own; `scores` may not be called again."""
        self._lanes.close()

    async def aclose(self) -> None:
        """End the threads without waiting for a run that is under way."""
        await self._lanes.aclose()

    def _rows(self, ids: Ids) -> Rows:
        """Return the unit vectors (P, H) of a passage's own tokens."""
        key = ids.tobytes()
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept.astype(np.float32)
        rows_PH = unit(self._inputs.own(self._session.hidden(ids))).astype(np.float16)
        with self._lock:
            self._kept[key] = rows_PH
            while len(self._kept) > _KEPT_PASSAGES:
                self._kept.popitem(last=False)
        return rows_PH.astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Head:
    """What tells how much a token of the question counts."""

    weight_H: Rows
    bias: float


def _read_head(adapter: Path) -> _Head:
    whole = read_whole(adapter)
    try:
        return _Head(whole["classifier.weight"][0], float(whole["classifier.bias"][0]))
    except (KeyError, IndexError) as error:
        raise SetupError(
            f"adapter {str(adapter)!r} lacks late interaction's head; train it again"
        ) from error


def unit(rows: Rows) -> Rows:
    """Return rows of unit length; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), np.float32)
