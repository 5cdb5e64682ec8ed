"""Every form of training rows, read into the one canonical row and written back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import InputError
from steelyard.core.training import (
    Chat,
    Kind,
    Labelled,
    Preference,
    Provenance,
    Reading,
    Retrieval,
    Span,
    ToolCall,
    TrainingRow,
    Turn,
)
from steelyard.datasets.training import forms_of, read_files, write_training
from steelyard.datasets.training.canonical import sha256_of

WORDS = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=30
).filter(str.strip)


def plain_turns(*, least=1, system=True):
    def turns(said, opening):
        talk = [Turn("user" if n % 2 == 0 else "assistant", text) for n, text in enumerate(said)]
        return (*([Turn("system", opening)] if opening and system else []), *talk)

    texts = st.lists(WORDS, min_size=2 * least, max_size=6).filter(lambda one: len(one) % 2 == 0)
    return st.builds(turns, texts, st.none() | WORDS)


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"a": [1, None]}}}
CALL = Turn("assistant", "", tool_calls=(ToolCall("c1", "f", '{"a": 1}'),))


def weighted(turns):
    more = (Turn("user", "x"), Turn("assistant", "y", 0), Turn("user", "z"), CALL)
    told = (Turn("tool", "7", tool_call_id="c1"), Turn("assistant", "seven", name="me"))
    return (*turns, *more, *told)


chats = st.builds(Chat, plain_turns())
rich_chats = st.builds(Chat, plain_turns().map(weighted), st.just((TOOL,)))
preferences = st.builds(
    lambda turns, last, sides: Preference(
        (*turns, Turn("user", last)), *((Turn("assistant", text),) for text in sides)
    ),
    plain_turns(),
    WORDS,
    st.lists(WORDS, min_size=2, max_size=2, unique=True),
)
retrievals = st.lists(WORDS, min_size=2, max_size=6, unique=True).map(
    lambda texts: Retrieval("q " + texts[0], tuple(texts[:2]), tuple(texts[2:]))
)
readings = st.builds(
    lambda before, text, after, question, title, told: Reading(
        question, before + text + after, (Span(text, len(before)),) if told else (), title
    ),
    st.text(max_size=9).map(lambda text: text.encode(errors="ignore").decode().replace("\0", "")),
    *[WORDS] * 4,
    st.booleans(),
)
labelled = st.builds(Labelled, WORDS, WORDS)
ROUND_TRIPS = [
    ("openai-chat", chats | rich_chats),
    ("sharegpt", chats),
    ("alpaca", chats),
    ("prompt-completion", chats | rich_chats.map(lambda one: Chat(one.turns))),
    ("openai-preference", preferences),
    ("prompt-chosen-rejected", preferences),
    ("retrieval", retrievals),
    ("squad", readings),
    ("labelled", labelled),
]


def written(folder, fields, name="rows.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(one) + "\n" for one in fields), encoding="utf-8")
    return path


@pytest.mark.parametrize(("form", "examples"), ROUND_TRIPS, ids=[name for name, _ in ROUND_TRIPS])
def test_what_is_written_in_a_form_is_read_again_as_it_was(form, examples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("forms")

    @given(st.lists(examples, min_size=1, max_size=4))
    def check(listed):
        path = write_training(
            folder / "rows.jsonl", [TrainingRow(one) for one in listed], form=form
        )
        found = read_files([path])
        assert (found.faults, found.files[0].form) == ((), form)
        assert [row.example for row in found.rows] == listed

    check()


@given(
    st.one_of(chats, rich_chats, preferences, retrievals, readings, labelled),
    st.builds(
        Provenance, WORDS, st.integers(1), WORDS, WORDS, WORDS, st.sets(WORDS).map(tuple), WORDS,
        WORDS, st.none() | st.floats(0, 3e10),
    ),
)  # fmt: skip
def test_our_own_form_keeps_everything_and_the_hash(tmp_path_factory, example, provenance):
    row = TrainingRow(example, provenance)
    path = write_training(tmp_path_factory.mktemp("own") / "rows.jsonl", [row])
    assert read_files([path]).rows == (row,)


@given(readings, readings)
def test_squads_nested_file_is_read_question_by_question(tmp_path_factory, one, other):
    path = tmp_path_factory.mktemp("squad") / "train.json"
    write_training(path, [TrainingRow(one), TrainingRow(other)], form="squad")
    assert {row.example for row in read_files([path]).rows} == {one, other}


def test_a_rows_hash_forgets_where_it_stood_and_keeps_whose_it_is():
    row = TrainingRow(Labelled("a", "b"), Provenance("x.jsonl", 7, "id-1", user="u"))
    moved = TrainingRow(Labelled("a", "b"), Provenance("y.jsonl", 9, "id-2", user="u"))
    other = TrainingRow(Labelled("a", "b"), Provenance("x.jsonl", 7, "id-1", user="v"))
    assert sha256_of(row) == sha256_of(moved) != sha256_of(other)


def test_alpaca_joins_instruction_and_input_with_history_and_system_before(tmp_path):
    fields = {"instruction": "Sum", "input": "1 2", "output": "3", "system": "Be brief",
              "history": [["Hi", "Hello"]]}  # fmt: skip
    (row,) = read_files([written(tmp_path, [fields])]).rows
    assert [(turn.role, turn.content) for turn in row.example.turns] == [
        ("system", "Be brief"), ("user", "Hi"), ("assistant", "Hello"), ("user", "Sum\n1 2"),
        ("assistant", "3"),
    ]  # fmt: skip


def test_provenance_is_found_beside_the_example(tmp_path):
    fields = {"text": "a", "label": "b", "id": 7, "license": "MIT", "doc_id": "d1", "user_id": "u",
              "created_at": "2026-01-31T12:00:00Z", "conversation_id": "c"}  # fmt: skip
    found = read_files([written(tmp_path, [fields])], origin="support", licence="ours")
    assert found.rows[0].provenance == Provenance(
        "rows.jsonl", 1, "7", "support", "MIT", ("d1",), "u", "c", 1769860800.0
    )


def test_the_form_is_that_of_most_rows_and_the_others_are_faults(tmp_path):
    rows = [{"txt": "a"}, {"text": "a", "label": "b"}, {"text": "c", "label": "d"}]
    found = read_files([written(tmp_path, rows)])
    assert found.files[0].form == "labelled"
    assert found.faults == (
        "rows.jsonl:1: field 'label' is missing: a row of labelled has 'label', 'text'",
    )


def test_rows_of_no_form_are_refused_with_the_forms_that_are_known(tmp_path):
    with pytest.raises(InputError, match=r"rows\.jsonl: no form fits rows with 'a'; known are"):
        read_files([written(tmp_path, [{"a": 1}])])


def test_files_of_two_kinds_are_not_mixed(tmp_path):
    one = written(tmp_path, [{"text": "a", "label": "b"}], "one.jsonl")
    two = written(tmp_path, [{"query": "a", "positives": ["b"]}], "two.jsonl")
    with pytest.raises(InputError, match="rows of several kinds"):
        read_files([one, two]).refuse_faults()


def test_a_form_that_cannot_hold_a_row_refuses_it_and_names_those_that_can(tmp_path):
    row = TrainingRow(Chat((Turn("user", "a"), CALL)), Provenance("a.jsonl", 3))
    with pytest.raises(InputError, match=r"a\.jsonl:3 \(chat\) does not fit .*openai-chat"):
        write_training(tmp_path / "out.jsonl", [row], form="alpaca")
    assert set(forms_of(Kind.READER)) == {"steelyard", "squad"}


def test_a_file_declared_as_another_form_is_refused_by_line_and_field_before_any_use(tmp_path):
    """FIELD 1: a chat set declared one way and parsed as alpaca ended in a KeyError in mid-run."""
    chat = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "!"}]}
    path = written(tmp_path, [chat, chat])
    assert read_files([path]).files[0].form == "openai-chat"
    found = read_files([path], form="alpaca")
    assert (found.rows, found.num_faults) == ((), 2)
    assert found.faults[0] == (
        f"{path.name}:1: field 'instruction' is missing: "
        "a row of alpaca has 'instruction', 'output'"
    )
    with pytest.raises(InputError, match="2 faults; repair and try again"):
        found.refuse_faults()
