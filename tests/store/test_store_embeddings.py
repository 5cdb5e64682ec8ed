import numpy as np
import pytest

from steelyard.core.errors import SetupError
from steelyard.core.ranking import PUBLIC, Query
from steelyard.store import OPERATOR, ClaimedEmbedder, Store, text_hash


def _new_vector(text):
    row = np.zeros(4, np.float32)
    row[len(text) % 4] = 1.0
    return row


def _reembed(store, fingerprint, *, limit):
    after = -1
    while found := store.unembedded(fingerprint, after=after, limit=limit):
        after = found[-1].chunk_id
        store.remember_embeddings(
            [text_hash(chunk.text) for chunk in found],
            np.stack([_new_vector(chunk.text) for chunk in found]),
            fingerprint,
        )


def test_vectors_are_found_again_by_what_was_embedded(store, draft, vector):
    store.replace(draft("a", "one", "two", title="T"))
    known = store.cached_embeddings(
        [text_hash("T\none"), text_hash("T\ntwo"), text_hash("one")], "toy-1"
    )
    assert set(known) == {text_hash("T\none"), text_hash("T\ntwo")}
    np.testing.assert_allclose(known[text_hash("T\none")], vector("T\none"), atol=1e-3)
    assert store.cached_embeddings([text_hash("T\none")], "toy-2") == {}


def test_vectors_outlive_their_document(store, draft):
    store.replace(draft("a", "one"))
    store.delete("default", ["a"], principal=OPERATOR)
    assert text_hash("one") in store.cached_embeddings([text_hash("one")], "toy-1")


def test_many_hashes_are_looked_up_at_once(store, draft):
    store.replace(draft("a", *(f"p{n}" for n in range(1200))))
    hashes = [text_hash(f"p{n}") for n in range(1500)]
    assert len(store.cached_embeddings(hashes, "toy-1")) == 1200


def test_the_oldest_unused_vectors_are_pruned_beyond_the_bound(store, draft, vector):
    store.replace(draft("a", "kept"))
    for n in range(5):
        store.remember_embeddings(
            [text_hash(f"spare {n}")], vector(f"spare {n}")[np.newaxis], "toy-1"
        )
    assert store.prune_embeddings(max_spare=2) == 3
    hashes = {text: text_hash(text) for text in ["kept", *(f"spare {n}" for n in range(5))]}
    known = store.cached_embeddings(list(hashes.values()), "toy-1")
    assert {text for text, key in hashes.items() if key in known} == {"kept", "spare 3", "spare 4"}
    assert store.check() == []


def test_pruning_spares_a_reembedding_under_way(store, draft):
    store.replace(draft("a", "one", "two"))
    _reembed(store, "toy-2", limit=1)
    assert store.prune_embeddings(max_spare=0) == 0
    store.reset_embedder("toy-2", 4)
    assert store.prune_embeddings(max_spare=0) == 2


def test_the_first_claim_decides_and_a_second_embedder_is_refused(path):
    with Store.open(path) as store:
        assert store.embedder() is None
        store.claim_embedder("toy-1", 8)
        store.claim_embedder("toy-1", 8)
        assert store.embedder() == ClaimedEmbedder("toy-1", 8)
    with Store.open(path) as store:
        with pytest.raises(SetupError, match=r"'toy-1'.*'toy-2'.*ingest --reembed") as caught:
            store.claim_embedder("toy-2", 8)
        assert caught.value.code == "other_embedder"


def test_reembedding_takes_up_where_it_was_cut_off_and_moves_every_index(path, store, draft):
    before = store.replace_many(
        [draft("a", "one", "two", title="T"), draft("b", "one", "three")]
    ).seq
    with pytest.raises(SetupError, match="4 chunks have no vector"):
        store.reset_embedder("toy-2", 4)
    first = store.unembedded("toy-2", after=-1, limit=2)
    store.remember_embeddings(
        [text_hash(c.text) for c in first],
        np.stack([_new_vector(c.text) for c in first]),
        "toy-2",
    )
    with Store.open(path) as later:  # the process died here; another goes on
        _reembed(later, "toy-2", limit=1)
        seq = later.reset_embedder("toy-2", 4)
        assert later.embedder() == ClaimedEmbedder("toy-2", 4)
        assert seq > before
        assert later.changes(after=before, limit=9) is None
        assert later.changes(after=seq, limit=9) == []
        ids = later.live_chunk_ids()[1].tolist()
        rows = later.rows(ids)
        expected = np.stack([_new_vector(text) for text in rows.texts])
        np.testing.assert_array_equal(rows.vectors, expected)
        assert len(later.fetch(ids, query=Query("q", PUBLIC))) == 4
        assert later.check() == []


def test_a_process_with_the_old_embedder_can_no_longer_write(path, store, draft):
    store.replace(draft("a", "one"))
    with Store.open(path) as other:
        _reembed(other, "toy-2", limit=9)
        other.reset_embedder("toy-2", 4)
    with pytest.raises(SetupError) as caught:
        store.replace(draft("b", "two"))
    assert caught.value.code == "other_embedder"
    assert store.counts().chunks == 1


def test_equal_texts_share_one_vector(store, draft):
    store.replace_many([draft("a", "same", "same"), draft("b", "same")])
    with store._database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM embeddings").fetchone()[0] == 1
