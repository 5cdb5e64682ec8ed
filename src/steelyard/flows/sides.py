"""A question → the side that its user is on → that side's answer, or the champion's for it.

A live comparison shows some users another bundle, the challenger. Who sees it depends on a hash
of the user and the comparison's name alone: a user stays on one side over restarts and replicas,
and a larger share moves users to the challenger only.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

from steelyard.core.chat import Answer, AnswerEvent, Asker, Done, Failed, Token
from steelyard.core.deadline import Deadline
from steelyard.core.errors import InputError, SteelyardError
from steelyard.core.ranking import Query
from steelyard.flows.answer import Answering, Wish, finished

log = logging.getLogger(__name__)

CHAMPION, CHALLENGER = "champion", "challenger"
LEFT = "left"  # the asker went away before the answer was whole
_BUG = "internal"


class Answerer(Protocol):
    """A bundle, as far as a question needs it."""

    @property
    def name(self) -> str: ...

    @property
    def answering(self) -> Answering: ...

    def log_failure(self, query: Query, wish: Wish, code: str, took_ms: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Challenge:
    """A live comparison: its name, the share of users that see the challenger, and that one."""

    name: str
    share: float
    bundle: Answerer


def assigned(user: str, *, experiment: str, share: float) -> str:
    """Return the side of a user: equal arguments, equal sides, wherever they are asked for."""
    digest = hashlib.sha256(f"{experiment}\0{user}".encode("utf-8", "replace")).digest()
    return CHALLENGER if int.from_bytes(digest[:8]) < share * 2**64 else CHAMPION


class Sides:
    """What answers people. Without a challenge, or for nobody in particular, it is the champion.

    Failures are logged here: an answer that its asker did not wait for is one, so that a slow or
    broken side cannot hide. `count(side, outcome)` is told of each answer of a comparison.
    """

    def __init__(
        self,
        hold: Callable[[], AbstractContextManager[Answerer]],
        *,
        challenge: Challenge | None = None,
        pseudonym: Callable[[str], str],
        count: Callable[[str, str], None] = lambda side, outcome: None,
    ) -> None:
        """`hold` lends the champion of the moment for as long as a question takes."""
        self._hold = hold
        self.challenge = challenge
        self._pseudonym = pseudonym
        self._count = count
        self._experiment = 0

    def begin(self, experiment: int) -> None:
        """Show the challenger from now on, and log answers under this key."""
        self._experiment = experiment

    def pause(self, challenge: Challenge | None) -> None:
        """Let the champion answer everybody until this challenge begins, if there is one."""
        self.challenge = challenge
        self._experiment = 0

    def asker(self, user: str) -> Asker:
        """Return what the log is told of a user, "": nobody in particular."""
        if not user:
            return Asker()
        if self.challenge is None or not self._experiment:
            return Asker(self._pseudonym(user))
        side = assigned(user, experiment=self.challenge.name, share=self.challenge.share)
        return Asker(self._pseudonym(user), self._experiment, side)

    async def answer(self, query: Query, wish: Wish | None = None, *, user: str = "") -> Answer:
        """Return the finished answer; raises as `Answering.answer` does."""
        return await finished(self.stream(query, wish, user=user))

    async def stream(
        self, query: Query, wish: Wish | None = None, *, user: str = ""
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Yield what `Answering.stream` of the user's side does; raises as it does.

        Both sides stay those that they were when it began, whatever is promoted meanwhile.
        """
        wish = wish or Wish()
        wish = replace(wish, deadline=wish.deadline or Deadline(), asker=self.asker(user))
        with self._hold() as champion:
            side = champion
            if wish.asker.arm == CHALLENGER:
                assert self.challenge is not None
                side = self.challenge.bundle
            async with aclosing(self._events(query, wish, side, champion)) as events:
                async for event in events:
                    yield event

    async def _events(
        self, query: Query, wish: Wish, side: Answerer, champion: Answerer
    ) -> AsyncGenerator[AnswerEvent, None]:
        if side is champion:
            events = champion.answering.stream(query, wish)
        else:
            events = self._challenged(query, wish, side, champion)
        ended = False
        try:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Failed):
                        ended = True
                        self._failed(query, wish, event.code, side)
                    elif isinstance(event, Done):
                        ended = True
                        self._told(wish, event.answer, champion)
                    yield event
        except InputError:
            raise
        except (asyncio.CancelledError, GeneratorExit):
            if not ended:
                self._failed(query, wish, LEFT, side)
            raise
        except Exception:
            self._failed(query, wish, _BUG, side)
            raise

    async def _challenged(
        self, query: Query, wish: Wish, challenger: Answerer, champion: Answerer
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Yield the challenger's events, or the champion's if it fails before its first word."""
        async with aclosing(challenger.answering.stream(query, wish)) as events:
            begun = await _begun(events)
            for event in begun.events:
                yield event
            if not begun.failure:
                async for event in events:
                    yield event
                return
        async with aclosing(
            champion.answering.stream(query, _standing_in(wish, begun.failure))
        ) as events:
            async for event in events:
                if isinstance(event, Done):
                    self._count(CHALLENGER, "error")
                yield event

    def _failed(self, query: Query, wish: Wish, code: str, side: Answerer) -> None:
        assert wish.deadline is not None
        side.log_failure(query, wish, code, (perf_counter() - wish.deadline.started) * 1000)
        self._count(wish.asker.arm, "error")

    def _told(self, wish: Wish, answer: Answer, champion: Answerer) -> None:
        side = wish.asker.arm
        if side == CHALLENGER and answer.bundle == champion.name:
            return  # counted where the champion stood in
        self._count(side, "answered" if answer.answerable else "not_in_documents")


@dataclass(frozen=True, slots=True)
class _Begun:
    """What a stream gave until its first word; nothing of it if there was a failure before."""

    events: tuple[AnswerEvent, ...] = ()
    failure: str = ""


async def _begun(events: AsyncGenerator[AnswerEvent, None]) -> _Begun:
    held: list[AnswerEvent] = []
    try:
        async for event in events:
            if isinstance(event, Failed):
                return _Begun(failure=event.code)
            held.append(event)
            if isinstance(event, Done) or (isinstance(event, Token) and event.text.strip()):
                break
    except SteelyardError as error:  # of the caller's too: the champion then says the same
        log.warning("challenger_failed code=%s reason=%s", error.code, error)
        return _Begun(failure=error.code)
    except Exception:  # whatever is wrong with the challenger, its user gets an answer
        log.exception("challenger_failed code=%s", _BUG)
        return _Begun(failure=_BUG)
    return _Begun(tuple(held))


def _standing_in(wish: Wish, failure: str) -> Wish:
    """Return the wish as it is put to the champion: with a search's time of its own, counted
    from the arrival, so that the log has what the asker waited in all."""
    assert wish.deadline is not None
    started = wish.deadline.started
    budget_s = perf_counter() - started + wish.deadline.budget_s
    return replace(
        wish,
        deadline=Deadline(budget_s, started=started),
        asker=replace(wish.asker, failure=failure),
    )
