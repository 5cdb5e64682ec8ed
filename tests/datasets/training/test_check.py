"""Rows from which nothing, or something wrong, would be learnt: all told, by place and field."""

import json

import pytest

from steelyard.core.errors import InputError
from steelyard.datasets.training import read_files

USER, REPLY = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
CALLS = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}  # fmt: skip


def chat(*turns):
    return {"messages": list(turns)}


def faults_of(folder, *rows):
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_files([path]).faults


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (chat(), "field 'messages' is empty"),
        (chat(USER), "field 'messages' has zero target turns"),
        (chat(USER, {**REPLY, "weight": 0}), "field 'messages' has zero target turns"),
        (chat(USER, {**REPLY, "content": " "}), "field 'messages[1].content' is empty"),
        (chat(USER, REPLY, USER), "field 'messages[2].role' is 'user': the assistant ends a row"),
        (chat(REPLY), "field 'messages[0].role' is out of order: 'assistant' begins"),
        (chat(USER, USER, REPLY), "field 'messages[1].role' is out of order: 'user' follows"),
        (chat(USER, {"role": "system", "content": "s"}, REPLY), "'system' follows 'user'"),
        (chat(USER, {"role": "bot", "content": "s"}, REPLY), "'messages[1].role' must be one of"),
        (chat(USER, {"role": "tool", "content": "7"}, REPLY), "'tool' follows 'user'"),
        (
            chat(USER, CALLS, {"role": "tool", "content": "7", "tool_call_id": "c2"}, REPLY),
            "field 'messages[2].tool_call_id' answers no call before it",
        ),
        (chat({**USER, "content": None}, REPLY), "field 'messages[0].content' is missing"),
        (chat({**USER, "content": 5}, REPLY), "must be text or parts of text, not a number"),
        (chat({**USER, "weight": 1}, REPLY), "field 'messages[0].weight' must be 0 or 1"),
        (chat(USER, {**REPLY, "weight": 2}), "field 'messages[1].weight' must be 0 or 1"),
        (chat(USER, {"content": "b"}), "field 'messages[1].role' is missing"),
        ({"messages": "a"}, "field 'messages' must be a list of turns, not text"),
        ({"messages": ["a"]}, "field 'messages[0]' must be an object with 'role', not text"),
        ({**chat(USER, REPLY), "tools": {"a": 1}}, "field 'tools' must be a list of objects"),
        ({**chat(USER, REPLY), "time": "soon"}, "field 'time' is no time"),
        ({"query": "q", "positives": []}, "field 'positives' is empty"),
        ({"query": " ", "positives": ["a"]}, "field 'query' is empty"),
        ({"query": "q", "positives": ["a"], "negatives": ["a"]}, "'negatives[0]' is one of the"),
        ({"query": "q", "positives": ["a", 3]}, "'positives[1]' must be text, not a number"),
        ({"text": "a", "label": ""}, "field 'label' is empty"),
        (
            {"input": {"messages": [USER]}, "preferred_output": [REPLY],
             "non_preferred_output": [REPLY]},
            "field 'non_preferred_output' equals preferred_output",
        ),
        (
            {"input": {"messages": [REPLY]}, "preferred_output": [REPLY],
             "non_preferred_output": []},
            "field 'non_preferred_output' has zero target turns",
        ),
        (
            {"question": "q", "context": "abc", "answers": {"text": ["b"], "answer_start": [2]}},
            "field 'answers.text[0]' does not stand at 2 of the context",
        ),
        ({"question": "q", "context": "abc"}, "field 'answers' is missing"),
        (
            {"question": "q", "context": "abc", "is_impossible": True,
             "answers": {"text": ["b"], "answer_start": [1]}},
            "the question is impossible",
        ),
        ({"instruction": "a", "output": "b", "history": [["x"]]}, "field 'history[0]' must be two"),
        ({"conversations": [{"from": "human"}]}, "field 'conversations[0]' must have the texts"),
    ],
)  # fmt: skip
def test_an_unsound_row_is_refused_with_its_line_and_field(row, expected, tmp_path):
    found = faults_of(tmp_path, row)
    assert any(expected in fault for fault in found), found
    assert all(fault.startswith("rows.jsonl:1: ") for fault in found)


def test_sound_rows_pass(tmp_path):
    tool = {"role": "tool", "content": "", "tool_call_id": "c1"}
    parts = {"role": "user", "content": [{"type": "text", "text": "a"}]}
    assert not faults_of(
        tmp_path,
        chat(USER, REPLY),
        chat({"role": "system", "content": "s"}, parts, CALLS, tool, REPLY),
        chat(USER, {**REPLY, "weight": 0}, USER, {**REPLY, "weight": 1}),
        chat(USER, CALLS),
    )


def test_all_faults_of_all_files_are_told_at_once_and_no_value_is(tmp_path):
    (tmp_path / "one.jsonl").write_text('{"messages": [{"role": 1}]}\n{"messages"\n')
    (tmp_path / "two.jsonl").write_text('{"messages": {"secret": "sk-abc"}}\n')
    with pytest.raises(InputError) as raised:
        read_files([tmp_path / "one.jsonl", tmp_path / "two.jsonl"]).refuse_faults()
    message = raised.value.message
    expected_faults = (
        "one.jsonl:1: field 'messages[0].role'",
        "one.jsonl:2: is no JSON",
        "two.jsonl:1: field 'messages' must be a list of turns, not an object",
    )
    for expected in expected_faults:
        assert expected in message
    assert "sk-abc" not in message


def test_fields_that_only_some_rows_have_and_those_left_out_are_told(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        json.dumps({**chat(USER, REPLY), "tools": [], "rating": 5}) + "\n"
        + json.dumps(chat(USER, REPLY)) + "\n"
    )  # fmt: skip
    notes = read_files([path]).notes
    assert "rows.jsonl: 1 of 2 rows have the field 'tools'" in notes
    assert any("field 'rating' of 1 rows is no part of openai-chat" in note for note in notes)


def test_what_is_read_and_cannot_be_written_is_a_fault(tmp_path):
    path = tmp_path / "rows.jsonl"
    turns = json.dumps([USER, REPLY])
    path.write_text(f'{{"messages": {turns}, "tools": [{{"a": 1e999}}]}}\n')
    (fault,) = read_files([path]).faults
    assert fault.startswith("rows.jsonl:1: field 'tools' holds a number beyond all bounds")


def test_rows_with_uneven_keys_are_read_and_only_those_that_lack_something_are_faults(tmp_path):
    """FIELD 2: rows with uneven keys crashed the alignment of columns."""
    rows = [
        {"text": "a", "label": "x", "user": "u1"},
        {"label": "x", "text": "b", "extra": {"deep": [1]}, "at": 5},
        {"text": "c"},
        {"label": "y", "text": None},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_files([path])
    assert [row.provenance.user for row in found.rows] == ["u1", ""]
    assert [fault.split(": ", 1)[0] for fault in found.faults] == ["rows.jsonl:3", "rows.jsonl:4"]
    assert ["'label'" in found.faults[0], "'text'" in found.faults[1]] == [True, True]
    assert any("'extra'" in note and "left out" in note for note in found.notes)
