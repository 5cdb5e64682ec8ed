"""Rated answers become questions: up with gold, down for a person to answer."""

from steelyard.core.chat import Citation
from steelyard.core.documents import Document
from steelyard.core.evaluation import GoldSpan
from steelyard.datasets import RatedAnswer, questions_of_log

DOCUMENTS = {"d1": Document("d1", "file:///c.md", "Cameras", "Kept for 21 days. Then gone.")}
QUOTE = "Kept for 21 days."


def rated(question="How long?", *, up=True, text="21 days. [1]", answerable=True, quotes=(QUOTE,)):
    citations = [Citation(1, "d1", "u", 3, 5, 5 + len(q), q) for q in quotes]
    return RatedAnswer(question, text, answerable, up, "thanks", citations)


def test_an_answer_rated_up_is_gold_with_what_it_cites_where_it_stands_now():
    (made,) = questions_of_log([rated()], DOCUMENTS)
    question = made.question
    assert question.answers == ("21 days.",)
    assert question.spans == (GoldSpan("d1", QUOTE, 0, 17),)
    assert question.relevant == {"d1": 1}
    assert (question.origin, question.answerable) == ("log", True)
    assert (made.source, made.note) == ("file:///c.md", "thanks")


def test_words_that_are_gone_from_the_documents_are_no_gold():
    (made,) = questions_of_log([rated(quotes=("Kept for 30 days.",))], DOCUMENTS)
    assert (made.question.spans, made.question.relevant) == ((), {})
    assert made.question.answers == ("21 days.",)


def test_an_answer_rated_down_has_no_gold_and_says_what_was_wrong():
    (made,) = questions_of_log([rated(up=False)], DOCUMENTS)
    assert (made.question.answers, made.question.relevant) == ((), {})
    assert made.question.answerable is None
    assert made.note == "answered: 21 days. | said: thanks"


def test_an_abstention_rated_up_cannot_be_answered():
    (made,) = questions_of_log([rated(text="They don't tell.", answerable=False)], DOCUMENTS)
    assert made.question.answerable is False
    assert (made.question.answers, made.question.spans) == ((), ())


def test_one_question_is_made_once_by_its_newest_answer():
    made = questions_of_log([rated(up=False), rated(" how  LONG?"), rated("Who?")], DOCUMENTS)
    assert [one.question.text for one in made] == ["How long?", "Who?"]
    assert made[0].question.answers == ()
