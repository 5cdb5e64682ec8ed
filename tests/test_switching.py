"""A new embedder under a running home: nothing lost, nothing mixed, and a way back."""

import asyncio
import itertools
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

import steelyard.switching as switching
from steelyard.app import App, open_app
from steelyard.core.errors import InputError, NotFound, SetupError
from steelyard.core.ranking import PUBLIC, Query
from steelyard.core.registry import OPTIONS_KIND, Version
from steelyard.flows.library import NewText
from steelyard.flows.switching import RED, check_index, sampled
from steelyard.store import OPERATOR

NUM_TEXTS = 60
WORDS = [
    "refund",
    "leave",
    "battery",
    "filter",
    "invoice",
    "travel",
    "visa",
    "pump",
    "garden",
    "badge",
]
_numbers = itertools.count()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/settings.toml").write_text('[embed]\nmodel = "hashing"\n')
    opened = open_app(tmp_path / "home")
    yield opened
    opened.close()


def text_of(n: int, version: int = 0) -> str:
    return f"Rule {n} of {WORDS[n % len(WORDS)]}, version {version}: see {WORDS[n % 7]} {n}."


async def put(app: App, n: int, version: int = 0) -> None:
    receipt = await app.library.put_text(NewText(id=f"d{n}", text=text_of(n, version)))
    await app.library.settled(receipt.tickets)


async def put_all(app: App, num_texts: int = NUM_TEXTS) -> None:
    texts = [NewText(id=f"d{n}", text=text_of(n)) for n in range(num_texts)]
    receipts = [await app.library.put_text(text) for text in texts]
    await app.library.settled([ticket for one in receipts for ticket in one.tickets])


def run(app: App, scenario, *, num_texts: int = NUM_TEXTS):
    async def main():
        async with app.working():
            await put_all(app, num_texts)
            return await scenario()

    return asyncio.run(main())


def promote(app: App, **options: object) -> None:
    named = {key.replace("__", "."): value for key, value in options.items()}
    identity = f"e{next(_numbers):016x}"
    version = Version(identity, identity, OPTIONS_KIND, named)
    app.store.register_version(version, who="test")
    app.store.promote_version(identity, who="test")


async def until(true) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def ask(app: App, text: str) -> str:
    """Ask as a server does; return what was found first. A question across spaces raises."""
    with app.serving.hold() as bundle:
        result = await bundle.retriever.search(Query(text, PUBLIC, k=3))
    assert not result.degraded, result.degraded
    return result.found[0].chunk.text if result.found else ""


def assert_whole(app: App, expected: dict[str, str]) -> None:
    """The home holds exactly these texts, and its index exactly their chunks, by one embedder."""
    assert app.store.check() == []
    _, live = app.store.live_chunk_ids()
    app.index.refresh()
    assert sorted(app.index.view().dense_view.chunk_ids().tolist()) == sorted(live.tolist())
    assert app.index.view().fingerprint == app.embedder.fingerprint
    held = app.store.home_embedder()
    assert held is not None
    assert held.fingerprint == app.embedder.fingerprint
    rows = app.store.documents(principal=OPERATOR, after=None, limit=1000).rows
    texts = {row.id: app.store.text("default", row.id, principal=OPERATOR) for row in rows}
    assert texts == expected


def test_a_promoted_embedder_is_built_beside_and_flipped_and_the_way_back_is_warm(app: App):
    async def scenario():
        first = app.champion
        assert await ask(app, text_of(7)) == text_of(7)
        promote(app, embed__model="hashing-32")
        await until(lambda: app.embedder.dim == 32)
        assert app.champion is not first
        assert app.serving.previous is first
        assert await ask(app, text_of(7)) == text_of(7)
        assert_whole(app, {f"d{n}": text_of(n) for n in range(NUM_TEXTS)})
        await put(app, 99)  # both are kept in step, so
        app.store.roll_back(who="test")
        await until(lambda: app.embedder.dim == 64)
        assert app.champion is first
        assert await ask(app, text_of(99)) == text_of(99)
        assert_whole(app, {f"d{n}": text_of(n) for n in (*range(NUM_TEXTS), 99)})

    run(app, scenario)


def test_what_is_written_while_it_is_built_has_both_vectors(app: App):
    async def scenario():
        promote(app, embed__model="hashing-32")
        await until(lambda: app.beside is not None or app.embedder.dim == 32)
        both = {"hashing-1-64", "hashing-1-32"}
        await put(app, 200)
        assert {app.embedder.fingerprint, app.beside.embedder.fingerprint} == both
        await until(lambda: app.embedder.dim == 32)
        await put(app, 201)
        assert [app.store.num_unembedded(one) for one in sorted(both)] == [0, 0]

    run(app, scenario)


def test_once_it_is_confirmed_the_one_before_is_gone_from_disk(app: App):
    async def scenario():
        promote(app, embed__model="hashing-32")
        await until(lambda: app.embedder.dim == 32)
        assert (app.home / "index/manifest.json").exists() or (app.home / "index").exists()
        gone = await app.promotions.switch.end()
        assert gone is not None
        assert gone.fingerprint == "hashing-1-64"
        assert app.beside is None
        assert app.serving.previous is None
        assert not (app.home / "index").exists()
        assert app.store.num_unembedded("hashing-1-64") == NUM_TEXTS
        await put(app, 5, version=2)
        assert await ask(app, text_of(5, 2)) == text_of(5, 2)

    run(app, scenario)
    again = open_app(app.home)  # what the registry says and what the home is agree
    try:
        assert again.embedder.dim == 32
        expected = {f"d{n}": text_of(n, 2 if n == 5 else 0) for n in range(NUM_TEXTS)}
        assert_whole(again, expected)
    finally:
        again.close()


def test_a_start_in_the_middle_answers_by_the_old_one_and_goes_on(app: App):
    async def begun():
        promote(app, embed__model="hashing-32")
        app.store.begin_switch("hashing-1-32", 32, options={"model": "hashing-32"}, place="index-x")

    async def without_following():
        await put_all(app)
        await begun()

    async def main():
        await app.while_ingesting(without_following())

    asyncio.run(main())
    later = open_app(app.home)
    try:
        assert later.settings.embed.model == "hashing-32"
        assert later.embedder.dim == 64

        async def went_on():
            async with later.working():
                assert await ask(later, text_of(3)) == text_of(3)
                await until(lambda: later.embedder.dim == 32)
                assert await ask(later, text_of(3)) == text_of(3)
            assert_whole(later, {f"d{n}": text_of(n) for n in range(NUM_TEXTS)})

        asyncio.run(went_on())
    finally:
        later.close()


def test_a_server_follows_what_another_process_flips(app: App, tmp_path: Path):
    async def scenario():
        (app.home / "settings.toml").write_text('[embed]\nmodel = "hashing-32"\n')
        other = open_app(app.home)
        try:
            await other.promotions.switch.build(other.settings, serves=False)
            await put(app, 77)  # by a process that may not have noticed yet
        finally:
            await other.aclose()
            other.close()
        await until(lambda: app.embedder.dim == 32)
        assert await ask(app, text_of(77)) == text_of(77)
        assert_whole(app, {f"d{n}": text_of(n) for n in (*range(NUM_TEXTS), 77)})

    run(app, scenario)


def test_an_embedder_that_fails_its_check_is_let_go_and_the_old_one_serves(
    app: App, monkeypatch: pytest.MonkeyPatch
):
    def red(*_: object, **__: object) -> int:
        raise SetupError("chunk 3 does not find itself", code=RED)

    monkeypatch.setattr(switching, "check_index", red)

    async def scenario():
        first = app.champion
        promote(app, embed__model="hashing-32")
        await until(lambda: app.promotions.refusal is not None)
        assert "does not find itself" in app.promotions.refusal.reason
        assert app.champion is first
        assert app.store.switch() is None
        assert app.beside is None
        assert list(app.home.glob("index-*")) == []
        assert_whole(app, {f"d{n}": text_of(n) for n in range(NUM_TEXTS)})
        await asyncio.sleep(0.3)
        assert app.store.switch() is None  # it is not tried over and over

    run(app, scenario)


def test_what_is_written_during_the_check_is_none_of_its_business_but_a_lost_chunk_is(app: App):
    async def scenario():
        view = app.index.view()
        early = SimpleNamespace(view=lambda: view)
        before = sampled(app.store)
        receipt = await app.library.put_text(NewText(id="new", text="Entirely other words."))
        await app.library.settled(receipt.tickets)
        check = partial(check_index, app.store, app.embedder)
        assert check(early, chunk_ids=before) == NUM_TEXTS
        assert check(app.index, chunk_ids=sampled(app.store)) == NUM_TEXTS + 1
        with pytest.raises(SetupError, match="does not find itself"):
            check(early, chunk_ids=sampled(app.store))

    run(app, scenario)


def test_settings_that_nobody_meant_as_a_switch_are_refused(app: App):
    async def scenario():
        (app.home / "settings.toml").write_text('[embed]\nmodel = "hashing-32"\n')
        promote(app, retrieve__pool=20)
        await until(lambda: app.promotions.refusal is not None)
        assert "steelyard embedder switch" in app.promotions.refusal.reason
        assert app.embedder.dim == 64

    run(app, scenario)


def test_two_switches_at_once_are_refused(app: App):
    async def scenario():
        app.store.begin_switch("hashing-1-16", 16, options={"model": "hashing-16"}, place="index-y")
        wanted = replace(app.settings, embed=replace(app.settings.embed, model="hashing-32"))
        with pytest.raises(InputError, match="embedder cancel"):
            await app.promotions.switch.build(wanted)

    run(app, scenario, num_texts=2)


def test_the_way_back_stays_when_the_homes_own_embedder_is_asked_for_again(app: App):
    async def scenario():
        promote(app, embed__model="hashing-32")
        await until(lambda: app.embedder.dim == 32)
        wanted = replace(app.settings, embed=replace(app.settings.embed, model="hashing-32"))
        await app.promotions.switch.build(wanted)
        standing = app.store.switch()
        assert standing is not None
        assert standing.flipped
        assert standing.other.fingerprint == "hashing-1-64"

    run(app, scenario, num_texts=3)


def test_embedding_everything_at_once_waits_for_no_switch_and_cleans_up(app: App):
    async def scenario():
        promote(app, embed__model="hashing-32")
        await until(lambda: app.embedder.dim == 32)

    run(app, scenario, num_texts=3)
    app.close()
    at_once = open_app(app.home, flags={"embed.model": "hashing-16"})
    try:
        with pytest.raises(SetupError, match="embedder confirm"):
            at_once.reembed()
        assert at_once.store.end_switch() is not None
        assert at_once.reembed() == 3
        assert at_once.embedder.dim == 16
        assert_whole(at_once, {f"d{n}": text_of(n) for n in range(3)})
        assert [path.name for path in app.home.glob("index*")] == ["index"]
    finally:
        at_once.close()


async def chaos(app: App, *, num_switches: int, seed: int) -> dict[str, str]:
    """Write, delete and ask at random while the embedder is switched; return what must be there."""
    chance = random.Random(seed)
    expected = {f"d{n}": text_of(n) for n in range(NUM_TEXTS)}
    ended = asyncio.Event()
    asked = 0

    async def write() -> None:
        version = 0
        while not ended.is_set():
            version += 1
            n = chance.randrange(NUM_TEXTS)
            if chance.random() < 0.3 and f"d{n}" in expected:
                with suppress(NotFound):
                    await app.library.delete([f"d{n}"], collection="default", principal=OPERATOR)
                expected.pop(f"d{n}", None)
            else:
                await put(app, n, version)
                expected[f"d{n}"] = text_of(n, version)
            await asyncio.sleep(0.003)

    async def question() -> None:
        nonlocal asked
        while not ended.is_set():
            await ask(app, f"{chance.choice(WORDS)} {asked}")
            asked += 1

    async def switch() -> None:
        for number in range(num_switches):
            dim = (32, 64, 16)[number % 3]
            promote(app, embed__model="hashing" if dim == 64 else f"hashing-{dim}")
            await until(lambda: app.embedder.dim == dim)  # noqa: B023
        ended.set()

    await asyncio.gather(write(), question(), question(), switch())
    assert asked > 20
    return expected


def test_random_writes_deletes_and_questions_over_switches_lose_and_mix_nothing(app: App):
    async def scenario():
        expected = await chaos(app, num_switches=4, seed=1)
        await app.work.drained()
        assert_whole(app, expected)

    run(app, scenario)


@pytest.mark.slow
def test_forty_switches_under_random_writes_and_questions_lose_and_mix_nothing(app: App):
    async def scenario():
        expected = await chaos(app, num_switches=40, seed=2)
        await app.work.drained()
        assert_whole(app, expected)

    run(app, scenario)
