"""A filter's result, kept up by the change log, is what asking every document would give."""

import random

import numpy as np
import pytest

from steelyard.core.ranking import PUBLIC, Query
from steelyard.store import OPERATOR, Store, Submission, matching
from steelyard.store.matching import Matching, expand_ranges

QUERY = Query("q", PUBLIC, filter={"team": "a"})


def matched(store) -> list[int]:
    return store.allowed(QUERY).chunk_ids.tolist()


@pytest.fixture
def full_answers(monkeypatch) -> list[str]:
    """Note each time that every document is asked."""
    asked: list[str] = []
    ask = matching.all_matching

    def noted(connection, condition, *, collection):
        asked.append(collection)
        return ask(connection, condition, collection=collection)

    monkeypatch.setattr("steelyard.store.access.all_matching", noted)
    return asked


@pytest.mark.parametrize("seed", range(8))
def test_every_sequence_of_changes_ends_in_what_a_fresh_reader_finds(path, store, draft, seed):
    rng = random.Random(seed)
    for step in range(60):
        name = f"d{rng.randrange(6)}"
        action = rng.choice(["put", "put", "delete", "many", "submit"])
        team, texts = rng.choice("ab"), rng.choice(["", "x", "xy", "xyz"])
        collection = rng.choice(["default", "default", "far"])
        if action == "put":
            store.replace(draft(name, *texts, metadata={"team": team}, collection=collection))
        elif action == "many":
            store.replace_many(
                [draft(f"m{n}", *texts, f"{step}", metadata={"team": team}) for n in range(3)]
            )
        elif action == "submit":  # changes nothing that is served
            told = Submission(id=name, uri="u", collection=collection, metadata={"team": team})
            store.submit(told, principal=OPERATOR)
        else:
            _delete(store, collection, name)
        if rng.random() < 0.6:
            with Store.open(path, read_only=True) as fresh:
                assert matched(store) == matched(fresh)


def _delete(store, collection, name):
    rows = store.documents(principal=OPERATOR, collection=collection).rows
    if name in [row.id for row in rows]:
        store.delete(collection, [name], principal=OPERATOR)


def test_only_the_changed_documents_are_asked_again(store, draft, full_answers):
    store.replace_many([draft(f"d{n}", "x", metadata={"team": "ab"[n % 2]}) for n in range(20)])
    before = matched(store)
    assert len(before) == 10
    assert full_answers == ["default"]
    store.replace(draft("d1", "x", "y", metadata={"team": "a"}))
    store.replace(draft("d2", "x", metadata={"team": "b"}))
    store.delete("default", ["d4"], principal=OPERATOR)
    ids = matched(store)
    assert len(ids) == 10 + 2 - 1 - 1
    assert ids[-1] > before[-1]
    assert full_answers == ["default"]


def test_a_change_that_a_filter_does_not_see_keeps_its_very_result(store, draft):
    store.replace(draft("a", "x", metadata={"team": "a"}))
    before = store.allowed(QUERY).chunk_ids
    store.replace(draft("b", "x", metadata={"team": "b"}))
    assert store.allowed(QUERY).chunk_ids is before


def test_a_log_that_is_too_short_or_too_long_asks_every_document(
    path, draft, full_answers, monkeypatch
):
    with Store.open(path, kept_changes=4) as store:
        store.claim_embedder("toy-1", 8)
        store.replace(draft("a", "x", metadata={"team": "a"}))
        assert len(matched(store)) == 1
        store.replace(draft("b", *"123456", metadata={"team": "a"}))
        assert len(matched(store)) == 7
        assert full_answers == ["default"] * 2
        monkeypatch.setattr(matching, "_MAX_CHANGES", 2)
        store.replace(draft("c", *"123", metadata={"team": "a"}))
        assert len(matched(store)) == 10
        assert full_answers == ["default"] * 3


def test_a_result_of_the_future_is_not_used(path, store, draft):
    """A reader whose snapshot is older than what another thread has kept asks for itself."""
    store.replace(draft("a", "x", metadata={"team": "a"}))
    matched(store)
    access = store.allowed.__self__
    ((key, kept),) = access._filtered.items()
    access._filtered[key] = Matching(kept.seq + 5, np.zeros(0, dtype=np.int64))
    assert len(matched(store)) == 1
    assert access._filtered[key].seq == kept.seq + 5


def test_ranges_are_expanded_in_order():
    assert expand_ranges(np.array([[7, 2], [1, 3]])).tolist() == [1, 2, 3, 7, 8]
    assert expand_ranges(np.zeros((0, 2), dtype=np.int64)).tolist() == []
