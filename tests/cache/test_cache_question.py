"""Which questions are written the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.cache import normalised


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("How many days?", "how  many\tdays"),
        ("What is  “it” ?", 'what is "it"'),
        ("Ｗhat is ﬁve\u00a0km?", "What is ﬁve km"),
        ("cafe\u0301", "café"),
    ],
)
def test_what_only_looks_different_is_the_same(a, b):
    assert normalised(a) == normalised(b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Is it for US staff?", "Is it for us staff?"),
        ("Is Polish needed?", "Is polish needed?"),
        ("What is 10⁵?", "What is 105?"),
        ("What is ½ of it?", "What is 12 of it?"),
        ("What is $?", "What is $"),
        ("What is 5!", "What is 5"),
        ("May Will go?", "may will go?"),
        ("IT leave", "it leave"),
        ("WHO advice", "who advice"),
        ("Who's rule", "who rule"),
    ],
)
def test_what_may_mean_something_else_is_not_the_same(a, b):
    assert normalised(a) != normalised(b)


@given(st.text())
def test_normalising_twice_changes_nothing_but_a_second_mark(text):
    once = normalised(text)
    assert normalised(once) == once or once.endswith("?")
