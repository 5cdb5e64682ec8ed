"""Markers resolve to exact quotations, and what nothing backs is said to be so."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.core.chat import Passage
from steelyard.generate import REFUSAL, cite
from steelyard.generate.support import SUPPORTED, Evidence, support


def _quotes(cited) -> list[tuple[int, str]]:
    return [(citation.n, citation.quote) for citation in cited.citations]


def _marked(text, cited) -> list[str]:
    return [text[span.start : span.end] for span in cited.unsupported]


def test_a_marker_resolves_to_the_sentence_that_backs_it(passages):
    cited = cite("The timeout is 30 seconds by default [1].", passages)
    (citation,) = cited.citations
    assert citation.quote == "The default timeout is 30 seconds."
    assert (citation.n, citation.document_id, citation.chunk_id) == (1, "d1", 11)
    assert citation.start == 100 + passages[0].text.index("The default")
    assert citation.end - citation.start == len(citation.quote)
    assert cited.answerable
    assert cited.unsupported == ()


@pytest.mark.parametrize(
    "text",
    [
        "The default timeout is 30 seconds. [1]",
        "The default timeout is 30 seconds[1].",
        "The default timeout is 30 seconds【1】.",
        "The default timeout is 30 seconds 【1†source】.",
        "**The default timeout is 30 seconds** [1]",
        "- The default timeout is 30 seconds [^1]",
        "The DEFAULT timeout\nis 30 seconds [Source 1].",
        "“The default timeout is 30 seconds.” [1]",
    ],
)
def test_every_way_to_write_a_marker_gives_the_exact_quotation(text, passages):
    cited = cite(text, passages)
    assert _quotes(cited) == [(1, "The default timeout is 30 seconds.")]
    assert cited.unsupported == ()


@pytest.mark.parametrize("markers", ["[1, 2]", "[1][2]", "[1] [2]", "[1-2]", "[1;2]", "[1 and 2]"])
def test_several_sources_of_one_sentence_each_get_their_quotation(markers, passages):
    text = f"The timeout is 30 seconds and the limit is 5 files {markers}."
    assert [n for n, _ in _quotes(cite(text, passages))] == [1, 2]


def test_links_and_unknown_numbers_are_not_citations(passages):
    text = "See [1](http://x) and the default timeout is 30 seconds [7][2024]."
    assert cite(text, passages).citations == ()


def test_a_wrong_number_is_unsupported_though_all_words_agree(passages):
    text = "The default timeout is 45 seconds [1]. The limit is 5 files per upload [2]."
    cited = cite(text, passages)
    assert _marked(text, cited) == ["The default timeout is 45 seconds [1]."]
    assert [n for n, _ in _quotes(cited)] == [1, 2]


def test_numbers_may_be_spelled_differently(passages):
    text = "The limit is five files per upload, 1000 MB each [2]."
    assert cite(text, passages).unsupported == ()


def test_a_sentence_without_marker_is_checked_against_all_passages(passages):
    text = "Retries are off. Cats like warm milk in winter."
    cited = cite(text, passages)
    assert cited.citations == ()
    assert _marked(text, cited) == ["Cats like warm milk in winter."]


def test_a_sentence_that_cites_the_wrong_passage_is_unsupported(passages):
    text = "Larger files are refused with code 413 [1]."
    cited = cite(text, passages)
    assert _marked(text, cited) == [text]


def test_words_that_claim_nothing_are_not_marked(passages):
    text = "Yes. Here is what I found:\n\n- The default timeout is 30 seconds. [1]"
    assert cite(text, passages).unsupported == ()


def test_a_sentence_from_two_places_of_a_passage_gets_both():
    text = (
        "The kiln reaches 1200 degrees. It was built in Delft. Visitors come by boat. "
        "Nobody lives there. The glaze contains cobalt oxide."
    )
    passage = Passage(1, 1, "d", "u", "", text, 0, len(text), 1.0)
    cited = cite(
        "The kiln reaches 1200 degrees and the glaze contains cobalt oxide [1].", [passage]
    )
    assert _quotes(cited) == [
        (1, "The kiln reaches 1200 degrees."),
        (1, "The glaze contains cobalt oxide."),
    ]
    assert cited.unsupported == ()


def test_names_in_the_headings_back_a_sentence():
    text = "He was born in 1867 and moved to Vienna."
    passage = Passage(1, 1, "d", "u", "Anton Huber", text, 0, len(text), 1.0)
    assert cite("Anton Huber was born in 1867 [1].", [passage]).unsupported == ()


@pytest.mark.parametrize(
    "text",
    [
        REFUSAL,
        "The documents don’t tell.",
        "the documents do not tell",
        "",
        "  \n",
        "I'm sorry, but the sources do not contain this information.",
        "There is no information about this in the documents.",
        f"{REFUSAL} You may ask the support team.",
    ],
)
def test_a_refusal_is_not_an_answer(text, passages):
    cited = cite(text, passages)
    assert (cited.answerable, cited.citations, cited.unsupported) == (False, (), ())


def test_an_answer_with_a_caveat_is_an_answer(passages):
    text = "The default timeout is 30 seconds [1]. The documents do not say how long it was before."
    cited = cite(text, passages)
    assert cited.answerable
    assert cited.unsupported == ()
    assert cite("The documents do not tell all, but retries are off [1].", passages).answerable


def test_support_falls_with_every_thing_that_the_evidence_lacks():
    evidence = Evidence.of("The Normans came to Sicily in the 11th century and built 3 castles.")
    assert support("The Normans came to Sicily.", evidence) > 0.5
    assert support("The Normans built 4 castles.", evidence) < SUPPORTED
    assert support("The Vikings sailed around Greenland for years.", evidence) < SUPPORTED
    assert support("So it is.", evidence) == 1.0


_TEXT = st.text(max_size=200)
_PARTS = "The,timeout,is,30,not,5.,Retries,off.,[1],[2;3],【1】,|,`x`,“,ﬁ,İ,ß,[9],?,日本。,\u0301"
_WORDS = st.lists(
    st.sampled_from([*re.split(",", _PARTS), "\n", "\n\n", "# H", "- a", "[1, 2]"]), max_size=30
).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(
    answer=_WORDS | _TEXT,
    texts=st.lists(_WORDS | _TEXT, max_size=3),
    offset=st.integers(0, 50),
)
def test_quotations_are_exact_and_inside_their_passage_whatever_comes(answer, texts, offset):
    documents = {str(n): "x" * offset + text + "y" for n, text in enumerate(texts, start=1)}
    found = [
        Passage(n, n, str(n), "u", "T", text, offset, offset + len(text), 1.0)
        for n, text in enumerate(texts, start=1)
    ]
    cited = cite(answer, found)
    assert cited == cite(answer, found)
    for citation in cited.citations:
        passage = found[citation.n - 1]
        assert citation.quote
        assert documents[citation.document_id][citation.start : citation.end] == citation.quote
        assert passage.start <= citation.start < citation.end <= passage.end
    for span in cited.unsupported:
        assert 0 <= span.start < span.end <= len(answer)
