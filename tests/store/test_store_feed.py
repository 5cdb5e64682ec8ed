import numpy as np

from steelyard.core.protocols import ChangeFeed
from steelyard.core.ranking import PUBLIC
from steelyard.store import OPERATOR, Store


def _replay(feed: ChangeFeed, *, after, live, limit=3):
    """Follow the log in small steps, as an index does; return the set it ends with."""
    live = set(live)
    while steps := feed.changes(after=after, limit=limit):
        assert [s.seq for s in steps] == sorted({s.seq for s in steps})
        assert steps[0].seq > after
        for step in steps:
            assert (step.chunk_id in live) is not step.added
            (live.add if step.added else live.discard)(step.chunk_id)
        after = steps[-1].seq
    assert steps is not None
    return after, live


def test_a_replay_of_the_log_ends_in_the_live_set(store, draft):
    start, ids = store.live_chunk_ids()
    assert ids.tolist() == []
    store.replace_many([draft("a", *"12345"), draft("b", *"12")])
    store.replace(draft("a", *"123"))
    store.delete("default", ["b"], principal=OPERATOR)
    store.replace(draft("c", *"1"))
    seq, ids = store.live_chunk_ids()
    assert _replay(store, after=start, live=[]) == (seq, set(ids.tolist()))
    assert seq == store.last_seq()
    assert ids.dtype == np.int64


def test_inside_one_write_chunks_come_before_others_go(store, draft):
    store.replace(draft("a", *"12"))
    before = store.last_seq()
    store.replace(draft("a", *"34"))
    assert [s.added for s in store.changes(after=before, limit=9)] == [True, True, False, False]


def test_nothing_new_is_an_empty_list(store):
    assert store.changes(after=store.last_seq(), limit=5) == []


def test_a_trimmed_log_says_so(path, draft):
    with Store.open(path, kept_changes=10) as store:
        store.claim_embedder("toy-1", 8)
        start = store.last_seq()
        store.replace(draft("a", *"123456"))
        middle = store.last_seq()
        assert len(store.changes(after=start, limit=99)) == 6
        store.replace(draft("b", *"123456"))
        assert store.changes(after=start, limit=99) is None
        assert store.changes(after=middle - 4, limit=99) is not None
        assert store.changes(after=middle - 5, limit=99) is None
        assert _replay(store, after=middle, live=[])[0] == store.last_seq()
        assert store.check() == []


def test_a_number_from_ahead_or_from_another_file_means_rebuild(store, tmp_path, draft):
    store.replace(draft("a", "x"))
    assert store.changes(after=store.last_seq() + 1, limit=5) is None
    assert store.changes(after=0, limit=5) is None
    with Store.open(tmp_path / "younger.db") as younger:
        younger.claim_embedder("toy-1", 8)
        younger.replace_many([draft(f"d{n}", "x") for n in range(50)])
        assert younger.changes(after=store.last_seq(), limit=5) is None


def test_rows_hold_what_an_index_needs_in_the_order_asked(store, draft, vector):
    store.replace_many(
        [
            draft("a", "one", "two", title="Guide", heading=("Setup",)),
            draft("b", "three", groups=("hr",)),
        ]
    )
    ids = store.live_chunk_ids()[1].tolist()
    rows = store.rows([ids[2], 10**9, ids[0], ids[1]])
    assert rows.chunk_ids.tolist() == [ids[2], ids[0], ids[1]]
    assert rows.texts == ["three", "Guide > Setup\none", "Guide > Setup\ntwo"]
    assert rows.classes[1] == rows.classes[2] != rows.classes[0]
    assert (rows.vectors.dtype, rows.vectors.shape) == (np.float16, (3, 8))
    np.testing.assert_allclose(rows.vectors[1], vector("Guide > Setup\none"), atol=1e-3)


def test_rows_of_nothing_have_the_homes_width(store):
    rows = store.rows([])
    assert rows.vectors.shape == (0, 8)
    assert (len(rows.chunk_ids), len(rows.classes), rows.texts) == (0, 0, [])


def test_rows_cross_their_batches_whole(store, draft):
    store.replace_many([draft(f"d{n}", *(f"{n} {m}" for m in range(50))) for n in range(50)])
    ids = store.live_chunk_ids()[1]
    rows = store.rows(ids[::-1])
    assert rows.chunk_ids.tolist() == ids[::-1].tolist()
    assert len(rows.texts) == len(rows.vectors) == 2500


def test_data_version_moves_with_writes_of_this_and_another_handle_only(path, store, draft):
    seen = store.data_version()
    store.last_seq()
    assert store.data_version() == seen
    store.replace(draft("a", "x"))
    after_own = store.data_version()
    assert after_own != seen
    with Store.open(path) as other:
        other.claim_embedder("toy-1", 8)
        other.replace(draft("b", "x"))
    assert store.data_version() != after_own
    assert store.text("default", "b", principal=PUBLIC) == "x"


def test_the_store_fits_the_protocol_of_a_feed(store):
    feed: ChangeFeed = store
    assert feed.last_seq() == store.last_seq()


def test_spans_are_the_chunks_of_each_served_document_in_order(store, draft):
    store.replace_many([draft("a", *"123"), draft("b", *"12"), draft("empty")])
    store.replace(draft("a", *"45", collection="law"))
    store.replace(draft("a", *"6"))
    found = {(span.collection, span.id): span for span in store.spans()}
    assert {key: span.num_chunks for key, span in found.items()} == {
        ("default", "a"): 1, ("default", "b"): 2, ("law", "a"): 2,
    }  # fmt: skip
    firsts = [span.first_chunk for span in store.spans()]
    assert firsts == sorted(firsts)
    law = found["law", "a"]
    assert store.spans([law.first_chunk, law.first_chunk + 1, 10_000]) == [law]
    assert store.spans([]) == []
