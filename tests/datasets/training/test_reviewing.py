"""A review of rows: a decision holds wherever the row is; what is left becomes a version."""

import pytest

from steelyard.core.errors import InputError, NotFound
from steelyard.core.training import (
    Chat,
    Labelled,
    Preference,
    Reading,
    Retrieval,
    Span,
    TrainingRow,
    Turn,
)
from steelyard.datasets import Decision, Verdict
from steelyard.datasets.training import (
    decide_rows,
    keep,
    keep_reviewed,
    read_kept,
    row_queue,
    sha256_of,
)

ROWS = [TrainingRow(Labelled(f"text {n}", "a")) for n in range(4)]
IDS = [sha256_of(row) for row in ROWS]


def kept(home, rows=ROWS, **options):
    return keep(home, rows, name="small", recipe={}, **options).version


def verdicts(home, version):
    return {one.row.example.text: one.verdict for one in row_queue(home, version)}


def test_what_is_left_of_a_review_is_a_version_with_its_splits(tmp_path):
    version = kept(tmp_path, splits=dict.fromkeys(IDS, "train"))
    decide_rows(
        tmp_path,
        version,
        [
            Decision(IDS[0], Verdict.ACCEPT, "ann"),
            Decision(IDS[1][:12], Verdict.REJECT),
            Decision(IDS[2], Verdict.EDIT, answers=("b",)),
        ],
    )
    reviewed = keep_reviewed(tmp_path, version, "reviewed").version
    rows = {row.example.text: row.example.label for row in read_kept(tmp_path, reviewed)}
    assert rows == {"text 0": "a", "text 2": "b"}
    assert (reviewed.splits, reviewed.parents) == ({"train": 2}, (version.id,))
    assert verdicts(tmp_path, reviewed) == {"text 0": "accept", "text 2": "accept"}
    assert keep_reviewed(tmp_path, version, "not-rejected").version.num_rows == 3
    with pytest.raises(InputError, match="'some' is not one of reviewed, not-rejected"):
        keep_reviewed(tmp_path, version, "some")


def test_a_decision_holds_in_another_version_and_can_be_taken_back(tmp_path):
    decide_rows(tmp_path, kept(tmp_path), [Decision(IDS[1], Verdict.REJECT)])
    fewer = kept(tmp_path, ROWS[:2])
    assert verdicts(tmp_path, fewer) == {"text 0": "pending", "text 1": "reject"}
    decide_rows(tmp_path, fewer, [Decision(IDS[1], Verdict.PENDING)])
    assert verdicts(tmp_path, fewer)["text 1"] == "pending"


def edited(tmp_path, example, **change):
    row = TrainingRow(example)
    version = keep(tmp_path, [row], name="one", recipe={}).version
    (one,) = decide_rows(tmp_path, version, [Decision(sha256_of(row), Verdict.EDIT, **change)])
    return one.row.example


def test_each_kind_is_edited_where_it_is_learnt_from(tmp_path):
    reading = Reading("Q?", "It is 21 days, not 12.", (Span("12", 19),))
    assert edited(tmp_path, reading, answers=("21 days",)).answers == (Span("21 days", 6),)
    assert edited(tmp_path, reading, answerable=False).answers == ()
    assert edited(tmp_path, Retrieval("q", ("a",)), question="r", answers=("b",)) == Retrieval(
        "r", ("b",)
    )
    asked = (Turn("user", "Hi"),)
    chat = edited(tmp_path, Chat((*asked, Turn("assistant", "x"))), answers=("y",))
    assert chat.turns[-1].content == "y"
    pair = Preference(asked, (Turn("assistant", "x"),), (Turn("assistant", "z"),))
    assert edited(tmp_path, pair, answers=("y",)).preferred[0].content == "y"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, "an edit needs"),
        ({"answers": ("30 days",)}, "'30 days' does not stand in the row's context"),
        ({"question": " "}, "is empty"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused_and_nothing_is_written(tmp_path, change, problem):
    with pytest.raises(InputError, match=problem):
        edited(tmp_path, Reading("Q?", "It is 21 days.", ()), **change)
    assert not list(tmp_path.rglob("decisions.jsonl"))


def test_rows_that_are_not_there_and_prompts_are_not_edited(tmp_path):
    with pytest.raises(NotFound, match="has no row 'abcdef'"):
        decide_rows(tmp_path, kept(tmp_path), [Decision("abcdef", Verdict.ACCEPT)])
    chat = Chat((Turn("user", "Hi"), Turn("assistant", "x")))
    with pytest.raises(InputError, match="whole prompt"):
        edited(tmp_path, chat, question="Ho")
    with pytest.raises(InputError, match="cannot be unanswerable"):
        edited(tmp_path, chat, answerable=False)
