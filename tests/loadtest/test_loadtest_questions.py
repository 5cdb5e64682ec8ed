import pytest

from steelyard.core.errors import InputError
from steelyard.loadtest import read_questions


def test_plain_lines_and_json_lines_may_be_mixed_and_repeats_count_once(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text(
        'Who pays?\n\n{"question": "When?", "id": 3}\r\n{"query": " Where? "}\n{"text": "Why?"}\n'
        "Who pays?\n",
        encoding="utf-8-sig",
    )
    assert read_questions(path) == ["Who pays?", "When?", "Where?", "Why?"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no question"),
        (b"\n  \n", "no question"),
        (b"ok\n{broken\n", ":2"),
        (b'{"titel": "x"}', "'titel'"),
        (b'{"question": 7}', ":1"),
        (b"{" * 100_000, ":1"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_bad_files_are_one_clear_line_with_the_place(tmp_path, content, said):
    path = tmp_path / "q.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_questions(path)
    assert said in caught.value.message
    assert "q.jsonl" in caught.value.message
    assert "\n" not in caught.value.message


def test_a_missing_file_or_a_folder_is_named(tmp_path):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match=path.name):
            read_questions(path)
