"""A set over a live home finds its documents there, or says that it is another home."""

import pytest

from steelyard.core.documents import Document
from steelyard.core.errors import InputError
from steelyard.core.evaluation import GoldSpan, Question, QuestionSet, SetDocument
from steelyard.datasets import bind
from steelyard.datasets.bind import locate

HOME = [
    Document("1", "file:///data/hr/travel.md", "Travel", "Book 14 days ahead. Go by train."),
    Document("2", "file:///data/it/a%20list.md", "List", "Ask the desk."),
    Document("3", "file:///data/uk/hr/leave.md", "Leave", "Thirty days."),
    Document("4", "file:///data/dk/hr/leave.md", "Leave", "Twenty days."),
]


def bound(*questions):
    return bind(QuestionSet("set", "id", questions), HOME)


def question(name="hr/travel.md", *spans):
    return Question("q", "?", relevant={name: 1}, spans=spans, cluster=name)


def test_ends_of_addresses_and_ids_become_ids():
    for name in (
        "hr/travel.md",
        "/data/hr/travel.md",
        "file:///data/hr/travel.md",
        "travel.md",
        "1",
    ):
        (found,) = bound(question(name)).questions
        assert (found.relevant, found.cluster) == ({"1": 1}, "1")
    assert bound(question("it/a list.md")).questions[0].relevant == {"2": 1}
    assert bound(question("uk/hr/leave.md")).questions[0].relevant == {"3": 1}


def test_words_get_their_places_in_the_homes_text():
    spans = (
        GoldSpan("hr/travel.md", "Go by train."),
        GoldSpan("", "14 days"),
        GoldSpan("1", "Book", 99, 103),
        GoldSpan("1", "by plane"),
        GoldSpan("1", "*ahead* | Go\nby"),
    )
    found = bound(question("hr/travel.md", *spans))
    assert found.questions[0].spans == (
        GoldSpan("1", "Go by train.", 20, 32),
        GoldSpan("1", "14 days", 5, 12),
        GoldSpan("1", "Book", 0, 4),
        GoldSpan("1", "by plane"),
        GoldSpan("1", "ahead. Go by", 13, 25),
    )
    assert any("stand in none of their documents any more: 1" in note for note in found.notes)


def test_a_row_is_found_between_its_columns_names():
    text = "code: TL1; status: 403; meaning: run out\ncode: TL2; status: 409; meaning: twice"
    assert locate("TL2,409,,twice", text).span() == (47, 79)
    assert locate("TL1,409,twice", text) is None


def test_a_name_that_fits_two_documents_and_a_home_of_something_else_are_refused():
    with pytest.raises(InputError, match=r"'hr/leave.md' fits 2 documents: write more"):
        bound(question("hr/leave.md"))
    with pytest.raises(InputError, match=r"2 of 2 names of documents fit none of the home's 4"):
        bound(question("x.md"), question("y.md"))


def test_one_name_in_a_hundred_may_be_gone():
    found = bound(*[question() for _ in range(99)], question("gone.md"))
    assert found.questions[-1].relevant == {}
    assert any("home does not have: 1 (first: 'gone.md')" in note for note in found.notes)


def test_a_set_with_documents_of_its_own_stays_as_it_is():
    own = QuestionSet("set", "id", (question(),), (SetDocument("d", "", "text"),))
    assert bind(own, HOME) is own
