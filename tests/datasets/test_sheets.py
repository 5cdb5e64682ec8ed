"""Questions in a table, as people keep them in a spreadsheet."""

import gzip

import pytest

from steelyard.core.errors import InputError
from steelyard.datasets import read_set

TABLE = """question,answers,documents,answerable,Note
How long are recordings kept?,"21 days | three weeks",company/cameras.md,,
"Who, if anybody, watches?",,,no,asked twice

"What does the sign say?","[""No | entry"", ""Ask""]",company/cameras.md | company/signs.md,,
"""


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_with_any_separator_is_a_set(tmp_path, separator):
    path = tmp_path / ("q.tsv" if separator == "\t" else "q.csv")
    text = "question,answers,documents\nWhy?,because,a.md\n".replace(",", separator)
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    [question] = read_set(path).questions
    assert (question.id, question.text, question.answers) == ("q1", "Why?", ("because",))


def test_cells_hold_several_answers_lists_and_flags(tmp_path):
    (tmp_path / "questions.csv").write_text(TABLE)
    first, second, third = read_set(tmp_path).questions
    assert first.answers == ("21 days", "three weeks")
    assert second.text == "Who, if anybody, watches?"
    assert second.answerable is False
    assert third.answers == ("No | entry", "Ask")
    assert set(third.relevant) == {"company/cameras.md", "company/signs.md"}


def test_packed_it_is_the_same_set(tmp_path):
    (tmp_path / "q.csv").write_text(TABLE)
    (tmp_path / "q.csv.gz").write_bytes(gzip.compress(TABLE.encode()))
    assert read_set(tmp_path / "q.csv").id == read_set(tmp_path / "q.csv.gz").id


def test_faults_name_their_line_and_field(tmp_path):
    path = tmp_path / "q.csv"
    path.write_text("question,answerable\nA?,maybe\nB?,,,too many\n")
    with pytest.raises(InputError) as raised:
        read_set(path)
    assert "q.csv:2: field 'answerable' must be true or false, not 'maybe'" in str(raised.value)
    assert "q.csv:3: has more cells than the first line has names" in str(raised.value)
    path.write_text('question,answer\n"Who is\nthere?",me\n"torn?,me\n')
    with pytest.raises(InputError, match=r"q\.csv:4: is no row of a table: unexpected end"):
        read_set(path)
    path.write_text("id;frage\n1;Warum?\n")
    with pytest.raises(InputError, match=r"q\.csv:2: field 'text' is missing .*'frage'"):
        read_set(path)
