"""Bad files: refused with every fault at once, or mended and counted."""

import gzip
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smallsets import DOCUMENTS, QRELS, QUESTIONS, json_lines, write_folder

from steelyard.core.errors import InputError
from steelyard.core.evaluation import QuestionSet
from steelyard.datasets import read_set


def refused(path, **options):
    with pytest.raises(InputError) as raised:
        read_set(path, **options)
    return raised.value.message


def test_every_malformed_row_of_every_file_is_told_at_once(tmp_path):
    folder = write_folder(tmp_path)
    (folder / "corpus.jsonl").write_text('{"id": "d1", "text": 5.5}\n{"title": "x"}\n[1]\n{"id"\n')
    (folder / "queries.jsonl").write_text('{"id": "q1"}\n{"id": true, "text": "A?"}\n')
    (folder / "qrels.tsv").write_text("q\td\tr\nq1\td1\tNaN\nq1 d1\nq1\td1\t0.5\n")
    message = refused(folder)
    for expected in (
        "8 faults",
        "corpus.jsonl:2: field 'id' is missing (the row has 'title')",
        "corpus.jsonl:3: is a JSON array",
        "corpus.jsonl:4: is no JSON",
        "queries.jsonl:1: field 'text' is missing",
        "queries.jsonl:2: field 'id' must be text or a whole number, not True",
        "qrels.tsv:2: field 'relevance' must be a whole number, not 'NaN'",
        "qrels.tsv:3: must have 3 or 4 columns",
        "qrels.tsv:4: field 'relevance' is 0.5",
    ):
        assert expected in message


def test_only_the_first_twenty_faults_are_listed_and_the_rest_counted(tmp_path):
    folder = write_folder(tmp_path, questions=[{"id": f"q{n}"} for n in range(1_050)], qrels=None)
    message = refused(folder)
    assert "1,050 faults" in message
    assert message.count("\n") == 21
    assert message.endswith("... and 1,030 more")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"answers": [["a"]]}, "field 'answers' must be a list of texts"),
        ({"answers": ["a"], "answerable": False}, "but the question is unanswerable"),
        ({"answers": ["a"], "is_impossible": True}, "but the question is unanswerable"),
        ({"answerable": "no"}, "field 'answerable' must be true or false, not 'no'"),
        ({"spans": [["a"]]}, "field 'spans' must hold [text, start] or [start, end]"),
        ({"spans": [["a", True]]}, "field 'spans'"),
        ({"history": [3]}, "field 'history' must list"),
        ({"origin": "made up"}, "field 'origin' must be one of gold, synthetic, log"),
        ({"relevant": {"d1": -1}}, "field 'relevant' must map documents to whole grades"),
        ({"type": []}, "field 'type' must be text"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(tmp_path, row, expected):
    folder = write_folder(tmp_path, questions=[{"id": "q", "text": "A?", **row}], qrels=None)
    assert expected in refused(folder)


def test_an_id_used_twice_is_noted_if_the_rows_are_equal_and_refused_if_not(tmp_path):
    same = read_set(write_folder(tmp_path / "same", questions=[*QUESTIONS, QUESTIONS[0]]))
    assert len(same.questions) == 3
    assert any("stand there twice were read once: 1" in note for note in same.notes)
    other = {**DOCUMENTS[0], "text": "Something else."}
    message = refused(write_folder(tmp_path / "other", documents=[*DOCUMENTS, other]))
    assert "corpus.jsonl:3: field 'id': 'd1' is used before by another row" in message


def test_judgements_that_contradict_each_other_are_refused_and_repeated_ones_are_not(tmp_path):
    assert read_set(write_folder(tmp_path / "a", qrels=QRELS + "q1\td1\t1\n")).notes == ()
    message = refused(write_folder(tmp_path / "b", qrels=QRELS + "q1\td1\t0\n"))
    assert "qrels.tsv:5: grades 'd1' for 'q1' 0, but an earlier line 1" in message


def test_one_judgement_in_a_hundred_may_point_nowhere_two_may_not(tmp_path):
    documents = [{"id": f"d{n}", "title": "", "text": f"text {n}"} for n in range(198)]
    judged = "".join(f"q1\td{n}\t1\n" for n in range(198))
    two = write_folder(tmp_path / "two", documents=documents, qrels=judged + "q1\tx\t1\nq1\ty\t1\n")
    found = read_set(two)
    assert len(found.questions[0].relevant) == 198
    assert any("corpus has not were left out: 2 (first: 'x')" in note for note in found.notes)
    more = "q1\tx\t1\nq1\ty\t1\nq1\tz\t1\n"
    three = write_folder(tmp_path / "three", documents=documents, qrels=judged + more)
    assert "3 of 201 judgements name a document that the corpus has not" in refused(three)


def test_judgements_of_other_questions_are_counted_but_not_if_they_are_all(tmp_path):
    found = read_set(write_folder(tmp_path / "a", qrels=QRELS + "other\td1\t1\n"))
    assert any("not in this set were left out: 1 (first: 'other')" in n for n in found.notes)
    message = refused(write_folder(tmp_path / "b", qrels="x\td1\t1\ny\td1\t1\n"))
    assert "no judgement is of a question of this set" in message


def test_grades_below_zero_and_with_a_point_are_read_and_counted(tmp_path):
    found = read_set(write_folder(tmp_path, qrels="q1 d1 2.0\nq1 d2 -2\n"))
    assert found.questions[0].relevant == {"d1": 2, "d2": 0}
    assert len(found.notes) == 2


def test_blank_answers_texts_and_documents_are_left_out_and_counted(tmp_path):
    rows = [{"id": "q", "text": "A?", "answers": ["", " ", "x"]}, {"id": "r", "text": "  "}]
    documents = [*DOCUMENTS, {"id": "e", "text": ""}, {"id": "t", "title": "Just this", "text": ""}]
    folder = write_folder(tmp_path, documents=documents, questions=rows, qrels=None)
    found = read_set(folder)
    assert [one.answers for one in found.questions] == [("x",)]
    assert [one.id for one in found.documents] == ["d1", "d2", "t"]
    assert found.documents[2].text == "Just this"
    notes = " / ".join(found.notes)
    assert "'answers' were left out: 2" in notes
    assert "questions without any text were left out: 1" in notes
    assert "documents without any text were left out: 1" in notes


def test_spans_that_do_not_fit_the_text_are_left_out_and_counted(tmp_path):
    spans = [["40 tonnes", 20], ["40 tonnes", 21], [25, 999], [-3, 4], [4, 4], [20, 29]]
    rows = [{"id": "q", "text": "A?", "doc_id": "d1", "spans": spans}]
    found = read_set(write_folder(tmp_path, questions=rows, qrels=None))
    assert [(span.text, span.start) for span in found.questions[0].spans] == [
        ("40 tonnes", 20),
        ("40 tonnes", 20),
    ]
    assert any("spans that do not fit" in note and ": 4 " in note for note in found.notes)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_unicode_encodings_are_read_as_they_are(tmp_path, encoding):
    folder = write_folder(tmp_path)
    text = json.dumps({"id": "q1", "text": "Où est la grue ?"}, ensure_ascii=False)
    (folder / "queries.jsonl").write_bytes(text.encode(encoding))
    assert read_set(folder).questions[0].text == "Où est la grue ?"


def test_a_line_in_another_encoding_is_read_as_windows_1252_and_counted(tmp_path):
    folder = write_folder(tmp_path, qrels=None)
    lines = ['{"id": "a", "text": "été"}'.encode(), '{"id": "b", "text": "été €"}'.encode("cp1252")]
    (folder / "queries.jsonl").write_bytes(b"\r\n".join(lines))
    found = read_set(folder)
    assert [one.text for one in found.questions] == ["été", "été €"]
    assert found.notes == (
        "lines of queries.jsonl that are not UTF-8 were read as Windows-1252: 1 "
        "(first: queries.jsonl:2)",
    )


def test_nul_and_half_characters_are_replaced_without_moving_a_span(tmp_path):
    folder = write_folder(tmp_path, qrels=None)
    (folder / "corpus.jsonl").write_text('{"id": "d1", "text": "a\\u0000b\\ud800 gold"}')
    (folder / "queries.jsonl").write_text(
        '{"id": "q", "text": "A?", "doc_id": "d1", "spans": [["gold", 5]]}'
    )
    found = read_set(folder)
    assert found.documents[0].text == "a b\ufffd gold"
    assert found.questions[0].spans[0].start == 5


def test_a_torn_gzip_a_false_one_and_an_array_instead_of_lines(tmp_path):
    folder = write_folder(tmp_path, qrels=None)
    packed = gzip.compress(json_lines(QUESTIONS).encode())
    (folder / "queries.jsonl").unlink()
    (folder / "queries.jsonl.gz").write_bytes(packed[:-20])
    assert "is torn" in refused(folder)
    (folder / "queries.jsonl.gz").write_bytes(packed[:20] + b"\xff\xff" + packed[22:])
    assert "queries.jsonl.gz" in refused(folder)
    (folder / "queries.jsonl.gz").write_text(json.dumps(list(QUESTIONS)))  # not packed at all
    found = read_set(folder)
    assert len(found.questions) == 3
    assert any("JSON array" in note for note in found.notes)


def test_empty_files_and_folders_and_what_is_not_there(tmp_path):
    folder = write_folder(tmp_path, questions=(), qrels=None)
    assert "no question left to ask" in refused(folder)
    assert "no such file or folder" in refused(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "it needs corpus.jsonl" in refused(tmp_path / "empty")
    (tmp_path / "none.json").write_text('{"data": 3}')
    assert "field 'data' must list articles" in refused(tmp_path / "none.json")


def test_a_row_nested_ten_thousand_deep_is_a_fault_not_a_crash(tmp_path):
    folder = write_folder(tmp_path, qrels=None)
    (folder / "queries.jsonl").write_text('{"id": ' + "[" * 10_000 + "\n")
    assert "queries.jsonl:1: is no JSON" in refused(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "text", "title", "data", "paragraphs", "qas", "context", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
NAMES = "answers answer documents spans evidence history type split cluster answerable origin"
FIELDS = st.sampled_from(
    ["id", "text", "title", "doc_id", "is_impossible", "relevant", "filename", *NAMES.split()]
)
ROWS = st.lists(st.dictionaries(FIELDS, JSON, max_size=8), max_size=4)


@given(st.sampled_from(["corpus.jsonl", "queries.jsonl", "qrels.tsv"]), st.binary(max_size=200))
def test_any_bytes_give_a_set_or_an_input_error(tmp_path_factory, name, content):
    folder = write_folder(tmp_path_factory.mktemp("fuzz"))
    (folder / name).write_bytes(content)
    outcome(folder)


@given(ROWS, ROWS, JSON)
def test_any_rows_give_a_set_or_an_input_error(tmp_path_factory, documents, questions, squad):
    folder = write_folder(
        tmp_path_factory.mktemp("fuzz"), documents=documents, questions=questions, qrels=None
    )
    outcome(folder)
    lone = folder / "squad.json"
    lone.write_text(json.dumps(squad))
    outcome(lone)


def outcome(path):
    with suppress(InputError):
        assert isinstance(read_set(path), QuestionSet)
