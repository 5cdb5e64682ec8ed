"""What a reranker read ahead: found by chunk, shared by equal texts, gone when nobody needs it."""

import sqlite3

import numpy as np

from steelyard.store import Reading, Store, text_hash


def rows(n: int, dim: int = 4) -> np.ndarray:
    return np.arange(n * dim, dtype=np.int8).reshape(n, dim)


def read_all(store: Store, reranker: str = "r1", *, dim: int = 4) -> list[str]:
    """Read what is unread, as many rows as a text has letters; return the texts."""
    chunks = store.unread(reranker, after=-1, limit=99)
    store.keep_readings(reranker, [Reading(one.sha256, rows(len(one.text), dim)) for one in chunks])
    return [one.text for one in chunks]


def lengths(store: Store, reranker: str = "r1") -> list[int]:
    chunk_ids = store.live_chunk_ids()[1].tolist()
    return [len(found) for found in store.readings(chunk_ids, reranker=reranker).values()]


def test_readings_come_back_by_chunk_for_their_own_reranker_alone(store, draft) -> None:
    store.replace(draft("a", "one", "three"))
    assert read_all(store) == ["one", "three"]
    chunk_ids = store.live_chunk_ids()[1].tolist()
    found = store.readings([*chunk_ids, 999_999], reranker="r1")
    assert list(found) == chunk_ids
    np.testing.assert_array_equal(found[chunk_ids[1]], rows(5))
    assert store.readings(chunk_ids, reranker="r2") == {}
    assert store.check() == []


def test_equal_texts_are_read_once_and_known_texts_never_again(store, draft) -> None:
    store.replace(draft("a", "one"))
    store.replace(draft("b", "one"))
    assert len(store.unread("r1", after=-1, limit=99)) == 2
    assert read_all(store) == ["one", "one"]  # of one slice: kept once
    assert lengths(store) == [3, 3]
    store.replace(draft("c", "one", "new"))
    assert read_all(store) == ["new"]
    assert read_all(store, "r2") == ["one", "one", "one", "new"]


def test_a_slice_goes_on_behind_the_last_chunk(store, draft) -> None:
    store.replace(draft("a", "one", "two", "three"))
    first = store.unread("r1", after=-1, limit=2)
    rest = store.unread("r1", after=first[-1].chunk_id, limit=2)
    assert [one.text for one in (*first, *rest)] == ["one", "two", "three"]


def test_a_text_that_is_read_with_its_question_is_not_asked_for_again(store, draft) -> None:
    store.replace(draft("a", "long", "one"))
    nothing = np.empty((0, 0), np.int8)
    store.keep_readings("r1", [Reading(text_hash("long"), nothing)])
    assert lengths(store) == []
    assert read_all(store) == ["one"]  # and only now is it known how long a row is
    assert lengths(store) == [3]
    assert store.check() == []


def test_pruning_spares_the_rerankers_that_may_serve_and_the_texts_that_live(store, draft) -> None:
    store.replace(draft("a", "one", "two"))
    for reranker in ("r1", "r2", "r3"):
        read_all(store, reranker, dim=2)
    assert store.prune_readings(keep=["r1", "r2"]) == 2
    assert [lengths(store, one) for one in ("r1", "r2", "r3")] == [[3, 3], [3, 3], []]
    store.replace(draft("a", "two"))
    assert store.prune_readings(keep=["r1", "r2"]) == 0  # few, and they may come back
    assert store.prune_readings(keep=["r1", "r2"], max_spare=0) == 2
    assert lengths(store) == [3]
    assert store.check() == []


def test_a_damaged_reading_is_a_fault(store, draft) -> None:
    store.replace(draft("a", "one"))
    read_all(store)
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE readings SET vectors = x'010203'")
    (fault,) = store.check()
    assert fault.startswith("reading of ")
    assert lengths(store) == []  # and questions go on without it
