"""Splits: nothing that belongs together stands on both sides."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import InputError
from steelyard.core.training import (
    Chat,
    Labelled,
    Provenance,
    Reading,
    Retrieval,
    TrainingRow,
    Turn,
)
from steelyard.datasets.training import Shares, sha256_of, split_rows

SHARES = Shares(validation=0.2, test=0.2)
names = st.sampled_from([f"n{n}" for n in range(12)])
rows_of_anybody = st.lists(
    st.builds(
        lambda n, documents, conversation, user, at: TrainingRow(
            Labelled(f"text {n}", "a"),
            Provenance("a", n, "", "", "", tuple(sorted(documents)), user, conversation, at),
        ),
        st.integers(1, 10**6),
        st.sets(names, max_size=2),
        st.just("") | names,
        names,
        st.floats(0, 1e9),
    ),
    min_size=2,
    max_size=60,
)


def row(n, *documents, **where):
    return TrainingRow(Labelled(f"text {n}", "a"), Provenance(documents=documents, **where))


@given(rows_of_anybody, st.sampled_from(["document", "user", "time"]), st.integers(0, 3))
def test_no_document_conversation_or_user_stands_on_both_sides(rows, by, seed):
    try:
        found = split_rows(rows, SHARES, by=by, seed=seed)
    except InputError:
        with pytest.raises(InputError, match="would be empty"):  # too much hangs together
            split_rows(rows, SHARES, by=by, seed=seed)
        return
    sides = defaultdict(set)
    for one in rows:
        where = one.provenance
        shared = [("document", name) for name in where.documents]
        shared += [("conversation", where.conversation)] if where.conversation else []
        shared += [("user", where.user)] if by == "user" else []
        for key in [*shared, ("text", one.example.text)]:
            sides[key].add(found.of[sha256_of(one)])
    assert all(len(splits) == 1 for splits in sides.values())
    assert set(found.num_rows) == {"train", "validation", "test"}
    assert sum(found.num_rows.values()) == len(rows)
    assert split_rows(rows[::-1], SHARES, by=by, seed=seed) == found


def test_shares_are_met_where_documents_allow_it():
    rows = [row(n, f"d{n // 4}") for n in range(400)]
    found = split_rows(rows, SHARES)
    assert found.num_rows == Counter(train=240, validation=80, test=80)
    assert found.num_groups == Counter(train=60, validation=20, test=20)
    assert split_rows(rows, SHARES, seed=1).of != found.of


def test_a_chain_of_shared_documents_is_one_group():
    chain = [row(n, f"d{n}", f"d{n + 1}") for n in range(10)]
    alone = [row(n, f"x{n}") for n in range(100, 110)]
    found = split_rows([*chain, *alone], SHARES)
    assert len({found.of[sha256_of(one)] for one in chain}) == 1


def test_by_time_what_is_trained_on_is_older_than_what_is_tested():
    rows = [row(n, f"d{n % 20}", at=float(n)) for n in range(100)]
    found = split_rows(rows, SHARES, by="time")
    newest = defaultdict(dict)
    for one in rows:
        split = found.of[sha256_of(one)]
        for name in one.provenance.documents:
            newest[split][name] = one.provenance.at
    assert max(newest["train"].values()) < min(newest["validation"].values())
    assert max(newest["validation"].values()) < min(newest["test"].values())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Reading("a?", "One text.", ()), Reading("b?", "one  text", ())),
        (Reading("a?", "One.", (), "Title"), Reading("b?", "Two.", (), "Title")),
        (Retrieval("a", ("Same text",)), Retrieval("b", ("same text",))),
        (Retrieval("A b?", ("x",)), Retrieval("a b", ("y",))),
        (Labelled("Same", "a"), Labelled("same!", "b")),
        (
            Chat((Turn("user", "Where is my card? " * 3), Turn("assistant", "Here."))),
            Chat((Turn("user", "Where is my card? " * 3), Turn("assistant", "Here."),
                  Turn("user", "Oh."), Turn("assistant", "Yes."))),
        ),
    ],
)  # fmt: skip
def test_what_rows_are_made_of_holds_them_together_too(one, other):
    rows = [TrainingRow(one), TrainingRow(other), *(row(n) for n in range(20))]
    for seed in range(5):
        of = split_rows(rows, SHARES, seed=seed).of
        assert of[sha256_of(rows[0])] == of[sha256_of(rows[1])]


@pytest.mark.parametrize(
    ("rows", "options", "expected"),
    [
        ([row(1, "d"), row(2, "d")], {}, "'train' would be empty|'test' would be empty"),
        ([row(1), row(2)], {"by": "colour"}, "cannot split by 'colour'"),
        ([row(1), row(2)], {"by": "user"}, "2 rows have no user"),
        ([row(1, at=1.0), row(2)], {"by": "time"}, "1 rows have no time"),
    ],
)
def test_a_split_that_cannot_be_is_refused(rows, options, expected):
    with pytest.raises(InputError, match=expected):
        split_rows(rows, Shares(0.0, 0.5), **options)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.2), (0.0, 0.0)])
def test_shares_must_leave_something_on_both_sides(shares):
    with pytest.raises(InputError, match="leave no row"):
        split_rows([row(1), row(2)], Shares(*shares))
