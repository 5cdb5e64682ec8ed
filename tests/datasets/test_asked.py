"""What a language model writes is believed only as far as the passage bears it out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.documents import Document
from steelyard.core.evaluation import GoldSpan
from steelyard.datasets import prompt_for, question_of_reply

TEXT = "Intro. Recordings are overwritten after 21 days. The end of it."
DOCUMENT = Document("d1", "file:///c.md", "Cameras", TEXT)
QUOTE = "Recordings are overwritten after 21 days."
GOOD = {"question": "When are recordings overwritten?", "answer": "after 21 days", "quote": QUOTE}


def reply(**changes):
    return json.dumps(GOOD | changes)


def test_a_reply_whose_quote_stands_in_the_passage_is_a_question_with_that_gold():
    found = question_of_reply("Sure!\n```json\n" + reply() + "\n```", DOCUMENT, 0, len(TEXT))
    question = found.question
    assert question is not None
    assert question.answers == ("after 21 days",)
    assert question.spans == (GoldSpan("d1", QUOTE, 7, 7 + len(QUOTE)),)
    assert (question.relevant, question.origin) == ({"d1": 1}, "synthetic")


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("I cannot do that.", "no JSON"),
        ("{broken}", "no JSON"),
        ('{"question": ""}', "nothing to ask"),
        (reply(quote="Recordings are deleted after 21 days."), "the quote is not in the passage"),
        (reply(quote="21"), "the quote is not in the passage"),
        (reply(answer="after 30 days"), "the answer is not in the quote"),
        (reply(answer=""), "the answer is not in the quote"),
        (reply(question="What does this passage say?"), "no question that stands alone"),
        (reply(question="Recordings."), "no question that stands alone"),
        (reply(question="Is it after 21 days?"), "the question gives its own answer"),
    ],
)
def test_every_other_reply_is_refused_with_its_reason(text, refused):
    found = question_of_reply(text, DOCUMENT, 0, len(TEXT))
    assert (found.question, found.refused) == (None, refused)


def test_a_quote_from_elsewhere_in_the_document_is_not_in_the_passage():
    assert question_of_reply(reply(), DOCUMENT, 20, len(TEXT)).question is None


def test_the_model_sees_the_passage_and_nothing_else_of_the_document():
    system, user = prompt_for(DOCUMENT, 7, 7 + len(QUOTE))
    assert "letter by letter" in system.content
    assert user.content == f"Title: Cameras\n\nPassage:\n{QUOTE}"


@given(
    st.text(max_size=60) | st.recursive(st.none() | st.text(max_size=9), st.lists).map(json.dumps)
)
def test_any_reply_is_a_question_or_a_reason(text):
    for wrapped in (text, f'{{"question": {json.dumps(text)}, "quote": {json.dumps(text)}}}'):
        found = question_of_reply(wrapped, DOCUMENT, 0, len(TEXT))
        assert bool(found.question) != bool(found.refused)
