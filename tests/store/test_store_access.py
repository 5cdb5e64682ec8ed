import numpy as np
import pytest

from steelyard.core.errors import InputError
from steelyard.core.ranking import PUBLIC, Principal, Query
from steelyard.store import OPERATOR, Store, Submission

ANN = Principal(id="ann", groups=frozenset({"ops", "dev"}))
BOB = Principal(id="bob", groups=frozenset({"hr"}))
NOBODY = Principal(id="nobody", groups=frozenset())


@pytest.fixture
def shelf(store, draft):
    """Six documents over two collections and four group sets."""
    store.replace_many(
        [
            draft("pub", "public text", metadata={"team": "a"}),
            draft("ops", "ops text", groups=("ops",), metadata={"team": "a"}),
            draft("both", "both text", groups=("hr", "ops"), metadata={"team": "b"}),
            draft("none", "for nobody", groups=()),
            draft("far", "far text", groups=("ops",), collection="far"),
            draft("farpub", "far public", collection="far"),
        ]
    )
    return store


def _found(store, query):
    _, ids = store.live_chunk_ids()
    return {chunk.document_id for chunk in store.fetch(ids.tolist(), query=query)}


def _classes_of(store):
    _, ids = store.live_chunk_ids()
    return dict(zip(ids.tolist(), store.rows(ids.tolist()).classes.tolist(), strict=True))


def _allowed_ids(store, query):
    """Apply `Allowed` to all live chunks, as an index does."""
    allowed = store.allowed(query)
    ids = set(_classes_of(store))
    if allowed.classes is not None:
        ids = {i for i, c in _classes_of(store).items() if c in allowed.classes}
    if allowed.chunk_ids is not None:
        ids &= set(allowed.chunk_ids.tolist())
    return ids


@pytest.mark.parametrize(
    ("principal", "collection", "documents"),
    [
        (PUBLIC, "default", {"pub"}),
        (ANN, "default", {"ops", "both"}),
        (BOB, "default", {"both"}),
        (NOBODY, "default", set()),
        (ANN, "far", {"far"}),
        (PUBLIC, "far", {"farpub"}),
        (PUBLIC, "absent", set()),
        (OPERATOR, "default", {"pub"}),
    ],
)
def test_search_sees_what_shares_a_group_in_the_collection_and_no_more(
    shelf, principal, collection, documents
):
    query = Query("q", principal, collection=collection)
    assert _found(shelf, query) == documents
    ids = sorted(_allowed_ids(shelf, query))
    assert {c.document_id for c in shelf.fetch(ids, query=query)} == documents
    assert len(ids) == len(documents)


def test_nothing_allowed_is_an_empty_set_and_not_no_limit(store, shelf):
    assert store.allowed(Query("q", NOBODY)).classes == frozenset()


def test_an_empty_home_allows_nothing(store):
    assert store.allowed(Query("q", PUBLIC)).classes == frozenset()


def test_no_limit_only_while_every_live_chunk_is_readable(store, draft):
    store.replace(draft("a", "x"))
    assert store.allowed(Query("q", PUBLIC)).everything
    store.replace(draft("b", "x", groups=("hr",)))
    assert not store.allowed(Query("q", PUBLIC)).everything
    store.delete("default", ["b"], principal=OPERATOR)
    assert store.allowed(Query("q", PUBLIC)).everything
    store.replace(draft("c", "x", collection="far"))
    assert not store.allowed(Query("q", PUBLIC)).everything


def test_a_change_of_groups_counts_from_the_next_read_on(store, draft):
    store.replace(draft("a", "x"))
    assert _found(store, Query("q", PUBLIC)) == {"a"}
    store.replace(draft("a", "x", groups=("hr",)))
    assert _found(store, Query("q", PUBLIC)) == set()
    assert _found(store, Query("q", BOB)) == {"a"}
    assert store.allowed(Query("q", PUBLIC)).classes == frozenset()


def test_an_update_on_its_way_opens_nothing(store, draft):
    store.replace(draft("a", "secret", groups=("hr",)))
    store.submit(Submission(id="a", uri="u", groups=("public",)), principal=OPERATOR)
    assert _found(store, Query("q", PUBLIC)) == set()
    assert store.documents(principal=PUBLIC).rows == ()


def test_fetch_keeps_the_order_asked_and_leaves_out_what_is_gone(shelf):
    query = Query("q", ANN)
    ids = [c.chunk_id for c in shelf.fetch(shelf.live_chunk_ids()[1].tolist(), query=query)]
    asked = [ids[1], 10**9, ids[0], -1]
    assert [c.chunk_id for c in shelf.fetch(asked, query=query)] == [ids[1], ids[0]]
    assert shelf.fetch(np.array(asked), query=query) == shelf.fetch(asked, query=query)
    assert shelf.fetch([], query=query) == []
    assert {chunk.num_tokens for chunk in shelf.fetch(ids, query=query)} == {3}


def test_a_filter_limits_allowed_and_fetch_alike(shelf):
    query = Query("q", ANN, filter={"team": "b"})
    allowed = shelf.allowed(query)
    assert allowed.chunk_ids is not None
    assert {c.document_id for c in shelf.fetch(allowed.chunk_ids.tolist(), query=query)} == {"both"}
    assert _found(shelf, query) == {"both"}
    assert _found(shelf, Query("q", PUBLIC, filter={"team": "b"})) == set()


def test_filtered_ids_are_sorted_unique_and_read_only(store, draft):
    store.replace_many([draft(f"d{n}", *"abc", metadata={"n": n}) for n in range(5)])
    store.replace(draft("d0", *"xyz", metadata={"n": 0}))
    ids = store.allowed(Query("q", PUBLIC, filter={"n": {"$lte": 2}})).chunk_ids
    assert ids.tolist() == sorted(set(ids.tolist()))
    assert len(ids) == 9
    with pytest.raises(ValueError, match="read-only"):
        ids[0] = 1


def test_a_cached_filter_follows_changes_of_this_and_of_another_handle(path, store, draft):
    query = Query("q", PUBLIC, filter={"n": 1})
    assert len(store.allowed(query).chunk_ids) == 0
    store.replace(draft("a", "x", metadata={"n": 1}))
    assert len(store.allowed(query).chunk_ids) == 1
    with Store.open(path) as other:
        other.claim_embedder("toy-1", 8)
        other.replace(draft("b", "x", "y", metadata={"n": 1}, groups=("public", "new")))
    assert len(store.allowed(query).chunk_ids) == 3
    assert _found(store, query) == {"a", "b"}


def test_a_filter_that_matches_nothing_allows_nothing(shelf):
    ids = shelf.allowed(Query("q", PUBLIC, filter={"team": "zzz"})).chunk_ids
    assert ids.tolist() == []
    assert ids.dtype == np.int64


@pytest.mark.parametrize("bad", [{"$foo": 1}, {"a": {1, 2}}, {"a": float("nan")}, {1: 2, "a": 3}])
def test_a_malformed_filter_is_refused_by_allowed_and_fetch(shelf, bad):
    for ask in (shelf.allowed, lambda query: shelf.fetch([1], query=query)):
        with pytest.raises(InputError) as caught:
            ask(Query("q", PUBLIC, filter=bad))
        assert caught.value.code == "bad_filter"


def test_a_group_set_is_one_class_in_whatever_order_it_is_written(store, draft):
    store.replace_many(
        [draft("a", "x", groups=("b", "a")), draft("b", "x", groups=("a", "b", "a"))]
    )
    assert len(set(_classes_of(store).values())) == 1


def test_a_class_of_a_rolled_back_write_leaves_no_trace(store, draft):
    with pytest.raises(InputError):
        store.replace_many(
            [draft("a", "x", groups=("hr",)), draft("b", "x", metadata={"n": float("nan")})]
        )
    store.replace(draft("c", "x", groups=("ops",)))
    assert _found(store, Query("q", BOB)) == set()
    assert _found(store, Query("q", ANN)) == {"c"}
