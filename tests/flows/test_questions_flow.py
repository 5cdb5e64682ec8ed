"""From a real home to a set under review: by rule, by a model, from the log."""

import asyncio
import json
from dataclasses import replace

import pytest

from steelyard.app import App, open_app
from steelyard.core.errors import InputError
from steelyard.core.ranking import PUBLIC, Query
from steelyard.flows.library import NewText
from steelyard.flows.questions import make_questions, questions_from_log
from steelyard.generate import OpenAIGenerator
from steelyard.generate.options import LlmOptions
from steelyard.infra.mock_llm import MockOptions, serve_mock_llm

SENTENCE = "Recordings of the cameras are kept for 21 days."
FILLER = "The guard at the gate looks after them and writes every request into a book. " * 3
TABLE = "| Gate | Extension |\n|---|---|\n| North | 5511 |\n| South | 5512 |\n"
TEXT = f"# Cameras\n\n{SENTENCE} {FILLER}\n\n{TABLE}"
REPLY = {"question": "How long are camera recordings kept?", "answer": "21 days", "quote": SENTENCE}
QUESTION = Query(text="How long are recordings of the cameras kept?", principal=PUBLIC, k=3)


@pytest.fixture
def app(tmp_path):
    opened = open_app(tmp_path / "home", flags={"embed.model": "hashing"})
    yield opened
    opened.close()


def run(app: App, scenario):
    async def main():
        async with app.working():
            submitted = await app.library.put_text(NewText(id="cameras", text=TEXT))
            await app.library.settled(submitted.tickets)
            return await scenario()

    return asyncio.run(main())


def make(app, **options):
    given = {"pool": app.workers.query, "collection": "default", "limit": 9, "per_document": 9}
    return make_questions(app.store, **given | options)


def test_rules_make_questions_whose_gold_is_in_the_stored_text(app):
    made = run(app, lambda: make(app))
    found = {one.question.text: one.question for one in made.questions}
    assert found["What is the extension of North?"].answers == ("5511",)
    text = app.store.text("default", "cameras", principal=PUBLIC)
    spans = [span for one in made.questions for span in one.question.spans]
    assert spans
    assert all(text[span.start : span.end] == span.text for span in spans)
    assert made.num_documents == 1
    with pytest.raises(InputError, match="collection 'other' has no document"):
        asyncio.run(make(app, collection="other"))
    with pytest.raises(InputError, match="at least 1"):
        asyncio.run(make(app, limit=0))


def asked_of(app, mock_options, **options):
    async def scenario():
        async with serve_mock_llm(mock_options) as mock:
            completer = OpenAIGenerator(LlmOptions(url=mock.url, first_token_timeout_s=0.5))
            try:
                return await make(app, completer=completer, **options)
            finally:
                await completer.aclose()

    return run(app, scenario)


def test_a_models_question_is_taken_first_and_rules_fill_the_set(app):
    made = asked_of(app, MockOptions(reply=json.dumps(REPLY)), limit=2)
    first, second = made.questions
    assert (first.question.text, first.question.type) == (REPLY["question"], "written")
    assert first.question.spans[0].text == SENTENCE
    assert second.question.type != "written"
    assert made.problem == ""


def test_a_model_that_quotes_what_is_not_there_is_refused_and_counted(app):
    made = asked_of(app, MockOptions(reply=json.dumps(REPLY | {"quote": "Kept for 30 days."})))
    assert made.refused == {"the quote is not in the passage": 1}
    assert all(one.question.type != "written" for one in made.questions)


def test_a_model_that_fails_is_told_and_rules_do_the_work(app):
    made = asked_of(app, MockOptions(fault="stall"))
    assert "sent no token within 0.5 s" in made.problem
    assert made.questions


def test_rated_answers_come_back_as_questions(app):
    async def scenario():
        with pytest.raises(InputError, match="nobody has rated an answer"):
            await questions_from_log(app.store, pool=app.workers.query, collection="default")
        answer = await app.champion.answering.answer(QUESTION)
        app.store.log_answer(QUESTION, replace(answer, id="mine"))  # its own is written later
        app.store.add_feedback("mine", "up", principal=PUBLIC)
        return await questions_from_log(app.store, pool=app.workers.query, collection="default")

    (one,) = run(app, scenario).questions
    assert one.question.text == QUESTION.text
    assert one.question.relevant == {"cameras": 1}
    assert "21 days" in one.question.answers[0]
