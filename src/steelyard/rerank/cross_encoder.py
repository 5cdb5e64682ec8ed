"""Reranking by a cross-encoder on this machine, within a time budget."""

import asyncio
import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np

from steelyard.core.errors import SetupError, UpstreamError
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
from steelyard.infra.concurrent import compute
from steelyard.infra.models import find_model
from steelyard.rerank.inputs import PairInputs
from steelyard.rerank.options import RerankOptions
from steelyard.rerank.pace import Pace

NUM_LANES = 2  # more runs at once only share the same cores
_WARM_UP_RUNS = 3


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
        """Find, build if needed, open and try the model. `pool` has `NUM_LANES` threads and no
        other work; one is made if none is given.

        Raises:
            SetupError: the model is missing, damaged, or cannot rerank.
        """
        self.options = options
        path = find_model(options.model, allow_download=allow_download)
        adapter = Path(options.adapter).expanduser() if options.adapter else None
        self.built: BuiltEncoder = ready_scorer(path, precision=options.precision, adapter=adapter)
        self._tokenizer = BertTokenizer(open_tokenizer(path))
        self._inputs = PairInputs(self._tokenizer, max_tokens=options.max_tokens)
        self._check_limits()
        self._session: ScorerSession = open_scorer(
            self.built.folder / GRAPH_FILE, SessionOptions(threads=1)
        )
        self._own_pool = pool is None
        self._pool = pool or ThreadPoolExecutor(NUM_LANES, "steelyard-rerank")
        self.pace = Pace()
        self._warm_up()

    @property
    def model(self) -> str:
        """Return a name that changes with weights, adapter, precision and input length."""
        return f"{self.options.model}@{self.built.identity[:12]}-{self.options.max_tokens}"

    @property
    def tokenizer_identity(self) -> str:
        """Return whose token ids passages may bring along."""
        return self._tokenizer.identity

    async def scores(
        self, question: str, passages: Sequence[RerankPassage], *, budget_s: float
    ) -> list[float]:
        """Return logits of the first m passages, as many as fit into `budget_s`; none: [].

        Raises:
            UpstreamError: the model failed, or gave a number that is not finite.
        """
        deadline = perf_counter() + budget_s
        if budget_s <= 0 or not passages:
            return []
        race = _Race(self._session, self._inputs, self.pace, passages, deadline=deadline)
        lanes = [
            asyncio.ensure_future(compute(self._pool, race.run, question))
            for _ in range(min(NUM_LANES, len(passages)))
        ]
        try:
            await asyncio.wait(lanes, timeout=budget_s, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            race.stop()
            for lane in lanes:
                lane.cancel()
            # A lane that is in the middle of a run ends after it, with nobody waiting.
            await asyncio.gather(*lanes, return_exceptions=True)
        for lane in lanes:
            if not lane.cancelled() and (error := lane.exception()) is not None:
                raise _upstream(error, self.options.model) from error
        return race.prefix()

    def close(self) -> None:
        """End the threads, if they are our own; `scores` may not be called again."""
        if self._own_pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    async def aclose(self) -> None:
        """End the threads without waiting for a run that is under way."""
        if self._own_pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _check_limits(self) -> None:
        wanted, most = self.options.max_tokens, self.built.max_tokens_possible
        if not self._inputs.smallest <= wanted <= most:
            raise SetupError(
                f"rerank.max_tokens {wanted} does not suit model {self.options.model!r}; set "
                f"{self._inputs.smallest} to {most}"
            )

    def _warm_up(self) -> None:
        """Run a full pair a few times, so that the first budget meets a known pace."""
        word = RerankPassage(0, "", np.ones(self.options.max_tokens, np.int32))
        pair = self._inputs.pair(self._inputs.question("ready?"), word)
        for turn in range(_WARM_UP_RUNS):
            started = perf_counter()
            score = self._session.score(pair)
            if turn:  # the first run reads the weights
                self.pace.saw(len(pair.ids), perf_counter() - started)
            if not math.isfinite(score):
                raise SetupError(f"model {self.options.model!r} gives {score}; download it again")


class _Race:
    """One request's runs: lanes take passages in order until all are scored or time is up."""

    def __init__(
        self,
        session: ScorerSession,
        inputs: PairInputs,
        pace: Pace,
        passages: Sequence[RerankPassage],
        *,
        deadline: float,
    ) -> None:
        self._session = session
        self._inputs = inputs
        self._pace = pace
        self._passages = passages
        self._deadline = deadline
        self._lock = threading.Lock()
        self._question: np.ndarray[tuple[int], np.dtype[np.int32]] | None = None
        self._next = 0
        self._stopped = False
        self._scores: list[float | None] = [None] * len(passages)

    def run(self, question: str) -> None:
        """Score passages in a worker thread; several lanes may run at once."""
        while (taken := self._take(question)) is not None:
            at, pair = taken
            started = perf_counter()
            score = self._session.score(pair)
            self._pace.saw(len(pair.ids), perf_counter() - started)
            if not math.isfinite(score):
                raise ArithmeticError(f"passage {at} scored {score}")
            self._scores[at] = score

    def stop(self) -> None:
        self._stopped = True

    def prefix(self) -> list[float]:
        """Return the scores up to the first passage that has none."""
        scored: list[float] = []
        for score in self._scores:
            if score is None:
                break
            scored.append(score)
        return scored

    def _take(self, question: str) -> tuple[int, Pair] | None:
        """Return the next passage's place and input; None when there is none, or no time."""
        with self._lock:
            if self._stopped or self._next == len(self._passages):
                return None
            if perf_counter() >= self._deadline:
                return None
            if self._question is None:
                self._question = self._inputs.question(question)
            pair = self._inputs.pair(self._question, self._passages[self._next])
            if perf_counter() + self._pace.expected_s(len(pair.ids)) > self._deadline:
                self._stopped = True  # a later, shorter one would leave a gap
                return None
            self._next += 1
            return self._next - 1, pair


def _upstream(error: BaseException, model: str) -> UpstreamError:
    return UpstreamError(f"reranker {model!r} failed: {error}; the order of the search was kept")
