"""Server-sent events cut into pieces anywhere read the same."""

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.generate.deltas import ThoughtFilter
from steelyard.generate.sse import read_events


def _read(chunks: list[bytes]) -> list[str]:
    async def source():
        for chunk in chunks:
            yield chunk

    async def collect():
        return [event async for batch in read_events(source()) for event in batch]

    return asyncio.run(collect())


def test_comments_and_other_fields_are_skipped():
    stream = b": ping\n\nevent: x\nid: 1\ndata: a\n\nretry: 5\n\ndata:b\ndata: c\n\n"
    assert _read([stream]) == ["a", "b\nc"]


def test_the_last_event_needs_no_empty_line():
    assert _read([b"data: a\n\ndata: b"]) == ["a", "b"]
    assert _read([b"data: a\r\n\r\ndata: b\r\n"]) == ["a", "b"]


def test_a_byte_order_mark_is_not_data():
    assert _read([b"\xef\xbb\xbfdata: a\n\n"]) == ["a"]


@settings(deadline=None)
@given(
    events=st.lists(
        st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=("Cs",))),
        max_size=5,
    ),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
def test_cuts_inside_characters_and_line_ends_change_nothing(events, ending, cuts):
    stream = "".join(f"data: {event}{ending}{ending}" for event in events).encode()
    bounds = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[a:b] for a, b in pairwise(bounds)]
    assert _read(chunks) == events


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=8))
def test_a_thought_is_dropped_however_it_is_cut(cuts):
    text = " <think>is it [1]?</think>\n\nIt is < 5. [1]"
    bounds = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    visible = ThoughtFilter()
    pieces = [visible.feed(text[a:b]) for a, b in pairwise(bounds)]
    assert "".join([*pieces, visible.rest()]) == "It is < 5. [1]"


def test_text_that_only_looks_like_a_thought_is_kept():
    visible = ThoughtFilter()
    assert visible.feed("<thi") == ""
    assert visible.feed("s> is code") == "<this> is code"
    short = ThoughtFilter()
    assert short.feed("<") + short.rest() == "<"
    endless = ThoughtFilter()
    assert endless.feed("<think>never") + endless.rest() == ""
