"""No sequence of writes and questions serves a stale or foreign answer.

A real home with its pipeline, index and cache; the generator repeats its sources word for word,
so that an answer made from anything outdated differs from one made now.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.app import App, open_app
from steelyard.core.chat import Answer, Finish, Message, Passage, Piece, Token
from steelyard.core.ranking import Principal, Query
from steelyard.flows.answer import Wish
from steelyard.flows.cached import CacheUse
from steelyard.flows.library import NewText

WORDS = [
    "refund",
    "days",
    "leave",
    "battery",
    "filter",
    "invoice",
    "travel",
    "visa",
    "pump",
    "garden",
]
GROUPS = (("public",), ("hr",), ("hr", "public"))
PRINCIPALS = (
    Principal("p", frozenset({"public"})),
    Principal("h", frozenset({"hr"})),
    Principal("both", frozenset({"hr", "public"})),
)
FRAMES = ("What about {}?", "what about {}", "Tell me what about {} please", "How is {} done?")


class Echo:
    """Answers with every source it is given."""

    model = "echo"

    async def generate(
        self, question: str, passages: Sequence[Passage], *, history: Sequence[Message] = ()
    ) -> AsyncGenerator[Piece, None]:
        yield Token(" | ".join(f"{p.title}: {p.text} [{p.n}]" for p in passages) or "nothing")
        yield Finish(prompt_tokens=1, completion_tokens=1)


class Player:
    """Plays random operations on one home and compares every cached answer with a fresh one."""

    def __init__(self, app: App, seed: int) -> None:
        self.app = app
        self.chance = random.Random(seed)
        self.documents: dict[tuple[str, str], int] = {}
        self.outcomes: Counter[str] = Counter()
        self.version = 0
        self.recent: deque[Query] = deque(maxlen=6)

    async def play(self, num_operations: int) -> None:
        for _ in range(num_operations):
            move = self.chance.choices(
                (self.ask, self.put, self.delete, self.promote), weights=(84, 10, 5, 1)
            )[0]
            await move()

    async def put(self) -> None:
        collection = self.chance.choice(("a", "b"))
        identity = f"d{self.chance.randrange(8)}"
        self.version += 1
        words = self.chance.sample(WORDS, 3)
        # Sometimes only the title, the groups or the metadata change.
        text = f"About {' and '.join(words)}, version {self.chance.choice((0, self.version))}."
        receipt = await self.app.library.put_text(
            NewText(
                id=identity,
                text=text,
                title=self.chance.choice(("Rules", f"Title {self.version}")),
                collection=collection,
                groups=self.chance.choice(GROUPS),
            )
        )
        if self.chance.random() < 0.8:
            await self.app.library.settled(receipt.tickets)
        self.documents[collection, identity] = self.version

    async def delete(self) -> None:
        if self.documents:
            collection, identity = self.chance.choice(sorted(self.documents))
            del self.documents[collection, identity]
            await self.app.work.drained()
            await self.app.library.delete(
                [identity], collection=collection, principal=Principal("o", frozenset(), True)
            )

    async def promote(self) -> None:
        """Another bundle answers from now on."""
        bundle = f"bundle {self.chance.randrange(3)}"
        self.app.answering._bundle = self.app.cached._bundle = bundle

    async def ask(self) -> None:
        query = self.question()
        before = self.app.store.last_seq()
        served = await self.app.answering.answer(query)
        self.outcomes[served.cache] += 1
        if served.cache != "miss":
            await self.check(query, served, before)

    def question(self) -> Query:
        """Return a new question, or one of the last in the same or in other words."""
        if self.recent and self.chance.random() < 0.8:
            query = self.chance.choice(self.recent)
            if self.chance.random() < 0.3:
                word = next(word for word in WORDS if word in query.text)
                query = replace(query, text=self.chance.choice(FRAMES).format(word))
            return query
        query = Query(
            self.chance.choice(FRAMES).format(self.chance.choice(WORDS)),
            self.chance.choice(PRINCIPALS),
            k=2,
            collection=self.chance.choice(("a", "b")),
            more_collections=self.chance.choice(((), ("a",))),
        )
        self.recent.append(query)
        return query

    async def check(self, query: Query, served: Answer, before: int) -> None:
        assert served.bundle == self.app.cached._bundle
        seen = {s.chunk_id: s for s in served.sources}
        live = {
            chunk.chunk_id: chunk
            for one in query.each_collection()
            for chunk in self.app.store.fetch(list(seen), query=one)
        }
        if not self.unmoved(before):
            return
        assert seen.keys() == live.keys(), "a source is gone, or not for this principal"
        for chunk_id, source in seen.items():
            chunk = live[chunk_id]
            assert (source.text, source.title) == (chunk.text, chunk.title)
        if served.cache == "exact":
            # "What about x?" may be served what was asked as "what about x".
            scope = self.app.cached.asked(query, ()).scope
            kept = self.app.cached.cache.peek(scope, query.text)
            assert kept is not None
            again = replace(query, text=kept.question)
            fresh = await self.app.answering.answer(again, Wish(cache=CacheUse.NONE))
            if self.unmoved(before):
                assert served.text == fresh.text
                self.outcomes["compared"] += 1

    def unmoved(self, before: int) -> bool:
        """Tell whether truth and index stood at `before` all the while: writes run beside."""
        return self.app.store.last_seq() == before <= self.app.index.view().seq


async def played(home: Path, *, seed: int, num_operations: int) -> Counter[str]:
    app = open_app(home, flags={"embed.model": "hashing", "cache.threshold": 0.6})
    app.__dict__["generator"] = Echo()
    player = Player(app, seed)
    try:
        async with app.working():
            await player.play(num_operations)
            await app.work.drained()
    finally:
        app.close()
    return player.outcomes


def check_outcomes(outcomes: Counter[str]) -> None:
    """The test says nothing unless every kind of outcome occurred, and often."""
    assert outcomes["exact"] > 20, outcomes
    assert outcomes["compared"] > 20, outcomes
    assert outcomes["semantic"] > 5, outcomes
    assert outcomes["miss"] > 20, outcomes


def test_no_sequence_of_writes_and_questions_serves_a_stale_or_foreign_answer(
    tmp_path: Path,
) -> None:
    check_outcomes(asyncio.run(played(tmp_path, seed=1, num_operations=600)))


@pytest.mark.slow
def test_ten_thousand_random_operations_serve_no_stale_or_foreign_answer(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(10):
        outcomes += asyncio.run(played(tmp_path / str(seed), seed=100 + seed, num_operations=1000))
    check_outcomes(outcomes)
