"""Reranking by late interaction: question and passage are read apart, their tokens compared.

What is compared and how it adds up: `core/late.py`. A passage's vectors do not depend on the
question, so they are read ahead and kept, or at least remembered, as int8: of a row only its
direction counts, so it is stretched to the range.

Shapes: Q tokens of the question, P of the passage, D numbers of a vector.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import SetupError, UpstreamError
from steelyard.core.late import SATURATION, WINDOW_STEP, LateScoring
from steelyard.core.ranking import RerankPassage
from steelyard.infra.bert import (
    BertTokenizer,
    BuiltEncoder,
    SessionOptions,
    TokenSession,
    open_tokenizer,
    open_tokens,
    ready_tokens,
)
from steelyard.infra.bert.session import GRAPH_FILE
from steelyard.rerank.chosen import check_length, choose
from steelyard.rerank.inputs import Ids, SingleInputs
from steelyard.rerank.options import RerankOptions
from steelyard.rerank.pace import Pace
from steelyard.rerank.race import Lanes

Rows = NDArray[np.float32]
Kept = NDArray[np.int8]

_KEPT_PASSAGES = 4096  # of 100 tokens and 128 numbers: some 50 MB
_INT8_MAX = 127.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: its own ids (Q,), its tokens' unit vectors (Q, D), and their weights (Q,)."""

    ids: Ids
    rows_QD: Rows
    weights_Q: Rows


@dataclass(frozen=True, slots=True)
class Apart:
    """A question, the ids (P,) of a passage with special tokens, and its vectors if it was read."""

    asked: Asked
    ids: Ids
    vectors: Kept | None


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
        if chosen.adapter is None or chosen.late is None:
            raise SetupError(
                f"rerank.adapter {str(chosen.adapter)!r} was not trained for late interaction; "
                "train one with reranker.scoring: late"
            )
        self.first_stage, self._scoring = chosen.first_stage, chosen.late
        self.max_tokens = chosen.max_tokens
        self.built: BuiltEncoder = ready_tokens(
            chosen.base, precision=options.precision, adapter=chosen.adapter
        )
        self._tokenizer = BertTokenizer(open_tokenizer(chosen.base))
        self._inputs = SingleInputs(self._tokenizer, max_tokens=chosen.max_tokens)
        check_length(
            chosen, options, least=self._inputs.smallest, most=self.built.max_tokens_possible
        )
        self._session: TokenSession = open_tokens(
            self.built.folder / GRAPH_FILE, SessionOptions(threads=1)
        )
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._lanes = Lanes(model=options.model, pool=pool)
        full = RerankPassage(0, "", np.ones(self.max_tokens, np.int32))
        self._lanes.warm_up(self, full)
        self.forget()

    @property
    def model(self) -> str:
        """Return a name that changes with weights, adapter, precision and input length."""
        return f"{self.options.model}@{self.built.identity[:12]}-{self.max_tokens}"

    @property
    def reads_as(self) -> str:
        """Return what decides a passage's vectors: weights, head, precision and input length."""
        return f"{self.built.identity}-{self.max_tokens}"

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
        read_QK = self._inputs.own(self._session.tokens(self._inputs.whole(ids)))
        # Softplus, as in training; a question of no known word has no token and no weight.
        weights_Q = np.logaddexp(0.0, read_QK[:, 0]).astype(np.float32)
        total = float(weights_Q.sum())
        return Asked(ids, unit(read_QK[:, 1:]), weights_Q / total if total else weights_Q)

    def pair(self, question: Asked, passage: RerankPassage) -> Apart:
        ids = self._inputs.passage(question.ids, passage)
        if passage.vectors is not None and len(passage.vectors) == self._inputs.num_own(ids):
            return Apart(question, ids, passage.vectors)
        key = ids.tobytes()
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
        return Apart(question, ids, kept)

    def num_tokens(self, pair: Apart) -> int:
        return len(pair.ids) if pair.vectors is None else 0

    def score(self, pair: Apart) -> float:
        asked = pair.asked
        vectors_PD = self._read(pair.ids) if pair.vectors is None else pair.vectors
        if not len(vectors_PD) or not len(asked.rows_QD):
            return self._scoring.least
        told_P = self._inputs.own(pair.ids)
        return interaction(asked, told_P, unit(vectors_PD.astype(np.float32)), self._scoring)

    def read(self, passages: Sequence[RerankPassage]) -> list[Kept]:
        """Return each passage's vectors, by which a later question need not read it; blocking.

        Raises:
            UpstreamError: the model failed.
        """
        nothing = np.empty((0, 0), np.int8)
        whole = [self._inputs.unasked(passage) for passage in passages]
        try:
            return [nothing if ids is None else self._vectors(ids) for ids in whole]
        except Exception as error:  # the runtime's errors share no base class
            raise UpstreamError(f"reranker {self.model!r} failed: {error}") from error

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

    def _read(self, ids: Ids) -> Kept:
        """Return the vectors (P, D) of a passage's own tokens, and remember them."""
        made = self._vectors(ids)
        with self._lock:
            self._kept[ids.tobytes()] = made
            while len(self._kept) > _KEPT_PASSAGES:
                self._kept.popitem(last=False)
        return made

    def _vectors(self, ids: Ids) -> Kept:
        rows_PD = self._inputs.own(self._session.tokens(ids))[:, 1:]
        peaks_P1 = np.abs(rows_PD).max(axis=1, keepdims=True)
        stretched_PD = rows_PD * (_INT8_MAX / np.maximum(peaks_P1, 1e-9))
        return np.asarray(np.rint(stretched_PD), np.int8)


def interaction(asked: Asked, told_P: Ids, told_PD: Rows, scoring: LateScoring) -> float:
    """Return a passage's score, by the ids and unit vectors of its own tokens."""
    # einsum: a product by BLAS would wake its threads, which spin on the cores of other lanes.
    cosines_QP = np.einsum("qd,pd->qp", asked.rows_QD, told_PD)
    score = scoring.scale * _weighted(asked, cosines_QP.max(axis=1))
    if scoring.window_scale:
        missing = np.full((len(cosines_QP), scoring.window - 1), -1.0, np.float32)
        wide_QP = np.concatenate([cosines_QP, missing], axis=1)
        stretches = np.lib.stride_tricks.sliding_window_view(wide_QP, scoring.window, axis=1)
        best_QN = stretches[:, ::WINDOW_STEP].max(axis=2)
        best = np.einsum("qn,q->n", best_QN, asked.weights_Q).max()
        score += scoring.window_scale * float(best)
    same_QP = asked.ids[:, None] == told_P[None, :]
    if scoring.exact:
        often_Q = same_QP.sum(axis=1)
        score += scoring.exact * _weighted(asked, often_Q / (often_Q + SATURATION))
    if scoring.adjacent and len(asked.ids) > 1:
        pairs_N = np.sqrt(asked.weights_Q[:-1] * asked.weights_Q[1:])
        is_there_N = (same_QP[:-1, :-1] & same_QP[1:, 1:]).any(axis=1)
        score += scoring.adjacent * float(pairs_N[is_there_N].sum() / max(pairs_N.sum(), 1e-9))
    return score


def _weighted(asked: Asked, values_Q: Rows) -> float:
    return float(np.einsum("q,q->", values_Q, asked.weights_Q))


def unit(rows: Rows) -> Rows:
    """Return rows of unit length; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), np.float32)
