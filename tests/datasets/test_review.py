"""The review queue: nothing is asked before a person said so, and nothing said is lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smallsets import write_folder

from steelyard.core.errors import InputError, NotFound
from steelyard.core.evaluation import GoldSpan, Question
from steelyard.datasets import (
    Decision,
    Made,
    Verdict,
    add_questions,
    decide,
    find_set,
    list_sets,
    queue,
    read_set,
    set_folder,
)


def made(name, text, **fields):
    given_fields = {"answers": ("42",), "answerable": True, "relevant": {"d": 1}} | fields
    return Made(Question(name, text, origin="synthetic", **given_fields), "file:///d.md")


@pytest.fixture
def folder(tmp_path):
    folder = set_folder(tmp_path, "mine")
    add_questions(folder, [made("a", "A?"), made("b", "B?"), made("c", "C?")])
    return folder


def asked(folder, **options):
    return [(one.id, one.text, one.answers) for one in read_set(folder, **options).questions]


def test_only_what_was_accepted_is_asked_unless_told(folder):
    with pytest.raises(InputError, match=r"none of the 3 questions of 'mine' is accepted yet"):
        read_set(folder)
    decide(folder, Decision("a", Verdict.ACCEPT))
    decide(folder, Decision("b", Verdict.REJECT))
    assert asked(folder) == [("a", "A?", ("42",))]
    assert asked(folder / "questions.jsonl") == [("a", "A?", ("42",))]
    assert [row[0] for row in asked(folder, unreviewed=True)] == ["a", "c"]
    assert "2 of 3 questions are rejected or undecided" in read_set(folder).notes


def test_an_edit_is_an_acceptance_with_other_words_and_the_last_decision_counts(folder):
    decide(folder, Decision("a", Verdict.REJECT, by="ann"))
    item = decide(folder, Decision("a", Verdict.EDIT, by="bo", question=" Which? ", answers=("7",)))
    assert (item.question, item.answers, item.verdict, item.by) == (
        "Which?",
        ("7",),
        Verdict.EDIT,
        "bo",
    )
    assert asked(folder) == [("a", "Which?", ("7",))]
    decide(folder, Decision("a", Verdict.PENDING))
    assert [one.verdict for one in queue(folder)] == [Verdict.PENDING] * 3
    assert len((folder / "decisions.jsonl").read_text().splitlines()) == 3


def test_an_edit_to_unanswerable_takes_the_gold_away(folder):
    decide(folder, Decision("a", Verdict.EDIT, answerable=False))
    (question,) = read_set(folder).questions
    assert (question.answerable, question.answers, question.relevant) == (False, (), {})


def test_what_has_no_gold_waits_for_an_answer(tmp_path):
    folder = set_folder(tmp_path, "log")
    add_questions(folder, [made("x", "X?", answers=(), answerable=None, relevant={})])
    with pytest.raises(InputError, match="no gold to measure by"):
        decide(folder, Decision("x", Verdict.ACCEPT))
    with pytest.raises(InputError, match="accepted yet"):
        read_set(folder, unreviewed=True)
    decide(folder, Decision("x", Verdict.EDIT, answers=("7",)))
    assert asked(folder) == [("x", "X?", ("7",))]


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (Decision("a", Verdict.EDIT), "an edit needs a new question"),
        (Decision("a", Verdict.EDIT, question=" "), "the new question is empty"),
        (Decision("a", Verdict.EDIT, answers=("",)), "an answer is empty"),
        (Decision("a", Verdict.EDIT, answers=("x",), answerable=False), "has no answers"),
        (Decision("a", Verdict.ACCEPT, question="B?"), "use edit"),
        (Decision("nope", Verdict.ACCEPT), "has no question 'nope'"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_and_not_written(folder, decision, expected):
    with pytest.raises(InputError, match=expected):
        decide(folder, decision)
    assert (folder / "decisions.jsonl").read_bytes() == b""


def test_adding_again_keeps_decisions_and_adds_only_what_is_new(folder):
    decide(folder, Decision("a", Verdict.ACCEPT))
    added = add_questions(folder, [made("a", "A?"), made("z", "b?"), made("d", "D?")])
    assert (added.num_added, added.num_known) == (1, 2)
    assert [(one.id, one.verdict) for one in queue(folder)] == [
        ("a", Verdict.ACCEPT),
        ("b", Verdict.PENDING),
        ("c", Verdict.PENDING),
        ("d", Verdict.PENDING),
    ]


def test_a_decision_that_a_crash_tore_is_as_if_it_had_not_been_made(folder):
    decide(folder, Decision("a", Verdict.ACCEPT))
    path = folder / "decisions.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id": "b", "verd')
    assert [one.verdict for one in queue(folder)][:2] == [Verdict.ACCEPT, Verdict.PENDING]
    decide(folder, Decision("c", Verdict.REJECT))
    assert [one.verdict for one in queue(folder)] == [
        Verdict.ACCEPT,
        Verdict.PENDING,
        Verdict.REJECT,
    ]


def test_decisions_that_somebody_broke_by_hand_are_refused(folder):
    (folder / "decisions.jsonl").write_text('{"id": "a", "verdict": "maybe"}\n')
    with pytest.raises(InputError, match=r"decisions.jsonl:1: field 'verdict' must be one of"):
        queue(folder)


def test_sets_are_listed_and_found_by_name_or_path(tmp_path, folder):
    decide(folder, Decision("a", Verdict.ACCEPT))
    (summary,) = list_sets(tmp_path)
    assert (summary.name, summary.num_questions) == ("mine", 3)
    assert summary.by_verdict[Verdict.PENDING] == 2
    assert find_set(tmp_path, "mine") == folder
    other = write_folder(tmp_path / "other")
    assert find_set(tmp_path, str(other)) == other
    with pytest.raises(NotFound, match="this home keeps mine"):
        find_set(tmp_path, "yours")
    with pytest.raises(NotFound, match="no question set at"):
        queue(tmp_path / "nowhere")
    for name in ("../x", "", ".x", "a/b", "a" * 65):
        with pytest.raises(InputError, match="is no name for a set"):
            set_folder(tmp_path, name)


def test_the_queue_shows_where_a_question_is_from(folder):
    add_questions(
        folder,
        [
            Made(
                Question("s", "S?", spans=(GoldSpan("d", "gold words"),), origin="log"),
                source="file:///x.md",
                note="said: wrong",
            )
        ],
    )
    item = queue(folder)[-1]
    assert (item.source, item.note, item.quotes) == ("file:///x.md", "said: wrong", ("gold words",))


def test_reviewing_what_people_wrote_themselves_takes_out_only_what_they_reject(tmp_path):
    rows = ['{"id": "a", "question": "A?", "answer": "1"}', '{"question": "B?", "answer": "2"}']
    (tmp_path / "questions.jsonl").write_text("\n".join(rows))
    assert [one.verdict for one in queue(tmp_path)] == [Verdict.ACCEPT] * 2
    decide(tmp_path, Decision("q2", Verdict.REJECT))
    assert asked(tmp_path) == [("a", "A?", ("1",))]


STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([Verdict.ACCEPT, Verdict.REJECT])),
    max_size=8,
)


@given(STEPS)
def test_any_row_of_decisions_leaves_what_the_last_ones_say(tmp_path_factory, steps):
    folder = set_folder(tmp_path_factory.mktemp("home"), "x")
    add_questions(folder, [made("a", "A?"), made("b", "B?"), made("c", "C?")])
    expected = dict.fromkeys("abc", Verdict.PENDING)
    for identity, verdict in steps:
        decide(folder, Decision(identity, verdict))
        expected[identity] = verdict
    assert {one.id: one.verdict for one in queue(folder)} == expected
    lines = (folder / "decisions.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [identity for identity, _ in steps]
