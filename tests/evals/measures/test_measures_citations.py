import math

import pytest

from steelyard.core.evaluation import GoldSpan, Question
from steelyard.evals.measures.citations import on_span

from .conftest import cited, failed, refused, said, value

TEXT = "The harbour opens at nine. On 1 January 2026 we were 218 people at four sites. It is loud."
GOLD = "On 1 January 2026 we were 218 people at four sites."
AT = TEXT.index(GOLD)


def span(text=GOLD, document="d", start=AT):
    return GoldSpan(document, text, start, None if start is None else start + len(text))


def quote(start, end, document="d"):
    return cited(document, start, TEXT[start:end])


def test_a_citation_that_overlaps_by_one_word_is_on_gold():
    assert on_span(quote(AT + 40, len(TEXT)), span())
    assert on_span(quote(AT + 3, AT + 9), span())


def test_a_citation_beside_it_is_not():
    assert not on_span(quote(0, AT), span())
    assert not on_span(quote(AT + len(GOLD), len(TEXT)), span())


def test_a_short_answer_at_another_place_is_not_on_gold():
    short = GoldSpan("d", "nine", 500, 504)
    assert not on_span(quote(0, AT), short)


def test_a_span_without_places_is_found_by_its_words():
    assert on_span(quote(AT, AT + len(GOLD)), span(text="218 people", start=None))
    assert on_span(quote(AT + 26, AT + 36), span(start=None))
    assert not on_span(quote(0, AT), span(text="218 people", start=None))
    assert not on_span(quote(0, AT), span(text="...", start=None))


def test_places_moved_by_reading_give_way_to_words():
    moved = span(start=AT - 4)
    assert on_span(quote(AT, AT + len(GOLD)), moved)
    assert on_span(quote(AT, AT + len(GOLD)), GoldSpan("d", "218 people", AT + 2, AT + 12))
    assert not on_span(quote(0, AT), GoldSpan("d", "four sites", 4, 14))


def test_the_same_words_in_a_copy_of_the_document_are_gold_and_a_number_alone_is_not():
    assert on_span(quote(AT, AT + len(GOLD), document="copy"), span())
    assert not on_span(quote(AT, AT + len(GOLD), document="copy"), span(text="218", start=None))


def test_precision_and_recall_by_hand():
    question = Question("q", "?", spans=(span(), span("The harbour opens at nine.", start=0)))
    answer = said("x", citations=[quote(AT, AT + 20), quote(AT + 55, len(TEXT)), quote(0, 11)])
    assert value("cite_recall", question, answer) == 1.0
    stray = said("x", citations=[quote(AT, AT + 20), cited("e", 0, "Nothing of it.")])
    assert value("cite_precision", question, stray) == 0.5
    assert value("cite_recall", question, stray) == 0.5


def test_where_only_documents_are_judged_they_count():
    question = Question("q", "?", relevant={"d": 1, "e": 2, "f": 0})
    answer = said("x", citations=[cited("d", 0, "a"), cited("f", 0, "b"), cited("z", 0, "c")])
    assert value("cite_precision", question, answer) == pytest.approx(1 / 3)
    assert value("cite_recall", question, answer) == 0.5


@pytest.mark.parametrize("name", ["cite_precision", "cite_recall"])
def test_no_citation_a_refusal_and_a_failure_count_as_zero(name):
    question = Question("q", "?", spans=(span(),))
    for outcome in (said("x"), refused(), failed()):
        assert value(name, question, outcome) == 0.0


@pytest.mark.parametrize("name", ["cite_precision", "cite_recall"])
def test_nothing_to_cite_is_no_value(name):
    answer = said("x", citations=[quote(0, 5)])
    for question in (
        Question("q", "?"),
        Question("q", "?", relevant={"d": 0}),
        Question("q", "?", spans=(span(),), answerable=False),
    ):
        assert math.isnan(value(name, question, answer))
        assert math.isnan(value(name, question, failed()))


def test_support_is_the_share_of_sentences_that_are_not_marked():
    text = "It opens at nine [1]. It is blue. It costs 4.50 euros. [2]"
    bad = (text.index("It is blue"), text.index("It is blue") + len("It is blue."))
    answer = said(text, unsupported=[bad])
    assert value("support", Question("q", "?"), answer) == pytest.approx(2 / 3)
    assert value("cited", Question("q", "?"), answer) == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", ["support", "cited"])
def test_a_refusal_needs_no_support_and_a_failure_has_none(name):
    assert math.isnan(value(name, Question("q", "?"), refused()))
    assert value(name, Question("q", "?"), failed()) == 0.0
    assert value(name, Question("q", "?"), said("  ")) == 0.0
