"""Bundles over one home: what differs, what is shared, and what is refused."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.app import App, open_app
from steelyard.core.errors import SetupError
from steelyard.core.ranking import PUBLIC, Query
from steelyard.flows.library import NewText

QUESTION = Query(text="How long are recordings kept?", principal=PUBLIC, k=3)
TEXTS = {
    "cameras": "Recordings of the cameras are kept for 21 days.",
    "travel": "Trips are booked by the travel desk.",
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    opened = open_app(tmp_path / "home", flags={"embed.model": "hashing"})
    yield opened
    opened.close()


async def filled(app: App) -> None:
    for name, text in TEXTS.items():
        await app.library.put_text(NewText(id=name, text=text))
    await app.library.settled((await app.library.put_text(NewText(id="x", text="End."))).tickets)


def run(app: App, scenario):
    async def main():
        async with app.working():
            await filled(app)
            return await scenario()

    return asyncio.run(main())


def test_a_variant_answers_from_the_same_documents_and_leaves_no_log(app: App):
    async def scenario():
        lexical = app.variant({"retrieve.legs": "lexical", "cache.mode": "off"})
        assert lexical.name != app.bundle
        found = await lexical.retriever.search(QUESTION)
        assert found.found[0].chunk.document_id == "cameras"
        assert "lexical" in found.timings_ms
        assert "dense" not in found.timings_ms
        answer = await lexical.answering.answer(QUESTION)
        assert "21 days" in answer.text
        await lexical.aclose()

    run(app, scenario)
    # The workers have ended: whatever would have been logged has been.
    reopened = open_app(app.home)
    assert reopened.store.recent_answers() == []
    reopened.close()


@pytest.mark.parametrize(
    ("legs", "stages"), [("dense", {"dense"}), ("hybrid", {"dense", "lexical"})]
)
def test_legs_are_those_that_were_chosen(app: App, legs: str, stages: set[str]):
    async def scenario():
        found = await app.variant({"retrieve.legs": legs}).retriever.search(QUESTION)
        assert {"dense", "lexical"} & set(found.timings_ms) == stages

    run(app, scenario)


def test_without_legs_nothing_is_searched_and_nothing_quoted(app: App):
    async def scenario():
        closed = app.variant({"retrieve.legs": "none"})
        assert (await closed.retriever.search(QUESTION)).found == ()
        answer = await closed.answering.answer(QUESTION)
        assert (answer.answerable, answer.sources, answer.citations) == (False, (), ())

    run(app, scenario)


def test_a_variant_that_needs_another_index_is_refused(app: App):
    with pytest.raises(SetupError, match="'chunk' differ"):
        app.variant({"chunk.max_tokens": 64})


def test_an_unknown_choice_of_legs_names_those_that_there_are(app: App):
    with pytest.raises(SetupError, match=r"retrieve\.legs is 'both'; set it to hybrid, dense"):
        app.variant({"retrieve.legs": "both"})


def test_what_shapes_an_answer_changes_the_name(app: App):
    async def scenario():
        names = {
            app.variant(flags).name
            for flags in (
                {},
                {"retrieve.pool": 20},
                {"context.neighbours": 0},
                {"llm.instructions": "Be formal."},
                {"llm.url": "http://127.0.0.1:9", "llm.model": "m", "llm.temperature": 1.0},
                {"llm.url": "http://127.0.0.1:9", "llm.model": "m"},
            )
        }
        assert len(names) == 6
        assert app.bundle in names

    run(app, scenario)
