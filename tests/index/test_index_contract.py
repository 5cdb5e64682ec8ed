"""What every `Index` promises, run on the shadows and on the fake."""

import numpy as np
import pytest
from fake_index import DIM, FakeIndex, unit

from steelyard.core.ranking import Allowed, Vector
from steelyard.index import IndexOptions, planner
from steelyard.index.options import VECTORS

ANY = Allowed()


@pytest.fixture(params=["fake", "scanned", *(f"walked {vectors}" for vectors in VECTORS)])
def index(request, feed, open_shadows, monkeypatch):
    """An index over forty chunks, most of them merged into the graph.

    `walked` lets scans look so dear that every question walks the graph if it can, in each form
    of its vectors.
    """
    topics = ["apple orchard harvest", "river bridge stone", "copper wire current", "sail wind sea"]
    for number in range(40):
        feed.add(f"{topics[number % 4]} number{number}", access_class=number % 4)
    if request.param == "fake":
        return FakeIndex(feed)
    kind, _, vectors = request.param.partition(" ")
    options = IndexOptions(vectors=vectors or "i8", tail_rows=32, expansion_search=24)
    shadows = open_shadows(feed, options=options)
    assert shadows.settle(timeout_s=20)
    assert shadows.view().dense_view.graph.covers == 32
    if kind == "walked":
        monkeypatch.setattr(planner, "SCAN_US_PER_ROW", 1e9)
    return shadows


def query(seed: int) -> Vector:
    return unit(seed).astype(np.float32)


def test_nearest_chunk_of_a_stored_vector_is_itself(index):
    for chunk_id in (1, 20, 40):
        ranking = index.view().dense(query(chunk_id), k=3, allowed=ANY)
        assert ranking.hits[0].chunk_id == chunk_id
        assert ranking.hits[0].score == pytest.approx(1.0, abs=2e-3)
        assert len(ranking.hits) == 3


def test_scores_fall_along_a_ranking(index):
    for ranking in (
        index.view().dense(query(999), k=40, allowed=ANY),
        index.view().lexical("copper sea number7", k=40, allowed=ANY),
    ):
        scores = [hit.score for hit in ranking.hits]
        assert scores == sorted(scores, reverse=True)


def test_fewer_than_k_only_if_fewer_are_allowed(index):
    assert len(index.view().dense(query(999), k=100, allowed=ANY).hits) == 40
    two = Allowed(chunk_ids=np.array([3, 30], dtype=np.int64))
    assert sorted(index.view().dense(query(999), k=10, allowed=two).chunk_ids) == [3, 30]


def test_rarer_word_ranks_its_chunk_first(index):
    ranking = index.view().lexical("apple number8", k=5, allowed=ANY)
    assert ranking.chunk_ids[0] == 9


def test_words_that_occur_nowhere_find_nothing(index):
    assert index.view().lexical("zeppelin", k=5, allowed=ANY).hits == ()
    assert index.view().lexical("", k=5, allowed=ANY).hits == ()


def test_both_conditions_of_allowed_must_hold(index):
    allowed = Allowed(classes=frozenset({1}), chunk_ids=np.arange(1, 11, dtype=np.int64))
    assert sorted(index.view().dense(query(5), k=9, allowed=allowed).chunk_ids) == [2, 6, 10]
    ranking = index.view().lexical("river bridge apple", k=9, allowed=allowed)
    assert sorted(ranking.chunk_ids) == [2, 6, 10]


@pytest.mark.parametrize(
    "allowed",
    [
        Allowed(classes=frozenset()),
        Allowed(classes=frozenset({77})),
        Allowed(chunk_ids=np.array([], dtype=np.int64)),
        Allowed(chunk_ids=np.array([4711], dtype=np.int64)),
    ],
)
def test_nothing_allowed_finds_nothing(index, allowed):
    assert index.view().dense(query(5), k=9, allowed=allowed).hits == ()
    assert index.view().lexical("river", k=9, allowed=allowed).hits == ()


def test_equal_scores_are_ordered_by_chunk_id(index, feed):
    twin = unit(5000)
    twins = [feed.add("identical twins", vector=twin) for _ in range(30)]
    index.refresh()
    for k in (1, 5, 30):
        dense = index.view().dense(twin.astype(np.float32), k=k, allowed=ANY)
        assert dense.chunk_ids == twins[:k]
        assert index.view().lexical("twins", k=k, allowed=ANY).chunk_ids == twins[:k]


def test_a_view_stays_as_it_was_while_the_index_moves_on(index, feed):
    before = index.view()
    seq = before.seq
    feed.remove(1)
    new = feed.add("zeppelin", vector=unit(1))
    assert index.refresh() == feed.seq
    assert before.seq == seq
    assert before.dense(query(1), k=1, allowed=ANY).chunk_ids == [1]
    assert before.lexical("zeppelin", k=1, allowed=ANY).hits == ()
    after = index.view()
    assert after.seq == feed.seq
    assert after.dense(query(1), k=1, allowed=ANY).chunk_ids == [new]
    assert after.lexical("zeppelin", k=1, allowed=ANY).chunk_ids == [new]
    assert 1 not in after.lexical("apple number0", k=40, allowed=ANY).chunk_ids


def test_a_changed_class_counts_from_the_next_view(index, feed):
    feed.reclassify(1, 9)
    index.refresh()
    nine, zero = Allowed(classes=frozenset({9})), Allowed(classes=frozenset({0}))
    assert index.view().dense(query(1), k=5, allowed=nine).chunk_ids == [1]
    assert index.view().lexical("apple", k=50, allowed=nine).chunk_ids == [1]
    assert 1 not in index.view().dense(query(1), k=40, allowed=zero).chunk_ids
    assert 1 not in index.view().lexical("apple", k=40, allowed=zero).chunk_ids


def test_a_zero_vector_ranks_everything_by_chunk_id(index):
    ranking = index.view().dense(np.zeros(DIM, dtype=np.float32), k=4, allowed=ANY)
    assert ranking.chunk_ids == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["fake", "shadows"])
def test_an_index_of_an_empty_truth_finds_nothing_and_takes_its_first_chunk(
    kind, feed, open_shadows
):
    index = FakeIndex(feed) if kind == "fake" else open_shadows(feed)
    assert index.view().dense(query(1), k=3, allowed=ANY).hits == ()
    assert index.view().lexical("word", k=3, allowed=ANY).hits == ()
    chunk_id = feed.add("word")
    index.refresh()
    assert index.view().lexical("word", k=3, allowed=ANY).chunk_ids == [chunk_id]
    assert index.view().dense(query(1), k=3, allowed=ANY).chunk_ids == [chunk_id]
