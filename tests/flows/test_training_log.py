"""The query log of a real home → training rows of each kind, with where each is from."""

import asyncio
import json
from dataclasses import replace

import pytest

from steelyard.app import App, open_app
from steelyard.cli.data_place import desk_of
from steelyard.core.chat import Asker, Message
from steelyard.core.errors import InputError
from steelyard.core.ranking import Principal, Query
from steelyard.core.training import Chat, Kind, Preference, Reading, Retrieval
from steelyard.flows.answer import Wish
from steelyard.flows.library import NewText
from steelyard.flows.training_log import LogWish, rows_from_log
from steelyard.generate import REFUSAL
from steelyard.infra.mock_llm import MockOptions, serve_mock_llm

SENTENCE = "Recordings of the cameras are kept for 21 days."
TEXT = f"# Cameras\n\n{SENTENCE} The guard at the gate looks after them.\n"
SECRET = "# Alarm\n\nThe alarm of the vault is tested on Mondays at noon.\n"
STAFF = Principal("ann", frozenset({"public", "staff"}))
QUESTION = Query("How long are recordings of the cameras kept?", STAFF, k=3)
ALARM = Query("When is the alarm of the vault tested?", STAFF, k=3)
NONSENSE = Query("Who won the chess tournament?", STAFF, k=3)


@pytest.fixture
def app(tmp_path):
    opened = open_app(tmp_path / "home", flags={"embed.model": "hashing"})
    yield opened
    opened.close()


def log(app: App, scenario):
    """Put two documents into a home, let `scenario(answer)` write the log, and return a maker."""

    async def main():
        async with app.working():
            for name, text, groups in (
                ("cameras", TEXT, ("public",)),
                ("alarm", SECRET, ("staff",)),
            ):
                put = await app.library.put_text(NewText(id=name, text=text, groups=groups))
                await app.library.settled(put.tickets)

            async def answer(identity, query, *, user="u1", history=(), **changes):
                got = await app.champion.answering.answer(query)
                logged = replace(got, id=identity, **changes)
                app.store.log_answer(query, logged, history=history, asker=Asker(user))
                return logged

            await scenario(answer)
        with app.store._database.writing() as connection:
            connection.execute("DELETE FROM answers WHERE user = ''")  # what answering logged

    asyncio.run(main())

    def make(kind, groups="public", **wish):
        desk = desk_of(app, app.champion, collection="default", groups=groups)
        return asyncio.run(rows_from_log(desk, LogWish(Kind(kind), **wish)))

    return make


def rate(app, identity, rating, correction=""):
    app.store.add_feedback(identity, rating, correction=correction, principal=STAFF)


def test_a_good_answer_gives_its_question_with_what_it_cites_and_where_that_is_from(app):
    async def scenario(answer):
        await answer("a1", QUESTION)
        rate(app, "a1", "up")
        await answer("a2", NONSENSE)

    make = log(app, scenario)
    made = make("retrieval")
    (row,) = made.rows
    assert row.example == Retrieval(QUESTION.text, (f"Cameras\n{TEXT.strip()}",))
    where = row.provenance
    assert (where.id, where.origin, where.documents, where.user) == (
        "a1",
        "log",
        ("cameras",),
        "u1",
    )
    assert where.conversation.startswith("c-")
    assert where.at is not None
    assert made.left_out == {"not rated": 1}
    (reading,) = make("reader").rows
    assert isinstance(reading.example, Reading)
    (span,) = reading.example.answers
    assert span.text == SENTENCE
    assert reading.example.context[span.start :].startswith(SENTENCE)


def test_what_nobody_rated_counts_only_if_asked_for_and_wholly_supported(app):
    async def scenario(answer):
        await answer("a1", QUESTION)
        await answer("a2", ALARM, degraded=("dense",))

    make = log(app, scenario)
    with pytest.raises(InputError, match=r"2 not rated.*--unrated"):
        make("retrieval")
    made = make("retrieval", groups="public,staff", unrated=True)
    assert [row.provenance.id for row in made.rows] == ["a1"]
    assert made.left_out == {"not rated, and not wholly supported": 1}


def test_rows_hold_only_what_the_given_groups_may_read_and_users_may_be_left_out(app):
    async def scenario(answer):
        await answer("a1", QUESTION, user="u2")
        await answer("a2", ALARM)
        for name in ("a1", "a2"):
            rate(app, name, "up")

    make = log(app, scenario)
    assert [row.provenance.id for row in make("retrieval").rows] == ["a1"]
    assert len(make("retrieval", groups="public,staff").rows) == 2
    with pytest.raises(InputError, match=r"not for these groups.*of a user who is left out"):
        make("retrieval", without={"u2"})
    chats = make("chat", groups="public,staff").rows
    assert {row.provenance.documents for row in chats} == {("cameras",), ("alarm",)}
    (public,) = make("chat").rows
    assert "vault" not in public.example.turns[1].content


def test_the_newest_word_on_a_question_counts_and_follow_ups_do_not_stand_alone(app):
    before = (Message("user", "What about cameras?"), Message("assistant", "Yes."))

    async def scenario(answer):
        await answer("a1", QUESTION)
        await answer("a2", replace(QUESTION, text=QUESTION.text.upper()))
        await answer("a3", QUESTION, history=before)
        for name, rating in (("a1", "up"), ("a2", "down"), ("a3", "up")):
            rate(app, name, rating)

    make = log(app, scenario)
    with pytest.raises(InputError) as caught:
        make("retrieval")
    for reason in ("1 asked again since", "1 rated down", "1 a follow-up"):
        assert reason in str(caught.value)
    (chat,) = make("chat").rows
    assert [(one.role, one.weight) for one in chat.example.turns[1:3]] == [
        ("user", 1),
        ("assistant", 0),
    ]


def test_a_correction_becomes_a_preference_over_what_was_said_in_the_served_prompt(app):
    async def scenario(answer):
        await answer("a1", QUESTION, text="Recordings are kept for 12 days [1].")
        rate(app, "a1", "down", "Recordings of the cameras are kept for 21 days.")
        await answer("a2", ALARM)
        rate(app, "a2", "down")

    make = log(app, scenario)
    made = make("preference")
    (row,) = made.rows
    pair = row.example
    assert isinstance(pair, Preference)
    assert pair.preferred[0].content == "Recordings of the cameras are kept for 21 days. [1]"
    assert pair.rejected[0].content == "Recordings are kept for 12 days [1]."
    assert [turn.role for turn in pair.turns] == ["system", "user"]
    assert '<source n="1" title="Cameras">' in pair.turns[1].content
    assert made.left_out == {"not corrected": 1}
    (chat,) = make("chat").rows
    assert chat.example.turns[-1].content == pair.preferred[0].content
    (bare,) = make("preference", closed_book=True).rows
    assert "[1]" not in bare.example.rejected[0].content
    assert "<source" not in bare.example.turns[-1].content
    with pytest.raises(InputError, match="1 rated down, 1 corrected"):
        make("retrieval")


def test_an_approved_refusal_teaches_to_refuse_what_is_found(app):
    async def scenario(answer):
        await answer("a1", NONSENSE, text=REFUSAL, answerable=False, citations=())
        rate(app, "a1", "up")

    make = log(app, scenario)
    (chat,) = make("chat").rows
    assert isinstance(chat.example, Chat)
    assert chat.example.turns[-1].content == REFUSAL
    (reading,) = make("reader").rows
    assert reading.example.answers == ()
    assert reading.provenance.documents == ("cameras",)
    with pytest.raises(InputError, match="1 a refusal"):
        make("retrieval")


def test_an_answer_whose_sources_changed_since_teaches_nothing(app):
    async def scenario(answer):
        await answer("a1", QUESTION)
        rate(app, "a1", "up")
        text = TEXT.replace("21 days", "30 days")
        put = await app.library.put_text(NewText(id="cameras", text=text))
        await app.library.settled(put.tickets)

    make = log(app, scenario)
    for kind in ("retrieval", "reader", "chat"):
        with pytest.raises(InputError, match="has changed since"):
            make(kind)


def test_what_is_trained_on_is_what_a_model_is_sent_when_it_serves(tmp_path):
    """FIELD 10: good in training, gibberish when served, because the prompts differ."""
    history = (Message("user", "Are there cameras?"), Message("assistant", "Yes, at the gate."))
    before = (Message("user", "Old talk. " * 300), *history)  # more than fits

    async def main():
        async with serve_mock_llm(MockOptions(reply=f"{SENTENCE} [1]")) as mock:
            flags = {
                "embed.model": "hashing",
                "llm.url": mock.url,
                "llm.instructions": "Be kind.",
                "llm.context_tokens": 60,
            }
            app = open_app(tmp_path / "home", flags=flags)
            async with app.working():
                for name in ("cameras", "more", "again"):
                    text = f"{TEXT}\n\n{name} {SENTENCE} It is so at the {name} of the house."
                    put = await app.library.put_text(NewText(id=name, text=text))
                    await app.library.settled(put.tickets)
                await app.champion.answering.answer(QUESTION, Wish(history=before))
                await app.champion.aclose()
                (logged,) = app.store.recent_answers()
                app.store.add_feedback(logged.id, "up", principal=STAFF)
                desk = desk_of(app, app.champion, collection="default", groups="public")
                made = await rows_from_log(desk, LogWish(Kind.CHAT))
            app.close()
            return made.rows[0].example.turns, mock.requests[-1]["messages"]

    turns, sent = asyncio.run(main())
    assert [{"role": one.role, "content": one.content} for one in turns[:-1]] == sent
    assert "Be kind." in turns[0].content
    assert "Old talk" not in json.dumps(sent)
    assert turns[-1].content == f"{SENTENCE} [1]"


def test_the_log_gives_no_labels(app):
    with pytest.raises(InputError, match="no rows of kind labelled"):
        log(app, lambda answer: asyncio.sleep(0))("labelled")
