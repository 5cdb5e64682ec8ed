"""Reranking by a cross-encoder on this machine, within a time budget."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from steelyard.core.ranking import RerankPassage
from steelyard.infra.bert import (
    BertTokenizer,
    BuiltEncoder,
    Pair,
    ScorerSession,
    SessionOptions,
    open_scorer,
    open_tokenizer,
    ready_scorer,
)
from steelyard.infra.bert.session import GRAPH_FILE
from steelyard.rerank.chosen import check_length, choose
from steelyard.rerank.inputs import Ids, PairInputs
from steelyard.rerank.options import RerankOptions
from steelyard.rerank.pace import Pace
from steelyard.rerank.race import Lanes


class CrossEncoder:
    """A `Reranker` over one model; one pair a run, one thread a run, two runs at once.

    One pair a run needs no padding, and an int8 score does not depend on its neighbours:
    activations are scaled by the largest value of a run.
    """

    def __init__(
        self,
        options: RerankOptions,
        *,
        allow_download: bool = False,
        pool: ThreadPoolExecutor | None = None,
    ) -> None:
        """Find, build if needed, open and try the model; `pool` as `Lanes` has it.

        Raises:
            SetupError: the model is missing, damaged, or cannot rerank.
        """
        self.options = options
        chosen = choose(options, allow_download=allow_download)
        self.first_stage = chosen.first_stage
        self.max_tokens = chosen.max_tokens
        self.built: BuiltEncoder = ready_scorer(
            chosen.base, precision=options.precision, adapter=chosen.adapter
        )
        self._tokenizer = BertTokenizer(open_tokenizer(chosen.base))
        self._inputs = PairInputs(self._tokenizer, max_tokens=chosen.max_tokens)
        check_length(
            chosen, options, least=self._inputs.smallest, most=self.built.max_tokens_possible
        )
        self._session: ScorerSession = open_scorer(
            self.built.folder / GRAPH_FILE, SessionOptions(threads=1)
        )
        self._lanes = Lanes(model=options.model, pool=pool)
        full = RerankPassage(0, "", np.ones(self.max_tokens, np.int32))
        self._lanes.warm_up(self, full)

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
        """Return logits of the first m passages, as many as fit into `budget_s`; none: [].

        Raises:
            UpstreamError: the model failed, or gave a number that is not finite.
        """
        return await self._lanes.scores(self, question, passages, budget_s=budget_s)

    def question(self, text: str) -> Ids:
        return self._inputs.question(text)

    def pair(self, question: Ids, passage: RerankPassage) -> Pair:
        return self._inputs.pair(question, passage)

    def num_tokens(self, pair: Pair) -> int:
        return len(pair.ids)

    def score(self, pair: Pair) -> float:
        return self._session.score(pair)

    def close(self) -> None:
        """End the threads, if they are our own; `scores` may not be called again."""
        self._lanes.close()

    async def aclose(self) -> None:
        """End the threads without waiting for a run that is under way."""
        await self._lanes.aclose()
