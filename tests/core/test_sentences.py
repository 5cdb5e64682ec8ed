"""Where sentences begin and end: cases decided by hand, and what holds for any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.sentences import split_sentences


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    "sentences",
    [
        pytest.param(["It rains.", "We stay!", "Do we?", "Yes…"], id="plain"),
        pytest.param(["Dr. Smith paid $3.50.", "He left."], id="title and decimal"),
        pytest.param(["See e.g. Fig. 3, cf. No. 5, vs. the rest.", "Done."], id="abbreviations"),
        pytest.param(["I ate a fig.", "The answer was no.", "Then I left."], id="words, not refs"),
        pytest.param(["J. R. R. Tolkien wrote it.", "It sold."], id="initials"),
        pytest.param(["It hit the U.S. economy.", "He lives in the U.S.", "The end."], id="U.S."),
        pytest.param(["Open from 9 a.m. to 5 p.m. daily.", "Come in."], id="hours"),
        pytest.param(["Apple Inc. fell.", "We like Apple Inc.", "Shares rose."], id="company"),
        pytest.param(["Smith et al. (2019) disagree.", "So do we."], id="et al"),
        pytest.param(['He said "Stop!" and left.', '"Go."', "She went."], id="quotations"),
        pytest.param(["It goes on ... and on.", "Then (it stops.)", "End"], id="ellipsis, bracket"),
        pytest.param(["Use v1.2.3 of config.yaml at a.b/c.", "**Then restart.**"], id="versions"),
        pytest.param(["the cat sat down .", "the dog ran .", "end"], id="tokenised lower case"),
        pytest.param(["restart the server.", "npm will tell."], id="lower-case start"),
        pytest.param(["1. Open it.", "2. Close it."], id="numbered"),
        pytest.param(["It costs 5. [1][2]", "It is red [3].", "It is new.[4]", "End"], id="marks"),
        pytest.param(["¿Qué tal?", "«Bien.»", "¡Ya!"], id="Spanish"),
    ],
)
def test_sentences_of_one_paragraph_are_split(sentences: list[str]) -> None:
    assert split(" ".join(sentences)) == sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("这是。那是！「好。」他说", ["这是。", "那是！", "「好。」", "他说"]),
        ("यह है। वह है।", ["यह है।", "वह है।"]),
        ("# Title here\nA line\nwrapped. B", ["# Title here", "A line\nwrapped.", "B"]),
        ("Title\n=====\nBody", ["Title\n=====", "Body"]),
        ("One\n\nTwo", ["One", "Two"]),
        ("Take:\n- a\n  more\n* b\n1) c", ["Take:", "- a\n  more", "* b", "1) c"]),
        ("Text\n| a. b | c |\n| - | - |\nMore", ["Text", "| a. b | c |", "| - | - |", "More"]),
        ("[1] Smith, A book. [2] Jones", ["[1] Smith, A book.", "[2] Jones"]),
        ("Hello.\r\n\r\nBye.\r\n", ["Hello.", "Bye."]),
        ("", []),
        (" \n\t ", []),
        ("...", ["..."]),
        ("x", ["x"]),
    ],
)
def test_text_of_several_lines_is_split(text: str, sentences: list[str]) -> None:
    assert split(text) == sentences


LINE = st.sampled_from(
    [
        "Dr",
        ".",
        " ",
        "\n",
        "\n\n",
        "a",
        "B",
        "1",
        "[1]",
        "# ",
        "| ",
        "- ",
        "。",
        '"',
        ")",
        "---",
        "…",
    ]
)


@given(st.one_of(st.text(max_size=300), st.lists(LINE, max_size=60).map("".join)))
def test_spans_are_trimmed_ordered_and_hold_all_that_is_not_white(text: str) -> None:
    spans = split_sentences(text)
    position = 0
    for start, end in spans:
        assert position <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        assert not text[position:start].strip()
        position = end
    assert not text[position:].strip()


@given(st.text(max_size=100))
def test_splitting_is_deterministic(text: str) -> None:
    assert split_sentences(text) == split_sentences(text)


@pytest.mark.parametrize("unit", [".", "\n ", ".)", "# ", "-", "'", ". [1]", "[1]", " ", "1."])
def test_a_hostile_run_of_any_mark_is_split_in_one_pass(unit: str) -> None:
    text = unit * 100_000 + "x"
    spans = split_sentences(text)
    assert spans[-1][1] == len(text)
