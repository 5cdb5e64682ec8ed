"""Arms over homes: the production flow, a set's documents ingested once, and gold beside it."""

import asyncio
from datetime import date
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from steelyard import arms
from steelyard.app import open_app
from steelyard.arms import Laboratory, read_arms
from steelyard.core.errors import InputError, SetupError
from steelyard.core.evaluation import GoldSpan, Question, QuestionSet, SetDocument
from steelyard.core.ranking import Ranking
from steelyard.cost.own import add_row
from steelyard.flows.library import NewText
from steelyard.infra.mock_llm import MockOptions, serve_mock_llm
from steelyard.retrieve import search
from steelyard.server import build

HASHING = {"embed.model": "hashing"}
TEXTS = {
    "cameras": "Recordings of the cameras at the gates are overwritten after 21 days.",
    "travel": "Trips are booked by the travel desk. The travel desk is open from nine to five.",
    "leave": "Parental leave is sixteen weeks in Norway.",
}
QUESTIONS = (
    Question(
        "q1",
        "After how many days are camera recordings overwritten?",
        answers=("21 days",),
        answerable=True,
        relevant={"cameras": 1},
        spans=(GoldSpan("cameras", "overwritten after 21 days"),),
    ),
    Question(
        "q2",
        "Are trips booked by the travel desk?",
        answers=("the travel desk",),
        relevant={"travel": 1},
    ),
)
SET = QuestionSet(
    "tiny", "tiny-1", QUESTIONS, tuple(SetDocument(name, "", text) for name, text in TEXTS.items())
)


def outcomes(laboratory, specs, questions=SET):
    """Return each arm's outcomes, and what was opened."""

    async def main():
        async with laboratory.opened(questions, specs) as opened:
            asked = opened.questions.questions
            found = {arm.name: [await arm.run(q) for q in asked] for arm in opened.arms}
            keys = {arm.name: [arm.item_key(q) for q in asked] for arm in opened.arms}
            return found, keys, opened

    return asyncio.run(main())


def test_every_search_arm_finds_documents_by_their_own_ids(tmp_path):
    laboratory = Laboratory(tmp_path, flags=HASHING)
    found, keys, opened = outcomes(laboratory, read_arms("bm25,lexical,dense,hybrid"))
    for name, of_arm in found.items():
        assert [one.ranking[0].document_id for one in of_arm] == ["cameras", "travel"], name
        assert not any(one.error or one.degraded for one in of_arm)
        assert all(one.wall_ms > 0 for one in of_arm)
    assert len({key for of_arm in keys.values() for key in of_arm}) == 8
    parts = {arm.name: arm.parts for arm in opened.arms}
    assert parts["bm25"]["chunks"] == "whole documents"
    assert parts["dense"] | {"retrieval": "hybrid"} == parts["hybrid"]


def test_a_sets_documents_are_ingested_once(tmp_path, monkeypatch):
    told = []
    laboratory = Laboratory(
        tmp_path, flags=HASHING, on_fill=lambda done, total: told.append((done, total))
    )
    outcomes(laboratory, read_arms("lexical,dense"))
    assert told[-1] == (3, 3)
    told.clear()
    _, keys, _ = outcomes(laboratory, read_arms("lexical"))
    assert told == []
    _, again, _ = outcomes(laboratory, read_arms("lexical"))
    assert keys == again


def test_an_interrupted_ingestion_goes_on(tmp_path):
    async def interrupted():
        waited = asyncio.Event()
        laboratory = Laboratory(tmp_path, flags=HASHING, on_fill=lambda *_: waited.set())

        async def opening():
            async with laboratory.opened(SET, read_arms("lexical")):
                pass

        task = asyncio.ensure_future(opening())
        await waited.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(interrupted())
    found, _, opened = outcomes(Laboratory(tmp_path, flags=HASHING), read_arms("lexical"))
    assert found["lexical"][0].ranking[0].document_id == "cameras"
    assert opened.notes == ()


def test_a_home_that_cannot_be_written_ends_the_run_and_says_why(tmp_path, monkeypatch):
    def full(*_):
        raise SetupError("the disk is full; make room")

    monkeypatch.setattr("steelyard.flows.ingest.Ingest._commit", full)
    with pytest.raises(SetupError, match="disk is full"):
        outcomes(Laboratory(tmp_path, flags=HASHING), read_arms("lexical"))


def test_answers_come_from_what_was_found_from_gold_or_from_nothing(tmp_path):
    laboratory = Laboratory(tmp_path, flags=HASHING)
    found, _, _ = outcomes(laboratory, read_arms("base,rag,oracle"))
    base, rag, oracle = (found[name][0] for name in ("base", "rag", "oracle"))
    assert base.answer is not None
    assert (base.answer.answerable, base.ranking) == (False, ())
    assert rag.answer is not None
    assert "21 days" in rag.answer.text
    assert rag.answer.cache == "off"
    assert {one.document_id for one in oracle.ranking} == {"cameras"}
    assert found["oracle"][1].ranking[0].document_id == "travel"  # graded, without a span


def test_what_cannot_be_read_is_noted(tmp_path):
    documents = (*SET.documents, SetDocument("empty", "", "  "))
    questions = QuestionSet("tiny", "tiny-2", QUESTIONS, documents)
    _, _, opened = outcomes(Laboratory(tmp_path, flags=HASHING), read_arms("lexical"), questions)
    assert "1 of 4 documents cannot be searched, as 'empty.txt'" in opened.notes[0]


def test_a_model_server_that_fails_is_an_outcome_and_no_crash(tmp_path):
    async def main():
        async with serve_mock_llm(MockOptions(reply="Twenty-one days [1].")) as mock:
            flags = HASHING | {"llm.url": mock.url, "llm.total_timeout_s": 5}
            laboratory = Laboratory(tmp_path, flags=flags)
            specs = read_arms("base,rag", lines=["gone=rag llm.url=http://127.0.0.1:9/v1"])
            async with laboratory.opened(SET, specs) as opened:
                base, rag, gone = [await arm.run(QUESTIONS[0]) for arm in opened.arms]
            told = [request["messages"][0]["content"] for request in mock.requests]
            return base, rag, gone, told

    base, rag, gone, told = asyncio.run(main())
    assert base.answer.text == rag.answer.text == "Twenty-one days [1]."
    assert "from what you know" in told[0]
    assert "numbered sources" in told[1]
    # Production falls back to quotation, and says so: so does the arm.
    assert gone.degraded
    assert gone.degraded[0].startswith("llm:")


@pytest.mark.parametrize(("model", "is_known"), [("gpt-6-luna", True), ("ours-8b", False)])
def test_an_answer_costs_what_the_book_says_of_its_model_or_nobody_knows(tmp_path, model, is_known):
    specs = read_arms("rag", lines=("dear=rag usd_per_mtok_in=1000 usd_per_mtok_out=0",))

    async def asked(url):
        laboratory = Laboratory(tmp_path, flags=HASHING | {"llm.url": url, "llm.model": model})
        async with laboratory.opened(SET, specs) as opened:
            keys = [arm.item_key(QUESTIONS[0]) for arm in opened.arms]
            return keys, [await arm.run(QUESTIONS[0]) for arm in opened.arms]

    async def main():
        async with serve_mock_llm(MockOptions(reply="Twenty-one days [1].")) as mock:
            first = await asked(mock.url)
            row = {"item": "gpu/h200", "usd": 1.0, "unit": "USD/hour", "seen": date.today()}
            add_row(tmp_path, row, units={})
            return first, await asked(mock.url)

    (keys, (rag, dear)), (later, _) = asyncio.run(main())
    usage = rag.answer.usage
    assert min(usage.prompt_tokens, usage.completion_tokens) > 0
    listed = (usage.prompt_tokens * 0.10 + usage.completion_tokens * 0.50) / 1e6
    assert rag.cost_usd == (pytest.approx(listed) if is_known else None)
    assert dear.cost_usd == pytest.approx(usage.prompt_tokens * 1e-3)
    # With other prices what was kept is not used again, but where they were given by hand.
    assert later[0] != keys[0]
    assert later[1] == keys[1]


def test_a_timeout_is_an_outcome(tmp_path):
    async def main():
        async with serve_mock_llm(MockOptions(reply="Late.", ttft_ms=5_000)) as mock:
            laboratory = Laboratory(tmp_path, flags=HASHING | {"llm.url": mock.url}, timeout_s=0.2)
            async with laboratory.opened(SET, read_arms("rag")) as opened:
                return await opened.arms[0].run(QUESTIONS[0])

    outcome = asyncio.run(main())
    assert outcome.error == "no answer within 0.2 s"
    assert outcome.answer is None


def live(relevant):
    """Return a set of one question, about the documents of a home."""
    return QuestionSet("live", "1", (Question("q1", QUESTIONS[0].text, relevant=relevant),))


def fill(home, texts):
    app = open_app(home, flags=HASHING)

    async def main():
        async with app.working():
            new = [NewText(id=n, text=t, uri=f"file:///x/{n}.md") for n, t in texts.items()]
            await app.library.settled((await app.library.put_texts(new)).tickets)

    asyncio.run(main())
    app.close()


def test_a_live_homes_documents_may_be_named_by_the_end_of_their_uri(tmp_path):
    fill(tmp_path, TEXTS)
    asked = live({"cameras.md": 1})
    found, _, opened = outcomes(
        Laboratory(tmp_path, flags=HASHING), read_arms("bm25,hybrid"), asked
    )
    assert opened.questions.questions[0].relevant == {"cameras": 1}
    assert found["hybrid"][0].ranking[0].document_id == "cameras"
    assert any("BM25 leg of its own index" in one for one in opened.notes)


def test_documents_that_change_while_they_are_asked_of_are_told(tmp_path):
    fill(tmp_path, TEXTS)

    async def main():
        laboratory = Laboratory(tmp_path, flags=HASHING)
        async with laboratory.opened(live({"cameras.md": 1}), read_arms("lexical")) as opened:
            before = list(opened.changes())
            await asyncio.to_thread(fill, tmp_path, {"leave": "Leave is 30 days a year."})
            return before, opened.changes()

    before, (note,) = asyncio.run(main())
    assert before == []
    assert "changed while it was asked" in note


def test_questions_about_another_home_are_refused(tmp_path):
    fill(tmp_path, TEXTS)
    asked = live({"gone.md": 1})
    with pytest.raises(InputError, match=r"1 of 1 names .*'gone\.md'"):
        outcomes(Laboratory(tmp_path, flags=HASHING), read_arms("hybrid"), asked)


def test_an_arm_over_a_live_home_cannot_cut_it_anew_but_may_name_another(tmp_path):
    home, other = tmp_path / "home", tmp_path / "other"
    fill(home, TEXTS)
    fill(other, {"cameras": TEXTS["cameras"]})
    asked = live({"cameras": 1})
    laboratory = Laboratory(home, flags=HASHING)
    with pytest.raises(SetupError, match="give the arm home=OTHER"):
        outcomes(laboratory, read_arms("", lines=["small=hybrid chunk.max_tokens=64"]), asked)
    found, _, _ = outcomes(laboratory, read_arms("", lines=[f"there=hybrid home={other}"]), asked)
    assert len(found["there"][0].ranking) == 1
    with pytest.raises(InputError, match="there is no home"):
        outcomes(laboratory, read_arms("", lines=["there=hybrid home=/nowhere"]), asked)


def test_the_harness_and_the_server_run_the_same_code(tmp_path, monkeypatch):
    """Change the flow in one place: what is served and what is measured change alike."""
    home = tmp_path / "home"
    fill(home, TEXTS)

    def served():
        app = open_app(home, flags=HASHING)
        with TestClient(build(app), base_url="http://127.0.0.1:8080") as client:
            found = client.post("/v1/search", json={"query": QUESTIONS[0].text, "k": 50}).json()
        app.close()
        return list(dict.fromkeys(hit["document_id"] for hit in found["hits"]))

    def measured():
        asked = live({"cameras": 1})
        found, _, _ = outcomes(Laboratory(home, flags=HASHING), read_arms("hybrid"), asked)
        return [one.document_id for one in found["hybrid"][0].ranking]

    before = served()
    assert measured() == before
    fuse = search.FUSIONS["scores"]

    def upside_down(*args, **kwargs):
        return Ranking(tuple(reversed(fuse(*args, **kwargs).hits)))

    monkeypatch.setitem(search.FUSIONS, "scores", upside_down)
    assert served() == measured() == before[::-1]


def test_no_arm_imports_a_part_of_the_way_itself():
    """What is measured can only be what `bundle` serves: arms name no leg, fusion or generator."""
    sources = {file.name: file.read_text() for file in Path(arms.__file__).parent.glob("*.py")}
    for name, text in sources.items():
        for room in ("retrieve", "index", "embed", "rerank", "chunk", "parse"):
            assert f"steelyard.{room}" not in text, (name, room)


def test_outcomes_of_older_code_are_not_used_again(tmp_path, monkeypatch):
    _, keys, _ = outcomes(Laboratory(tmp_path, flags=HASHING), read_arms("lexical"))
    monkeypatch.setattr("steelyard.arms.laboratory.code_identity", lambda: "changed")
    _, after, _ = outcomes(Laboratory(tmp_path, flags=HASHING), read_arms("lexical"))
    assert keys["lexical"][0] != after["lexical"][0]


def test_no_arm_is_quicker_for_what_another_has_asked(tmp_path):
    async def main():
        async with Laboratory(tmp_path, flags=HASHING).opened(
            SET, read_arms("dense", lines=["again=dense"])
        ) as opened:
            first, second = opened.arms
            await first.run(QUESTIONS[0])
            asked: list[str] = []
            embed = second._bundle._home.embedder.embed_query

            def counted(text):
                asked.append(text)
                return embed(text)

            second._bundle._home.embedder.embed_query = counted
            await second.run(QUESTIONS[0])
            return asked

    assert asyncio.run(main()) == [QUESTIONS[0].text]
