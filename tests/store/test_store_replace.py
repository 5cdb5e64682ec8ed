import dataclasses

import numpy as np
import pytest

from steelyard.core.documents import Block, BlockKind, State
from steelyard.core.errors import InputError, NotFound, SetupError
from steelyard.core.ranking import PUBLIC, Principal, Query
from steelyard.store import OPERATOR, Store, Ticket

ANN = Principal(id="ann", groups=frozenset({"ops"}))
BOB = Principal(id="bob", groups=frozenset({"hr"}))


def test_what_is_stored_is_what_was_given(store, draft):
    made = draft(
        "a",
        "first part",
        "second — part",
        title="Guide",
        heading=("Guide", "Setup"),
        media_type="text/markdown",
        metadata={"tags": ["x", "y"], "year": 2024, "draft": False, "note": None},
        blocks=(Block(BlockKind.HEADING, 0, 5, 1, 1), Block(BlockKind.PARAGRAPH, 5, 10)),
    )
    store.replace(made)
    document = made.document
    parsed = store.parsed("default", "a", principal=PUBLIC)
    assert (parsed.text, parsed.blocks, parsed.title, parsed.media_type) == (
        document.text,
        document.blocks,
        "Guide",
        "text/markdown",
    )
    chunks = store.chunks_of("default", "a", principal=PUBLIC)
    assert [c.text for c in chunks] == ["first part", "second — part"]
    for chunk in chunks:
        assert document.text[chunk.start : chunk.end] == chunk.text
        assert chunk.heading == ("Guide", "Setup")
        assert chunk.page == 1
        assert chunk.metadata == document.metadata
    row = store.document("default", "a", principal=PUBLIC)
    assert (row.state, row.num_chunks, row.groups) == (State.SEARCHABLE, 2, ("public",))
    assert store.check() == []


def test_a_new_version_takes_the_old_ones_place_under_new_chunk_ids(store, draft):
    store.replace(draft("a", "one", "two"))
    old = [c.chunk_id for c in store.chunks_of("default", "a", principal=PUBLIC)]
    store.replace(draft("a", "two", "three", "four"))
    new = store.chunks_of("default", "a", principal=PUBLIC)
    assert [c.text for c in new] == ["two", "three", "four"]
    assert min(c.chunk_id for c in new) > max(old)
    assert store.fetch(old, query=Query("q", PUBLIC)) == []
    assert store.counts().chunks == 3


def test_chunk_ids_and_sequence_numbers_are_not_reused_after_a_delete_and_reopen(path, draft):
    with Store.open(path) as store:
        store.claim_embedder("toy-1", 8)
        first = store.replace(draft("a", "one")).seq
        old = store.live_chunk_ids()[1].tolist()
        gone = store.delete("default", ["a"], principal=OPERATOR).seq
    with Store.open(path) as store:
        store.claim_embedder("toy-1", 8)
        again = store.replace(draft("a", "one")).seq
        assert store.live_chunk_ids()[1].tolist()[0] > old[0]
    assert first < gone < again


def test_a_document_without_chunks_is_searchable_and_finds_nothing(store, draft):
    store.replace(draft("a"))
    row = store.document("default", "a", principal=PUBLIC)
    assert (row.state, row.num_chunks) == (State.SEARCHABLE, 0)
    assert store.check() == []


def test_one_bad_replacement_undoes_its_whole_batch(store, draft):
    store.replace(draft("a", "old"))
    before = store.last_seq()
    bad = draft("b", "x", metadata={"n": float("inf")})
    with pytest.raises(InputError):
        store.replace_many([draft("a", "new"), bad])
    assert [c.text for c in store.chunks_of("default", "a", principal=PUBLIC)] == ["old"]
    assert store.last_seq() == before
    assert store.check() == []


def test_one_stale_replacement_does_not_hold_up_its_batch(store, draft):
    store.replace(draft("a", "old"))
    stale = draft("gone", "x", ticket=None)
    from_nowhere = dataclasses.replace(stale, ticket=Ticket("default", "gone", 99))
    commit = store.replace_many([from_nowhere, draft("a", "new")])
    assert commit.superseded == (from_nowhere.ticket,)
    assert [c.text for c in store.chunks_of("default", "a", principal=PUBLIC)] == ["new"]


def test_a_document_twice_in_a_batch_ends_as_the_last_one(store, draft):
    store.replace_many([draft("a", "one"), draft("a", "two", "three")])
    assert [c.text for c in store.chunks_of("default", "a", principal=PUBLIC)] == ["two", "three"]
    assert store.check() == []


def test_a_chunk_that_misquotes_its_document_is_a_bug(store, draft):
    made = draft("a", "hello")
    wrong = dataclasses.replace(made.chunks[0], text="hullo")
    with pytest.raises(AssertionError, match="is not text"):
        store.replace(dataclasses.replace(made, chunks=[wrong]))


@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((1, 8), np.float32),
        np.full((1, 8), np.nan, np.float32),
        np.eye(8, dtype=np.float32)[:2],
        np.eye(4, dtype=np.float32)[:1],
    ],
    ids=["zero", "nan", "too many", "narrow"],
)
def test_vectors_that_are_no_unit_rows_of_the_home_are_a_bug(store, draft, vectors):
    with pytest.raises(AssertionError):
        store.replace(dataclasses.replace(draft("a", "x"), vectors=vectors))
    assert store.counts().documents == 0


def test_text_that_is_no_unicode_is_refused_and_nothing_is_stored(store, draft):
    with pytest.raises(InputError) as caught:
        store.replace(draft("a", "x \udc80 y", sha256="s"))
    assert caught.value.code == "invalid_text"
    assert store.counts().by_state == {}


def test_writing_before_an_embedder_was_claimed_is_refused(path, draft):
    with Store.open(path) as store, pytest.raises(SetupError, match="claim"):
        store.replace(draft("a", "x"))


def test_a_deleted_document_is_gone_from_every_read(store, draft):
    store.replace(draft("a", "x"))
    ids = store.live_chunk_ids()[1].tolist()
    deletion = store.delete("default", ["a", "never"], principal=OPERATOR)
    assert deletion.ids == ("a",)
    assert store.fetch(ids, query=Query("q", PUBLIC)) == []
    assert store.allowed(Query("q", PUBLIC)).classes == frozenset()
    assert store.documents(principal=OPERATOR).rows == ()
    for read in (store.document, store.text, store.chunks_of, store.parsed):
        with pytest.raises(NotFound):
            read("default", "a", principal=OPERATOR)
    assert store.check() == []


def test_a_document_is_deleted_only_by_those_who_may_see_it(store, draft):
    store.replace_many([draft("a", "x", groups=("ops",)), draft("b", "y", groups=("hr",))])
    with pytest.raises(NotFound):
        store.delete("default", ["a"], principal=BOB)
    assert store.delete("default", ["a", "b"], principal=ANN).ids == ("a",)
    assert store.delete("default", ["b"], principal=OPERATOR).ids == ("b",)


def test_deletes_stay_inside_their_collection(store, draft):
    store.replace_many([draft("a", "x"), draft("a", "y", collection="other")])
    store.delete("default", ["a"], principal=OPERATOR)
    assert store.text("other", "a", principal=PUBLIC) == "y"


def test_listing_pages_through_every_document_once(store, draft):
    store.replace_many([draft(f"d{n:02}", "x") for n in range(25)])
    seen, after = [], None
    while True:
        page = store.documents(principal=PUBLIC, after=after, limit=10)
        seen += [row.id for row in page.rows]
        after = page.next
        if after is None:
            break
    assert seen == [f"d{n:02}" for n in range(25)]


def test_a_full_last_page_has_no_next(store, draft):
    store.replace_many([draft("a", "x"), draft("b", "x")])
    assert store.documents(principal=PUBLIC, limit=2).next is None


def test_listing_filters_by_collection_state_and_who_asks(store, draft):
    store.replace_many(
        [
            draft("a", "x", groups=("ops",)),
            draft("b", "x", groups=("hr", "ops")),
            draft("c", "x", groups=("ops",), collection="other"),
            draft("d", "x", groups=()),
        ]
    )

    def ids(**how):
        return [row.id for row in store.documents(**how).rows]

    assert ids(principal=ANN) == ["a", "b", "c"]
    assert ids(principal=ANN, collection="default") == ["a", "b"]
    assert ids(principal=BOB) == ["b"]
    assert ids(principal=PUBLIC) == []
    assert ids(principal=OPERATOR) == ["a", "b", "c", "d"]
    assert ids(principal=OPERATOR, state=State.FAILED) == []
    assert store.collections() == ["default", "other"]


@pytest.mark.parametrize("how", [{"after": "x"}, {"after": "-1"}, {"limit": 0}, {"limit": 5000}])
def test_a_bad_cursor_or_limit_is_refused(store, how):
    with pytest.raises(InputError):
        store.documents(principal=OPERATOR, **how)


def test_counts_add_up(store, draft):
    store.replace_many([draft("a", "x", "y"), draft("b", "z")])
    counts = store.counts()
    assert counts.by_state == {State.SEARCHABLE: 2}
    assert (counts.documents, counts.chunks, counts.seq) == (2, 3, store.last_seq())
    assert counts.size_bytes > 0
