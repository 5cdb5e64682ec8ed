"""Who sees which side, and what happens when the challenger fails, lingers, or is left."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.chat import Answer, Asker, Done, Failed, Sources, Token, Usage
from steelyard.core.deadline import Deadline
from steelyard.core.errors import InputError, UpstreamError
from steelyard.core.ranking import PUBLIC, Query
from steelyard.flows.answer import Wish
from steelyard.flows.sides import CHALLENGER, CHAMPION, LEFT, Challenge, Sides, assigned

QUERY = Query("Why?", PUBLIC)
USERS = [f"user-{n}" for n in range(4_000)]


def answer(bundle: str) -> Answer:
    return Answer("a", "42", True, (), (), (), Usage(), "miss", bundle, 1, ())


@dataclass
class Side:
    """A bundle that plays `events`; an exception among them is raised."""

    name: str
    events: list[object]
    wishes: list[Wish] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)

    @property
    def answering(self) -> "Side":
        return self

    async def stream(self, query: Query, wish: Wish) -> AsyncGenerator[object, None]:
        self.wishes.append(wish)
        for event in self.events:
            if isinstance(event, Exception):
                raise event
            yield event

    def log_failure(self, query: Query, wish: Wish, code: str, took_ms: float) -> None:
        self.failures.append((code, wish.asker.arm))


def good(name: str) -> Side:
    return Side(name, [Sources(()), Token(f"by {name}"), Done(answer(name))])


class Stage:
    """A champion, a challenger that everybody of `share` sees, and what was counted."""

    def __init__(self, challenger: Side, champion: Side | None = None, *, share: float = 1.0):
        self.champion = champion or good("b1")
        self.challenger = challenger
        self.counted: list[tuple[str, str]] = []
        self.sides = Sides(
            lambda: nullcontext(self.champion),
            challenge=Challenge("wide", share, challenger),
            pseudonym=lambda user: f"p-{user}" if user else "",
            count=lambda side, outcome: self.counted.append((side, outcome)),
        )
        self.sides.begin(3)

    def ask(self, user: str = "ann", wish: Wish | None = None) -> list[object]:
        async def main() -> list[object]:
            async with aclosing(self.sides.stream(QUERY, wish, user=user)) as events:
                return [event async for event in events]

        return asyncio.run(main())


@given(st.text(max_size=40), st.text(max_size=20), st.floats(0, 0.5))
def test_a_user_stays_on_one_side(user, experiment, share):
    side = assigned(user, experiment=experiment, share=share)
    assert side == assigned(user, experiment=experiment, share=share)
    assert side in (CHAMPION, CHALLENGER)


@given(st.text(max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_moves_users_to_the_challenger_only(user, one, other):
    low, high = sorted((one, other))
    if assigned(user, experiment="wide", share=low) == CHALLENGER:
        assert assigned(user, experiment="wide", share=high) == CHALLENGER


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.33, 0.5])
def test_the_share_is_met_within_what_chance_allows(share):
    num = sum(assigned(user, experiment="wide", share=share) == CHALLENGER for user in USERS)
    bound = 4.5 * sqrt(len(USERS) * share * (1 - share))  # beyond it once in 150,000 splits
    assert abs(num - len(USERS) * share) <= bound


def test_two_comparisons_split_users_independently():
    both = sum(
        assigned(user, experiment="a", share=0.5) == assigned(user, experiment="b", share=0.5)
        for user in USERS
    )
    assert abs(both - len(USERS) / 2) < 4.5 * sqrt(len(USERS) / 4)


def test_the_split_is_the_same_in_every_version():
    """Users would change sides with an update if these changed."""
    sides = [assigned(f"user-{n}", experiment="wide", share=0.5) for n in range(8)]
    assert sides == [CHAMPION] * 6 + [CHALLENGER] * 2


def test_the_challenger_answers_its_users_and_the_log_is_told_so():
    stage = Stage(good("b2"))
    assert stage.ask()[-1] == Done(answer("b2"))
    assert stage.challenger.wishes[0].asker == Asker("p-ann", 3, CHALLENGER)
    assert stage.champion.wishes == []
    assert stage.counted == [(CHALLENGER, "answered")]


def test_nobody_in_particular_is_on_no_side():
    stage = Stage(good("b2"))
    assert stage.ask(user="")[-1] == Done(answer("b1"))
    assert stage.champion.wishes[0].asker == Asker()


def test_nobody_sees_the_challenger_before_the_comparison_begins():
    stage = Stage(good("b2"))
    stage.sides.begin(0)
    assert stage.ask()[-1] == Done(answer("b1"))
    assert stage.champion.wishes[0].asker == Asker("p-ann")


def test_with_a_share_of_none_the_champion_answers_and_is_counted():
    stage = Stage(good("b2"), share=0.0)
    assert stage.ask()[-1] == Done(answer("b1"))
    assert stage.counted == [(CHAMPION, "answered")]


BEFORE_ITS_FIRST_WORD = [
    [Failed("upstream", "no route")],
    [Sources(()), Failed("upstream", "no route")],
    [Sources(()), Token("  \n"), Failed("upstream", "it broke off")],
    [UpstreamError("no route")],
    [Sources(()), ValueError("a bug of the challenger's")],
    [InputError("what only the challenger finds wrong")],
]


@pytest.mark.parametrize("events", BEFORE_ITS_FIRST_WORD)
def test_a_challenger_that_fails_before_its_first_word_is_stood_in_for(events):
    stage = Stage(Side("b2", events))
    assert stage.ask() == [Sources(()), Token("by b1"), Done(answer("b1"))]
    told = stage.champion.wishes[0].asker
    assert (told.user, told.experiment, told.arm) == ("p-ann", 3, CHALLENGER)
    assert told.failure in ("upstream", "internal", "invalid_input")
    assert stage.counted == [(CHALLENGER, "error")]
    assert stage.champion.failures == stage.challenger.failures == []  # the answer's line says it


def test_who_stands_in_has_a_search_of_its_own_and_the_clock_runs_on():
    stage = Stage(Side("b2", [Failed("deadline_exceeded", "too slow")]))
    spent = Deadline(0.5)
    spent = Deadline(0.5, started=spent.started - 30)
    stage.ask(wish=Wish(deadline=spent))
    given = stage.champion.wishes[0].deadline
    assert given.started == spent.started
    assert 0.4 < given.left_s() <= 0.5


def test_a_challenger_that_fails_in_the_middle_has_failed():
    stage = Stage(Side("b2", [Sources(()), Token("It is"), Failed("upstream", "broke off")]))
    assert stage.ask()[-1] == Failed("upstream", "broke off")
    assert stage.challenger.failures == [("upstream", CHALLENGER)]
    assert stage.counted == [(CHALLENGER, "error")]


def test_a_bug_in_the_middle_is_logged_and_raised():
    stage = Stage(Side("b2", [Token("It is"), ValueError("a bug")]))
    with pytest.raises(ValueError, match="a bug"):
        stage.ask()
    assert stage.challenger.failures == [("internal", CHALLENGER)]


def test_when_both_fail_the_champions_reason_is_told_and_the_challengers_side_pays():
    champion = Side("b1", [Failed("search_failed", "no index")])
    stage = Stage(Side("b2", [Failed("upstream", "no route")]), champion)
    assert stage.ask() == [Failed("search_failed", "no index")]
    assert stage.challenger.failures == [("search_failed", CHALLENGER)]
    assert stage.counted == [(CHALLENGER, "error")]


@pytest.mark.parametrize("side", [CHAMPION, CHALLENGER])
def test_an_answer_that_its_asker_did_not_wait_for_is_a_failure_of_its_side(side):
    stage = Stage(good("b2"), share=1.0 if side == CHALLENGER else 0.0)

    async def leave_at_the_first_word() -> None:
        events = stage.sides.stream(QUERY, user="ann")
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Token):
                    return

    asyncio.run(leave_at_the_first_word())
    asked = stage.challenger if side == CHALLENGER else stage.champion
    assert asked.failures == [(LEFT, side)]


def test_a_whole_answer_is_no_failure_though_its_reader_closes_the_stream():
    stage = Stage(good("b2"))
    assert asyncio.run(stage.sides.answer(QUERY, user="ann")) == answer("b2")
    assert stage.challenger.failures == []


def test_what_is_wrong_with_the_question_is_nobodys_failure():
    wrong = InputError("the question is empty")
    stage = Stage(Side("b2", [wrong]), Side("b1", [wrong]))
    with pytest.raises(InputError):
        stage.ask()
    assert stage.champion.failures == stage.challenger.failures == []
    assert stage.counted == []
