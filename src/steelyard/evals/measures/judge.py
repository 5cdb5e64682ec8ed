"""A language model as a judge: several votes each, their spread, and every failure by name."""

import hashlib
import json
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, field

import httpx2
import numpy as np

from steelyard.core.chat import Message
from steelyard.core.errors import InputError, UpstreamError
from steelyard.core.evaluation import Outcome, Question, Values
from steelyard.evals.measures.asking import REMINDER, VERSION, Ask, messages_of, read_vote
from steelyard.evals.measures.endpoint import Endpoint, JudgeOptions
from steelyard.evals.measures.judged import Aspect
from steelyard.evals.measures.measure import (
    FAILED,
    NOT_APPLICABLE,
    declined,
    known_answerable,
    only_retrieves,
)
from steelyard.infra.concurrent import together

__all__ = ["Ask", "Aspect", "Judge", "JudgeOptions", "Judgements"]

MIN_REPEATS = 3
_READINGS = 2  # an unreadable reply is asked for once more, with a reminder
_AGAIN = 1_000  # added to a seed then

Cache = MutableMapping[str, str]  # hash of all that was asked -> the reply


@dataclass(frozen=True, slots=True)
class Judgements:
    """What a judge said of N pairs.

    `values` are shares of yes, NaN where nothing applies or the judge failed. `spread` is the
    standard deviation between the votes on one item (0: of one mind), NaN where none was asked.
    `failures` maps an item's id to why it has no votes: the judge's failures, not the arm's,
    so they are in no figure and must be told beside it.
    """

    values: Values  # (N,)
    spread: Values  # (N,)
    num_asked: int
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def mean_spread(self) -> float:
        """Return the judge's own noise: the mean of `spread` over what was judged."""
        known = self.spread[~np.isnan(self.spread)]
        return float(known.mean()) if known.size else NOT_APPLICABLE

    @property
    def unanimous(self) -> float:
        """Return the share of judged items on which all votes agree."""
        known = self.spread[~np.isnan(self.spread)]
        return float((known == 0).mean()) if known.size else NOT_APPLICABLE


class Judge:
    """Asks one endpoint `repeats` times about each thing, in different orders."""

    def __init__(
        self,
        options: JudgeOptions,
        *,
        key: str = "",
        cache: Cache | None = None,
        client: httpx2.AsyncClient | None = None,
    ) -> None:
        """Prepare; nothing is sent yet. Replies that are in `cache` are not asked for again.

        Raises:
            InputError: fewer than three repeats, no model, or no usable URL.
        """
        if options.repeats < MIN_REPEATS:
            raise InputError(
                f"{options.repeats} votes do not show a judge's noise; use {MIN_REPEATS} or more"
            )
        if not options.model:
            raise InputError("name the judge's model: its verdicts mean nothing without it")
        self._options = options
        self._cache: Cache = {} if cache is None else cache
        self._endpoint = Endpoint(options, key=key, client=client)
        self._failed_in_a_row = 0

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    async def judge(
        self, aspect: Aspect, questions: Sequence[Question], outcomes: Sequence[Outcome]
    ) -> Judgements:
        """Return votes on each outcome; what is clear without a judge is not asked.

        A failed outcome counts as 0. `correct`: an unanswerable question must be declined, an
        answerable one must not; without gold answers it does not apply. `support` does not
        apply to a refusal, and without sources nothing is supported.

        Raises:
            SetupError: key, model or address are wrong.
            UpstreamError: the endpoint failed again and again.
        """
        pairs = list(zip(questions, outcomes, strict=True))
        values = np.full(len(pairs), NOT_APPLICABLE)
        spread = np.full(len(pairs), NOT_APPLICABLE)
        if only_retrieves(outcomes):
            return Judgements(values, spread, 0)
        places: list[int] = []
        asks: list[Ask] = []
        for place, (question, outcome) in enumerate(pairs):
            known = _ask_or_value(aspect, question, outcome)
            if isinstance(known, Ask):
                places.append(place)
                asks.append(known)
            else:
                values[place] = known
        judged = await self.votes(asks)
        values[places], spread[places] = judged.values, judged.spread
        return Judgements(values, spread, judged.num_asked, judged.failures)

    async def votes(self, asks: Sequence[Ask]) -> Judgements:
        """Return the votes on each of `asks`, as many at once as the options allow.

        Raises:
            SetupError, UpstreamError: as `judge`.
        """
        votes = np.full((len(asks), self._options.repeats), np.nan)
        failures: dict[int, str] = {}
        self._failed_in_a_row = 0
        jobs = ((place, turn) for place in range(len(asks)) for turn in range(votes.shape[1]))

        async def work() -> None:
            for place, turn in jobs:
                if place in failures:
                    continue
                try:
                    votes[place, turn] = await self._vote(asks[place], turn)
                    self._failed_in_a_row = 0
                except UpstreamError as error:
                    failures[place] = error.message
                    self._count_failure(error)

        await together(*(work() for _ in range(max(1, self._options.concurrency))))
        votes[list(failures)] = np.nan
        return Judgements(
            values=votes.mean(axis=1),
            spread=votes.std(axis=1),
            num_asked=len(asks),
            failures={asks[place].id: reason for place, reason in sorted(failures.items())},
        )

    def _count_failure(self, error: UpstreamError) -> None:
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= self._options.give_up_after:
            raise UpstreamError(
                f"the judge failed {self._failed_in_a_row} times in a row, last: {error.message}; "
                "run again to go on from here"
            ) from error

    async def _vote(self, ask: Ask, turn: int) -> bool:
        messages, code = messages_of(ask, turn=turn), ask.code(turn)
        reply = ""
        for reading in range(_READINGS):
            seed = turn + _AGAIN * reading
            key = self._key(messages, seed)
            kept = self._cache.get(key)
            reply = kept if kept is not None else await self._endpoint.reply(messages, seed=seed)
            vote = read_vote(reply, code=code)
            if vote is not None:
                self._cache[key] = reply
                return vote
            messages += [Message("assistant", reply), Message("user", REMINDER)]
        raise UpstreamError(f"no verdict in {reply[:80]!r}")

    def _key(self, messages: Sequence[Message], seed: int) -> str:
        asked = [VERSION, self._options.model, seed, self._options.max_tokens]
        text = json.dumps([*asked, [asdict(message) for message in messages]])
        return hashlib.sha256(text.encode()).hexdigest()


def _ask_or_value(aspect: Aspect, question: Question, outcome: Outcome) -> Ask | float:
    """Return what to ask, or the value that is clear without asking."""
    answer = outcome.answer
    if aspect is Aspect.CORRECT:
        if known_answerable(question) is False:
            return float(declined(outcome))
        if not question.answers:
            return NOT_APPLICABLE
        if outcome.error or answer is None or not answer.answerable:
            return FAILED
        return Ask(question.id, aspect, answer.text, question.answers, question.text)
    if outcome.error or answer is None:
        return FAILED
    if not answer.answerable:
        return NOT_APPLICABLE
    sources = tuple(source.text for source in answer.sources)
    return Ask(question.id, aspect, answer.text, sources) if sources else FAILED
