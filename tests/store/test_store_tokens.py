"""Token ids beside vectors: kept with the chunks, found by chunk, gone with the vectors."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from steelyard.infra.sqlite import Database
from steelyard.store import KeptTokens, Store, text_hash
from steelyard.store.schema import LAYOUT


def kept(*texts: str, tokenizer: str = "t1", vocabulary: int = 30_522) -> KeptTokens:
    """Return ids that a text's characters give, the last one the largest there is."""
    ids = {text_hash(text): np.array([*map(ord, text), vocabulary - 1], np.int32) for text in texts}
    return KeptTokens(tokenizer, vocabulary, ids)


def ids_by_text(store: Store, tokenizer: str = "t1") -> dict[str, list[int]]:
    chunk_ids = store.live_chunk_ids()[1].tolist()
    texts = dict(zip(chunk_ids, store.rows(chunk_ids).texts, strict=True))
    found = store.token_ids(chunk_ids, tokenizer=tokenizer)
    return {texts[chunk_id]: ids.tolist() for chunk_id, ids in found.items()}


def size_of(path: Path) -> list[int]:
    rows = sqlite3.connect(path).execute("SELECT length(ids) FROM tokens ORDER BY 1").fetchall()
    return [row[0] for row in rows]


def test_ids_come_back_by_chunk_for_their_own_tokenizer_alone(store, draft) -> None:
    store.replace(replace(draft("a", "one", "two"), tokens=kept("one", "two")))
    assert ids_by_text(store) == {
        "one": [*map(ord, "one"), 30_521],
        "two": [*map(ord, "two"), 30_521],
    }
    assert ids_by_text(store, "t2") == {}
    chunk_id = store.live_chunk_ids()[1].tolist()[0]
    ids = store.token_ids([chunk_id, 999_999], tokenizer="t1")
    assert list(ids) == [chunk_id]
    assert ids[chunk_id].dtype == np.int32


def test_ids_are_those_of_the_embedded_text_with_its_title_and_heading(store, draft) -> None:
    text = "T > Part\none"
    document = draft("a", "one", title="T", heading=("T", "Part"))
    store.replace(replace(document, tokens=kept(text, "another document's")))
    assert list(ids_by_text(store)) == [text]
    assert len(size_of(store.path)) == 1


def test_small_vocabularies_take_two_bytes_an_id_and_large_ones_four(store, draft) -> None:
    store.replace(replace(draft("a", "one"), tokens=kept("one", vocabulary=65_536)))
    assert size_of(store.path) == [8]
    store.replace(replace(draft("b", "two"), tokens=kept("two", tokenizer="t2", vocabulary=65_537)))
    assert size_of(store.path) == [8, 16]
    assert ids_by_text(store) == {"one": [*map(ord, "one"), 65_535]}
    assert ids_by_text(store, "t2") == {"two": [*map(ord, "two"), 65_536]}
    assert store.check() == []


def test_homes_without_ids_give_none(store, draft) -> None:
    store.replace(draft("a", "one"))
    assert ids_by_text(store) == {}


def test_home_of_the_first_layout_is_migrated_and_keeps_its_chunks(tmp_path, draft) -> None:
    path = tmp_path / "old.db"
    Database(path, layout=replace(LAYOUT, migrations=LAYOUT.migrations[:1])).close()
    with Store.open(path) as store:
        store.claim_embedder("toy-1", 8)
        store.replace(replace(draft("a", "one"), tokens=kept("one")))
        assert list(ids_by_text(store)) == ["one"]


def test_a_void_ticket_leaves_no_ids(store, draft) -> None:
    commit = store.replace(draft("a", "one"))
    old = store.replace(replace(draft("a", "two"), tokens=kept("two")))
    assert old.seq > commit.seq
    assert list(ids_by_text(store)) == ["two"]


def test_a_failed_write_keeps_no_ids(store, draft) -> None:
    broken = replace(draft("a", "one"), tokens=kept("one"), vectors=np.ones((1, 8), np.float32))
    with pytest.raises(AssertionError, match="unit length"):
        store.replace(broken)
    assert size_of(store.path) == []


def test_remembered_ids_are_found_by_the_chunk_that_comes_later(store, draft, vector) -> None:
    store.remember_embeddings(
        [text_hash("one")], vector("one")[np.newaxis], "toy-1", tokens=kept("one")
    )
    store.replace(draft("a", "one"))
    assert list(ids_by_text(store)) == ["one"]


def test_ids_are_pruned_with_the_last_vector_of_their_text(store, draft, vector) -> None:
    store.replace(replace(draft("a", "kept"), tokens=kept("kept")))
    for text in ("spare 1", "spare 2"):
        store.remember_embeddings(
            [text_hash(text)], vector(text)[np.newaxis], "toy-1", tokens=kept(text)
        )
    assert len(size_of(store.path)) == 3
    assert store.prune_embeddings(max_spare=1) == 1
    assert len(size_of(store.path)) == 2
    assert store.prune_embeddings(max_spare=0) == 1
    assert list(ids_by_text(store)) == ["kept"]
    assert len(size_of(store.path)) == 1
    assert store.check() == []


def test_check_finds_torn_ids(store, draft) -> None:
    store.replace(replace(draft("a", "one"), tokens=kept("one")))
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE tokens SET ids = x'010203'")
    assert ["not whole numbers" in fault for fault in store.check()] == [True]
