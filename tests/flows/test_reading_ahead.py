"""Passages are read by the serving reranker before anybody asks, and searches use it."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from steelyard.app import App, open_app
from steelyard.core.errors import UpstreamError
from steelyard.core.protocols import ReadingReranker
from steelyard.core.ranking import PUBLIC, Query, RerankPassage
from steelyard.flows import reading_ahead
from steelyard.flows.reading_ahead import read_ahead


class Letters:
    """Reads a passage as rows of its length, and notes what it is given."""

    tokenizer_identity = "letters"

    def __init__(self, name: str = "letters", *, fails: int = 0) -> None:
        self.model = self.reads_as = name
        self.fails = fails
        self.read_texts: list[str] = []
        self.given: list[int | None] = []

    async def scores(
        self, question: str, passages: Sequence[RerankPassage], *, budget_s: float
    ) -> list[float]:
        self.given = [None if one.vectors is None else len(one.vectors) for one in passages]
        return [0.0] * len(passages)

    def read(self, passages: Sequence[RerankPassage]) -> list[np.ndarray]:
        if self.fails:
            self.fails -= 1
            raise UpstreamError("out of memory")
        self.read_texts += [one.text for one in passages]
        return [np.ones((len(one.text), 3), np.int8) for one in passages]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setattr(reading_ahead, "LOOK_S", 0.01)
    monkeypatch.setattr(reading_ahead, "RETRY_S", 0.01)
    opened = open_app(tmp_path / "home", flags={"embed.model": "hashing-64"})
    yield opened
    opened.close()


def write(folder: Path, **texts: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    return [str(folder)]


def unread(app: App, reranker: Letters) -> int:
    return len(app.store.unread(reranker.reads_as, after=-1, limit=999))


async def until_read(app: App, *serving: Letters | None) -> None:
    """Read ahead until the first of them has read all."""
    task = asyncio.create_task(read_ahead(app.store, lambda: list(serving), app.workers))
    async with asyncio.timeout(20):
        while serving[0] is not None and unread(app, serving[0]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # and prune
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_every_passage_is_read_once_new_ones_too_and_a_search_brings_it_along(
    app: App, tmp_path: Path
) -> None:
    letters = Letters()
    assert isinstance(letters, ReadingReranker)
    app.champion.__dict__["reranker"] = letters

    async def scenario() -> None:
        docs = tmp_path / "docs"
        await app.ingest_once(write(docs, a="Parental leave takes sixteen weeks."))
        await until_read(app, letters)
        await app.ingest_once(write(docs, b="The lift is serviced in May."))
        await until_read(app, letters)
        await app.retriever.search(Query("how long is parental leave", PUBLIC, k=2))

    asyncio.run(scenario())
    assert len(letters.read_texts) == len(set(letters.read_texts)) == 2
    assert sorted(letters.given) == sorted(map(len, letters.read_texts))


def test_a_question_before_its_passage_was_read_goes_without(app: App, tmp_path: Path) -> None:
    letters = Letters()
    app.champion.__dict__["reranker"] = letters
    asyncio.run(app.ingest_once(write(tmp_path / "docs", a="Parental leave.")))
    found = asyncio.run(app.retriever.search(Query("parental leave", PUBLIC, k=2)))
    assert letters.given == [None]
    assert found.degraded == ()


def test_a_promoted_reranker_reads_anew_and_the_one_before_is_kept_for_going_back(
    app: App, tmp_path: Path
) -> None:
    first, second, third = Letters("first"), Letters("second"), Letters("third")
    asyncio.run(app.ingest_once(write(tmp_path / "docs", a="One.", b="Two.")))
    asyncio.run(until_read(app, first))
    asyncio.run(until_read(app, second, first))
    assert unread(app, first) == 0
    asyncio.run(until_read(app, third, second))
    assert [unread(app, one) for one in (first, second, third)] == [2, 0, 0]


def test_what_fails_is_told_and_tried_again(
    app: App, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    letters = Letters(fails=2)
    asyncio.run(app.ingest_once(write(tmp_path / "docs", a="One.")))
    asyncio.run(until_read(app, letters))
    assert letters.read_texts == ["A\nOne."]
    assert caplog.text.count("reading_ahead_failed") == 2
    assert "out of memory" in caplog.text


def test_without_a_reranker_that_can_nothing_is_read(app: App, tmp_path: Path) -> None:
    asyncio.run(app.ingest_once(write(tmp_path / "docs", a="One.")))
    asyncio.run(until_read(app, None))
    assert app.store.prune_readings(keep=[]) == 0


def test_a_reranker_that_is_promoted_meanwhile_is_read_by_next(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_ahead.read_some, "__kwdefaults__", {"limit": 1})
    first, second = Letters("first"), Letters("second")
    asyncio.run(app.ingest_once(write(tmp_path / "docs", a="One.", b="Two.", c="Three.")))

    async def scenario() -> None:
        def serving() -> list[Letters]:
            return [second if first.read_texts else first]

        task = asyncio.create_task(read_ahead(app.store, serving, app.workers))
        async with asyncio.timeout(20):
            while len(second.read_texts) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert len(first.read_texts) == 1
