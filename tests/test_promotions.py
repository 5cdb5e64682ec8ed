"""What is promoted comes to serve, in whole, and what cannot serve leaves the old one serving."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from steelyard.app import DATABASE, App, open_app
from steelyard.core.errors import SetupError
from steelyard.core.ranking import PUBLIC, Query
from steelyard.core.registry import OPTIONS_KIND, Version
from steelyard.flows.answer import Wish
from steelyard.flows.library import NewText
from steelyard.store import Store

QUESTION = Query(text="How long are recordings kept?", principal=PUBLIC, k=3)
TEXTS = {
    "cameras": "Recordings of the cameras are kept for 21 days.",
    "travel": "Trips are booked by the travel desk.",
    "pumps": "The pump of the garden is oiled every spring.",
}
_numbers = itertools.count()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    opened = open_app(tmp_path / "home", flags={"embed.model": "hashing"})
    yield opened
    opened.close()


def run(app: App, scenario):
    async def main():
        async with app.working():
            for name, text in TEXTS.items():
                receipt = await app.library.put_text(NewText(id=name, text=text))
                await app.library.settled(receipt.tickets)
            app.index.refresh()
            return await scenario()

    return asyncio.run(main())


def promote(app: App, *, by: Store | None = None, **options: object) -> None:
    """Make a version of these options the champion, as another process may."""
    store = by or app.store
    named = {key.replace("__", "."): value for key, value in options.items()}
    identity = f"v{next(_numbers):016x}"
    store.register_version(Version(identity, f"made {identity}", OPTIONS_KIND, named), who="test")
    store.promote_version(identity, who="test")


async def until(true) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_what_another_process_promotes_comes_to_serve(app: App):
    async def scenario():
        before = app.bundle
        with Store.open(app.home / DATABASE) as other:
            promote(app, by=other, retrieve__legs="lexical")
        await until(lambda: app.bundle != before)
        answer = await app.answering.answer(QUESTION)
        assert answer.bundle == app.bundle
        assert "dense" not in answer.usage.timings_ms
        assert app.settings.retrieve.legs == "lexical"
        assert app.promotions.last.before == before
        assert not app.promotions.last.warm

    run(app, scenario)


def test_a_rollback_is_warm_and_finds_its_answers_again(app: App):
    async def scenario():
        first = app.champion
        asked = await app.answering.answer(QUESTION)
        promote(app, retrieve__legs="lexical")
        await until(lambda: app.champion is not first)
        second = app.champion
        other = await app.answering.answer(QUESTION)
        # The question was just answered, by what answers no more: nothing of it is served.
        assert (other.cache, other.bundle) == ("miss", second.name)
        app.store.roll_back(who="test")
        await until(lambda: app.champion is first)
        assert app.promotions.last.warm
        again = await app.answering.answer(QUESTION)
        assert (again.cache, again.bundle, again.text) == ("exact", asked.bundle, asked.text)
        assert app.serving.previous is second

    run(app, scenario)


def test_a_request_in_flight_ends_on_what_it_began_with(app: App):
    async def scenario():
        first = app.champion
        async with aclosing(app.stream(QUESTION, Wish())) as events:
            await anext(events)
            promote(app, retrieve__legs="lexical")
            await until(lambda: app.champion is not first)
            promote(app, retrieve__pool=7)
            await until(lambda: app.serving.previous is not first)
            assert app.serving.num_draining == 1
            done = [event async for event in events][-1]
        assert done.answer.bundle == first.name
        await until(lambda: app.serving.num_draining == 0)

    run(app, scenario)


def test_what_cannot_be_loaded_leaves_the_old_one_serving_and_says_why(app: App, tmp_path):
    async def scenario():
        first = app.champion
        promote(app, rerank__model=str(tmp_path / "nowhere"))
        await until(lambda: app.promotions.refusal is not None)
        assert "nowhere" in app.promotions.refusal.reason
        assert app.champion is first
        assert (await app.answering.answer(QUESTION)).bundle == first.name
        promote(app, retrieve__pool=9)
        await until(lambda: app.champion is not first)
        assert app.promotions.refusal is None

    run(app, scenario)


@pytest.mark.parametrize(
    ("key", "value"),
    [("serve__port", 9), ("cache__mode", "off"), ("chunk__max_tokens", 100)],
)
def test_options_that_a_running_server_cannot_change_are_refused(app: App, key, value):
    async def scenario():
        first = app.champion
        promote(app, **{key: value})
        await until(lambda: app.promotions.refusal is not None)
        assert "start it again" in app.promotions.refusal.reason
        assert app.champion is first

    run(app, scenario)


def test_questions_during_many_promotions_and_rollbacks_all_have_one_bundles_answer(app: App):
    async def scenario():
        names = {app.bundle}
        promote(app, retrieve__legs="lexical")
        await until(lambda: app.bundle not in names)
        names.add(app.bundle)
        ended = asyncio.Event()
        seen: set[str] = set()

        async def ask(n: int) -> int:
            num = 0
            while not ended.is_set():
                query = Query(f"How long are recordings {n} {num} kept?", PUBLIC, k=3)
                with app.serving.hold() as bundle:
                    answer = await bundle.answering.answer(query)
                    assert answer.bundle == bundle.name
                    lexical = bundle.settings.retrieve.legs == "lexical"
                    assert ("dense" not in answer.usage.timings_ms) is lexical
                seen.add(answer.bundle)
                num += 1
            return num

        async def flip() -> None:
            for _ in range(10):
                before = app.bundle
                app.store.roll_back(who="test")
                await until(lambda: app.bundle != before)  # noqa: B023
                await asyncio.sleep(0.02)
            ended.set()

        asked = await asyncio.gather(*(ask(n) for n in range(4)), flip())
        assert sum(asked[:4]) > 20
        assert seen == names

    run(app, scenario)


def test_a_swap_to_what_serves_already_changes_nothing(app: App):
    async def scenario():
        first = app.champion
        assert await app.promotions.swap(app.settings) is None
        assert app.champion is first

    run(app, scenario)


def test_a_question_of_one_embedder_never_meets_an_index_of_another(app: App):  # FIELD 24
    async def scenario():
        app.index._fingerprint = "another"
        promote(app, retrieve__pool=11)
        app.index._publish(app.index.view().seq)
        with pytest.raises(AssertionError, match="met an index of another"):
            await app.retriever.search(QUESTION)

    run(app, scenario)


def test_settings_that_are_wrong_are_refused_by_name(app: App):
    async def scenario():
        promote(app, retrieve__pol=3)
        await until(lambda: app.promotions.refusal is not None)
        assert "retrieve.pool" in app.promotions.refusal.reason
        with pytest.raises(SetupError):
            app.wanted()

    run(app, scenario)
