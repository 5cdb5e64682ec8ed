"""Our own parsers of notebooks, tables, records, code and plain text, on samples by hand."""

import contextlib
import json

import pytest
from tests.parse.drafts import C, H, L, P, T, kinds, shape

from steelyard.core.errors import ParseError
from steelyard.parse import (
    code,
    jsonlines,
    notebook,
    tabular,
    text,
    xmltext,
)

# Notebooks


def test_a_notebook_is_prose_code_and_output() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Study\n", "\n", "Some *text*."]},
        {
            "cell_type": "code",
            "source": "print(6 * 7)",
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["42\n"]}],
        },
    ]
    metadata = {"kernelspec": {"display_name": "Python 3"}}
    draft = notebook.parse(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4}))
    assert shape(draft) == [
        (H, 1, "Study"),
        (P, 0, "Some *text*."),
        (C, 0, "print(6 * 7)"),
        (C, 0, "stdout:\n42"),
        (P, 0, "nbformat: 4\nkernelspec: display_name Python 3"),
    ]
    assert draft.title == "Study"


@pytest.mark.parametrize("source", ["{}", "[]", "not json", '{"cells": null}', '{"cells": [1]}'])
def test_what_is_no_notebook_is_damaged_or_empty(source: str) -> None:
    with contextlib.suppress(ParseError):
        assert notebook.parse(source).text == ""


# Tables


def test_a_row_is_found_by_its_column_names() -> None:
    draft = tabular.parse('Name,City,Born\n"Lovelace, Ada",London,1815\nBo,,1990\n')
    assert draft.text == "Name: Lovelace, Ada; City: London; Born: 1815\nName: Bo; Born: 1990"
    assert kinds(draft) == [T]
    assert draft.metadata == {"columns": ["Name", "City", "Born"], "rows": 2}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    rows = [["key", "note"], ["a", "x"], ["b", "y"]]
    source = "\n".join(delimiter.join(row) for row in rows)
    assert tabular.parse(source).text == "key: a; note: x\nkey: b; note: y"


def test_a_table_without_a_header_keeps_its_first_row() -> None:
    assert tabular.parse("1,2\n3,4\n").text == "1; 2\n3; 4"


def test_a_quote_that_never_closes_costs_one_line() -> None:
    assert "b" in tabular.parse('h,k\na,"open\nb,c\n').text.split("\n")[-1]


def test_rows_of_uneven_length_lose_nothing() -> None:
    assert tabular.parse("h,k\na,b,c\nd\n").text == "h: a; k: b; c\nh: d"


# JSON


def test_an_object_reads_as_paths() -> None:
    draft = jsonlines.parse(
        '{"title": "T", "n": 1, "a": {"b": [1, 2], "c": [{"d": true}]}, "e": null}'
    )
    assert shape(draft) == [(P, 0, "title: T\nn: 1"), (P, 0, "a.b: 1, 2\na.c[0].d: true")]
    assert draft.title == "T"


def test_each_record_is_a_block() -> None:
    records = '{"id": 1, "text": "one"}\n\n{"id": 2, "text": "two"}\n'
    expected = [(P, 0, "id: 1\ntext: one"), (P, 0, "id: 2\ntext: two")]
    assert shape(jsonlines.parse(records)) == expected
    array = "[" + ",".join(records.split("\n\n")) + "]"
    assert shape(jsonlines.parse(array)) == expected


def test_a_lone_surrogate_in_json_is_replaced() -> None:
    assert jsonlines.parse('{"a": "x\\ud800y"}').text == "a: x\ufffdy"


def test_json_that_nests_without_end_is_refused() -> None:
    for source in ("[" * 100_000, '{"a":' * 500 + "1" + "}" * 500):
        with pytest.raises(ParseError) as error:
            jsonlines.parse(source)
        assert error.value.code in ("expansion", "damaged")


# XML


def test_xml_fields_and_running_text() -> None:
    source = (
        "<shop><title>Scales</title><item sku='7'><name>Beam</name><price>3</price></item>"
        "<p>Some <b>bold</b> words.</p></shop>"
    )
    draft = xmltext.parse(source)
    assert shape(draft) == [
        (H, 1, "Scales"),
        (P, 0, "name: Beam\nprice: 3"),
        (P, 0, "Some bold words."),
    ]
    assert draft.title == "Scales"


def test_entities_are_refused_wherever_they_point() -> None:
    for declaration in ('"boom"', 'SYSTEM "file:///etc/passwd"', 'PUBLIC "x" "http://127.0.0.1/"'):
        with pytest.raises(ParseError) as error:
            xmltext.parse(f"<!DOCTYPE a [<!ENTITY e {declaration}>]><a>&e;</a>")
        assert error.value.code == "expansion"


def test_xml_that_nests_without_end_is_refused() -> None:
    with pytest.raises(ParseError) as error:
        xmltext.parse("<a>" * 5000 + "</a>" * 5000)
    assert error.value.code == "expansion"


# Code


def test_definitions_stay_whole_with_their_comments() -> None:
    source = (
        "import os\nimport sys\n\n\n# about f\n@cached\ndef f():\n    a = 1\n\n    return a\n\n\n"
        "class C:\n    x = 1\n\n    def m(self):\n        pass\n"
    )
    assert [words.split("\n")[0] for _, _, words in shape(code.parse(source))] == [
        "import os",
        "# about f",
        "class C:",
    ]


def test_a_closing_brace_after_a_blank_line_stays_with_its_block() -> None:
    source = "int f() {\n  return 1;\n\n}\n\nint g() {\n}\n"
    assert [words for _, _, words in shape(code.parse(source))] == [
        "int f() {\n  return 1;\n\n}",
        "int g() {\n}",
    ]


# Text


def test_text_is_cut_at_blank_lines() -> None:
    draft = text.parse("A title\n\nfirst\nparagraph.\n\n- a\n- b\n\n\nlast")
    assert shape(draft) == [
        (P, 0, "A title"),
        (P, 0, "first\nparagraph."),
        (L, 0, "- a\n- b"),
        (P, 0, "last"),
    ]
    assert draft.title == "A title"
