import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import InputError
from steelyard.loadtest import Shape, check_shape, plan


def test_each_concurrency_has_its_own_unseen_questions_and_asks_them_again_when_warm():
    planned = plan(60, Shape(clients=(1, 8), caches=("off", "on"), num_requests=7))
    kinds = [(t.num_clients, t.cache, t.temperature) for t in planned.trials]
    assert kinds == [
        (1, "off", "cold"), (1, "off", "warm"), (1, "on", "cold"), (1, "on", "warm"),
        (8, "off", "cold"), (8, "off", "warm"), (8, "on", "cold"), (8, "on", "warm"),
    ]  # fmt: skip
    cold = [t for t in planned.trials if t.temperature == "cold"]
    assert [len(t.questions) for t in cold] == [15, 15, 15, 15]
    assert [t.num_requests for t in cold] == [15, 15, 15, 15]
    warm = planned.trials[1]
    assert warm.questions == cold[0].questions
    assert warm.order == list(cold[0].questions[:7])
    assert planned.notes == ()


def test_shares_grow_with_the_clients():
    planned = plan(100, Shape(clients=(1, 80), caches=("on",)))
    assert [len(t.questions) for t in planned.trials[::2]] == [20, 80]


def test_too_few_questions_leave_one_cold_run_and_say_so():
    planned = plan(3, Shape(clients=(1, 8), caches=("off", "on")))
    assert [t.temperature for t in planned.trials] == ["cold", "warm", "warm", "warm", "warm"]
    assert all(t.questions == (0, 1, 2) for t in planned.trials)
    assert "3 questions are too few" in planned.notes[0]


def test_fewer_unseen_questions_than_clients_is_told():
    planned = plan(30, Shape(clients=(64,), caches=("on",)))
    assert "64 clients" in planned.notes[0]


@given(
    st.integers(1, 500),
    st.lists(st.integers(1, 200), min_size=1, max_size=5),
    st.sampled_from([("on",), ("off", "on")]),
)
def test_no_question_is_cold_twice(num_questions, clients, caches):
    planned = plan(num_questions, Shape(clients=tuple(clients), caches=caches))
    cold = [q for t in planned.trials if t.temperature == "cold" for q in t.questions]
    assert cold
    assert len(cold) == len(set(cold)) <= num_questions
    assert all(0 <= q < num_questions for q in cold)


@pytest.mark.parametrize(
    ("shape", "option"),
    [
        (Shape(clients=()), "--clients"),
        (Shape(clients=(0,)), "--clients"),
        (Shape(clients=(5000,)), "--clients"),
        (Shape(num_requests=0), "--requests"),
        (Shape(num_requests=10**9), "--requests"),
        (Shape(seconds=0), "--seconds"),
        (Shape(seconds=float("nan")), "--seconds"),
        (Shape(rate=-1), "--rate"),
        (Shape(rate=float("inf")), "--rate"),
    ],
)
def test_numbers_that_cannot_be_run_name_their_option(shape, option):
    with pytest.raises(InputError, match=option):
        check_shape(shape)
