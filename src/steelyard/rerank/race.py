"""One request's runs: lanes take passages in order until all are scored or time is up."""

import asyncio
import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Generic, Protocol, TypeVar

from steelyard.core.errors import SetupError, UpstreamError
from steelyard.core.ranking import RerankPassage
from steelyard.infra.concurrent import compute
from steelyard.rerank.pace import Pace

NUM_LANES = 2  # more runs at once only share the same cores
_WARM_UP_RUNS = 3

Q = TypeVar("Q")
P = TypeVar("P")


class Scorer(Protocol[Q, P]):
    """Scores one passage at a time, from several threads at once: a question is made ready once,
    then each passage for it."""

    def question(self, text: str) -> Q: ...

    def pair(self, question: Q, passage: RerankPassage) -> P: ...

    def num_tokens(self, pair: P) -> int:
        """Return how many tokens a run of it reads, for the pace; 0: next to no time."""
        ...

    def score(self, pair: P) -> float: ...


class Lanes:
    """The threads of one reranker, how quickly they go, and the runs of each request on them."""

    def __init__(self, *, model: str, pool: ThreadPoolExecutor | None = None) -> None:
        """`pool` has `NUM_LANES` threads and no other work; one is made if none is given."""
        self._model = model
        self._own_pool = pool is None
        self._pool = pool or ThreadPoolExecutor(NUM_LANES, "steelyard-rerank")
        self.pace = Pace()

    async def scores(
        self,
        scorer: Scorer[Q, P],
        question: str,
        passages: Sequence[RerankPassage],
        *,
        budget_s: float,
    ) -> list[float]:
        """Return the scores of the first m passages, as many as fit into `budget_s`; none: [].

        Raises:
            UpstreamError: the model failed, or gave a number that is not finite.
        """
        deadline = perf_counter() + budget_s
        if budget_s <= 0 or not passages:
            return []
        race = Race(scorer, self.pace, passages, deadline=deadline)
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
                raise UpstreamError(
                    f"reranker {self._model!r} failed: {error}; the order of the search was kept"
                ) from error
        return race.prefix()

    def warm_up(self, scorer: Scorer[Q, P], passage: RerankPassage) -> None:
        """Run a passage a few times, so that the first budget meets a known pace.

        Raises:
            SetupError: its score is not finite.
        """
        pair = scorer.pair(scorer.question("ready?"), passage)
        for turn in range(_WARM_UP_RUNS):
            started = perf_counter()
            score = scorer.score(pair)
            if turn:  # the first run reads the weights
                self.pace.saw(scorer.num_tokens(pair), perf_counter() - started)
            if not math.isfinite(score):
                raise SetupError(f"model {self._model!r} gives {score}; download it again")

    def close(self) -> None:
        """End the threads, if they are our own; `scores` may not be called again."""
        if self._own_pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    async def aclose(self) -> None:
        """End the threads without waiting for a run that is under way."""
        if self._own_pool:
            self._pool.shutdown(wait=False, cancel_futures=True)


class Race(Generic[Q, P]):
    """One request's runs: lanes take passages in order until all are scored or time is up."""

    def __init__(
        self,
        scorer: Scorer[Q, P],
        pace: Pace,
        passages: Sequence[RerankPassage],
        *,
        deadline: float,
    ) -> None:
        self._scorer = scorer
        self._pace = pace
        self._passages = passages
        self._deadline = deadline
        self._lock = threading.Lock()
        self._question: Q | None = None
        self._next = 0
        self._stopped = False
        self._scores: list[float | None] = [None] * len(passages)

    def run(self, question: str) -> None:
        """Score passages in a worker thread; several lanes may run at once."""
        while (taken := self._take(question)) is not None:
            at, pair = taken
            started = perf_counter()
            score = self._scorer.score(pair)
            if num_tokens := self._scorer.num_tokens(pair):
                self._pace.saw(num_tokens, perf_counter() - started)
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

    def _take(self, question: str) -> tuple[int, P] | None:
        """Return the next passage's place and input; None when there is none, or no time."""
        with self._lock:
            if self._stopped or self._next == len(self._passages):
                return None
            if perf_counter() >= self._deadline:
                return None
            if self._question is None:
                self._question = self._scorer.question(question)
            pair = self._scorer.pair(self._question, self._passages[self._next])
            expected_s = self._pace.expected_s(self._scorer.num_tokens(pair))
            if perf_counter() + expected_s > self._deadline:
                self._stopped = True  # a later, shorter one would leave a gap
                return None
            self._next += 1
            return self._next - 1, pair
