"""Held-out rows become questions over their own passages and those of the other rows."""

import pytest

from steelyard.core.errors import InputError
from steelyard.core.training import Labelled, Reading, Retrieval, Span, TrainingRow
from steelyard.datasets.training.heldout import held_out_set


def rows(*examples):
    return [TrainingRow(example) for example in examples]


def test_retrieval_rows_ask_for_their_positives_among_all_passages():
    held = rows(Retrieval("who pays?", ("The firm pays.", "We pay all."), ("Nobody flies.",)))
    others = rows(Retrieval("x", ("Another passage.",)))
    found = held_out_set("s", held, others)
    texts = {one.id: one.text for one in found.documents}
    (question,) = found.questions
    assert sorted(texts[one] for one in question.relevant) == ["The firm pays.", "We pay all."]
    assert sorted(texts.values()) == [
        "Another passage.", "Nobody flies.", "The firm pays.", "We pay all.",
    ]  # fmt: skip
    assert found.id == held_out_set("other", held, others).id
    assert found.id != held_out_set("s", held).id


def test_reader_rows_know_their_answers_and_that_there_is_none():
    told = Reading("how many?", "There are 21 days.", (Span("21 days", 10),), title="Leave")
    silent = Reading("how much?", "There are 21 days.", ())
    yes, no = held_out_set("s", rows(told, silent)).questions
    (span,) = yes.spans
    assert (yes.answers, yes.answerable, yes.cluster) == (("21 days",), True, "Leave")
    assert (span.start, span.end, span.document_id) == (10, 17, next(iter(yes.relevant)))
    assert (no.answers, no.answerable, no.relevant) == ((), False, {})


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ([], "nothing was held out"),
        (rows(Labelled("a", "b")), "kind labelled ask nothing"),
        (rows(Retrieval("q", ("doc-17",))), "names its passage"),
    ],
)
def test_what_cannot_be_asked_is_said(held, message):
    with pytest.raises(InputError, match=message):
        held_out_set("s", held)
