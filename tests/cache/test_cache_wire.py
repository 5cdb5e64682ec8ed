"""Signed entries: what goes in comes out, and nothing else does."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kept import make_answer, make_entry, unit

from steelyard.cache import wire
from steelyard.cache.wire import Refused, opened, sealed

SECRET = b"s" * 32


@given(st.text(), st.text(), st.floats(0, 2e9), st.lists(st.integers(0, 2**60)))
def test_an_entry_comes_back_as_it_was(question, text, created_at, pool):
    entry = make_entry(
        question, vector=unit(1, 2), answer=make_answer(text=text), created_at=created_at
    )
    object.__setattr__(entry, "pool", tuple(pool))
    found = opened(sealed(entry, sender="me", secret=SECRET), secret=SECRET)
    assert found.sender == "me"
    for name in ("question", "scope", "answer", "pool", "snapshot", "created_at"):
        assert getattr(found.entry, name) == getattr(entry, name)
    assert np.array_equal(found.entry.vector, entry.vector)


@given(st.binary(max_size=300))
def test_garbage_is_refused(message):
    with pytest.raises(Refused):
        opened(message, secret=SECRET)


@given(st.data())
def test_any_changed_byte_is_refused(data):
    message = bytearray(sealed(make_entry(), sender="me", secret=SECRET))
    message[data.draw(st.integers(0, len(message) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Refused):
        opened(bytes(message), secret=SECRET)


def signed(row: object) -> bytes:
    body = json.dumps(row).encode()
    return wire._signature(body, SECRET) + body


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"vector": "not base64!"},
        {"vector": "AAA="},
        {"answer": {"text": "only this"}},
        {"pool": ["x"]},
        {"created_at": None},
        {"more": 1},
        {"question": 5},
    ],
)
def test_a_signed_row_of_another_shape_is_refused(change):
    message = sealed(make_entry(), sender="me", secret=SECRET)
    row = json.loads(message[64:])
    assert opened(signed(row), secret=SECRET)
    with pytest.raises(Refused):
        opened(signed(row | change), secret=SECRET)
    with pytest.raises(Refused):
        opened(signed([row]), secret=SECRET)


def test_another_secret_or_too_much_is_refused():
    message = sealed(make_entry(), sender="me", secret=SECRET)
    with pytest.raises(Refused, match="not ours"):
        opened(message, secret=b"t" * 32)
    with pytest.raises(Refused, match="more than"):
        opened(message + b" " * wire.MAX_BYTES, secret=SECRET)
