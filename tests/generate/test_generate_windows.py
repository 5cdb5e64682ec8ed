"""Windows hold every token of every passage, in whole sentences, and the promising come first."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.core.chat import Passage
from steelyard.generate.windows import promising, windows
from steelyard.infra.bert import PlacedTokens

TEXT = "The port is 8080. The host is local. Logs are kept for 30 days. Nobody reads them. Amen."


def tokenise(text: str) -> PlacedTokens:
    """Return each word and each stop as a token."""
    places = [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]
    starts, ends = (np.array([place[i] for place in places], np.int32) for i in (0, 1))
    return PlacedTokens(np.arange(len(places), dtype=np.int32), starts, ends)


def passage(text: str, n: int = 1) -> Passage:
    return Passage(n, n, f"d{n}", "u", "", text, 0, len(text), 1.0 / n)


def shown(text: str, room: int) -> list[str]:
    return [text[w.start : w.end] for w in windows([passage(text)], tokenise=tokenise, room=room)]


def test_windows_are_whole_sentences_and_share_one_with_the_window_before() -> None:
    # The sentences have 5, 5, 7, 4 and 2 tokens.
    assert shown(TEXT, 10) == [
        "The port is 8080. The host is local.",
        "Logs are kept for 30 days.",
        "Nobody reads them. Amen.",
    ]
    assert shown(TEXT, 12) == [
        "The port is 8080. The host is local.",
        "The host is local. Logs are kept for 30 days.",
        "Logs are kept for 30 days. Nobody reads them.",
        "Nobody reads them. Amen.",
    ]


def test_one_window_shows_all_of_a_short_passage() -> None:
    assert shown(TEXT, 99) == [TEXT]
    assert shown("", 99) == []
    assert shown(" \n ", 99) == []


def test_sentence_longer_than_a_window_is_cut() -> None:
    assert shown("one two three four five", 2) == ["one two", "three four", "five"]


@settings(max_examples=60, deadline=None)
@given(st.text("ab. \n|-#", max_size=120), st.integers(1, 12))
def test_no_token_is_left_out_and_no_window_is_too_long(text: str, room: int) -> None:
    tokens = tokenise(text)
    found = windows([passage(text)], tokenise=tokenise, room=room)
    assert all(0 < each.last - each.first <= room for each in found)
    seen = {n for each in found for n in range(each.first, each.last)}
    assert seen == set(range(len(tokens.ids)))
    assert [each.first for each in found] == sorted(each.first for each in found)


def test_window_with_the_questions_rare_words_is_read_first() -> None:
    passages = [passage(TEXT), passage("The port of Genoa is old.", 2)]
    found = windows(passages, tokenise=tokenise, room=12)
    best = promising("How old is the port of Genoa?", passages, found, limit=2)
    assert [each.place for each in best] == [1, 0]
    assert len(promising("?", passages, found, limit=99)) == len(found)
    assert promising("?", passages, found, limit=1)[0].place == 0
    other = [replace(one, place=0) for one in found[:1]]
    assert promising("?", passages, other, limit=3) == other


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_no_more_windows_are_read_than_asked(limit: int) -> None:
    found = windows([passage(TEXT)], tokenise=tokenise, room=6)
    assert len(promising("port", [passage(TEXT)], found, limit=limit)) == limit
