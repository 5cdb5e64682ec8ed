"""What a view admits, worked out once, is what each question would work out for itself."""

import numpy as np
import pytest

from steelyard.core.ranking import Allowed
from steelyard.index.admitted import Admitted, Admitting, Memberships
from steelyard.index.rows import RowStore


def rows_of(chunk_ids, classes):
    store = RowStore(dim=4)
    store.append(
        np.array(chunk_ids, dtype=np.int64),
        np.array(classes, dtype=np.int32),
        np.zeros((len(chunk_ids), 4), dtype=np.float16),
    )
    return store


def fixed(ids) -> np.ndarray:
    """Return chunk ids as the truth hands them out: read-only."""
    array = np.array(ids, dtype=np.int64)
    array.setflags(write=False)
    return array


@pytest.mark.parametrize("seed", range(30))
def test_marking_agrees_with_a_plain_look_up(seed):
    rng = np.random.default_rng(seed)
    spread = int(rng.choice([40, 400, 400_000]))
    ids = rng.choice(spread, 30, replace=False)
    if seed % 3:
        ids = np.sort(ids)
    if seed % 5 == 0:
        ids = np.arange(100, 130)  # without a gap
    rows = rows_of(ids, np.zeros(len(ids))).view()
    for count in (0, 1, 2, 17, 39):
        wanted = np.unique(rng.choice(spread, count, replace=False))
        wanted = np.union1d(wanted, rng.choice(ids, count // 2))
        expected = np.isin(ids, wanted)
        assert rows.holding(wanted.astype(np.int64)).tolist() == expected.tolist()


def test_a_view_works_a_principals_slots_out_once():
    store = rows_of(range(1, 9), [0, 1, 2, 0, 1, 2, 0, 1])
    live = np.ones(8, dtype=np.bool_)
    live[3] = False
    view = Admitting(store.view(), Admitted(live), Memberships())
    first = view.by(Allowed(classes=frozenset({0, 2})))
    assert first.slots().tolist() == [0, 2, 5, 6]
    assert first.num == 4
    assert view.by(Allowed(classes=frozenset({2, 0}))) is first
    assert view.by(Allowed()).slots().tolist() == [0, 1, 2, 4, 5, 6, 7]


def test_a_filters_slots_are_kept_by_the_array_that_the_truth_hands_out():
    store = rows_of(range(1, 9), [0, 1] * 4)
    view = Admitting(store.view(), Admitted(np.ones(8, dtype=np.bool_)), Memberships())
    ids = fixed([2, 3, 8])
    classes = frozenset({1})
    kept = view.by(Allowed(classes=classes, chunk_ids=ids))
    assert kept.slots().tolist() == [1, 7]
    assert view.by(Allowed(classes=classes, chunk_ids=ids)) is kept
    assert view.by(Allowed(chunk_ids=ids)).slots().tolist() == [1, 2, 7]
    equal = view.by(Allowed(classes=classes, chunk_ids=fixed([2, 3, 8])))
    assert equal is not kept
    assert equal.slots().tolist() == [1, 7]


def test_an_array_that_may_still_change_is_not_kept():
    store = rows_of(range(1, 4), [0, 0, 0])
    view = Admitting(store.view(), Admitted(np.ones(3, dtype=np.bool_)), Memberships())
    ids = np.array([1, 2], dtype=np.int64)
    assert view.by(Allowed(chunk_ids=ids)).slots().tolist() == [0, 1]
    ids[1] = 3
    assert view.by(Allowed(chunk_ids=ids)).slots().tolist() == [0, 2]


def test_memberships_grow_with_the_rows_and_serve_older_views_too():
    store, kept = rows_of([1, 2], [5, 6]), Memberships()
    older = store.view()
    store.append(
        np.array([3, 4], dtype=np.int64),
        np.array([6, 5], dtype=np.int32),
        np.zeros((2, 4), dtype=np.float16),
    )
    assert kept.of(frozenset({6}), older).tolist() == [False, True]
    assert kept.of(frozenset({6}), store.view()).tolist() == [False, True, True, False]
    assert kept.of(frozenset({6}), older).tolist() == [False, True]
