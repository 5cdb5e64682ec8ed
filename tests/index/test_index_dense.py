"""Recall of walks, scans and what lies between, against brute force."""

from dataclasses import replace

import numpy as np
import pytest
from fake_index import FakeFeed

from steelyard.core.errors import InputError
from steelyard.core.protocols import IndexRows
from steelyard.core.ranking import Allowed
from steelyard.index import IndexOptions, planner
from steelyard.index.dense import Dense, DenseView, merge
from steelyard.index.graph import Graph
from steelyard.index.options import VECTORS
from steelyard.index.rows import RowStore
from steelyard.index.twins import Twins

DIM, ROWS, K = 64, 5000, 10
OPTIONS = IndexOptions(tail_rows=512)


def never() -> bool:
    return False


def clustered(num_rows: int, *, dim: int = DIM) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors in fifty clusters, and each one's cluster."""
    rng = np.random.default_rng(5)
    cluster = rng.integers(0, 50, num_rows)
    vectors = rng.standard_normal((50, dim))[cluster] + 0.9 * rng.standard_normal((num_rows, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), cluster


def rows_of(vectors: np.ndarray, classes: np.ndarray, *, first: int = 1) -> IndexRows:
    return IndexRows(
        chunk_ids=np.arange(first, first + len(vectors), dtype=np.int64),
        classes=classes.astype(np.int32),
        texts=[""] * len(vectors),
        vectors=vectors.astype(np.float16),
    )


@pytest.fixture(scope="module", params=VECTORS)
def corpus(request) -> tuple[DenseView, np.ndarray, np.ndarray]:
    """5,000 rows, the last 500 in the tail; the class of a row is its cluster."""
    # 64 bits are too few to tell 5,000 rows apart; of 384 there are enough.
    dim = 384 if request.param == "binary" else DIM
    vectors, cluster = clustered(ROWS, dim=dim)
    options = replace(OPTIONS, vectors=request.param)
    dense = Dense(dim=dim, options=options)
    dense.add(rows_of(vectors, cluster))
    dense.publish()
    while dense.view.num_tail > OPTIONS.tail_rows:
        merged = merge(dense.view, options=options, stopped=never)
        assert merged is not None
        dense.adopt(merged)
    return dense.view, vectors, cluster


def recall(view: DenseView, vectors: np.ndarray, mask: np.ndarray, allowed: Allowed) -> float:
    """Return the share of hits that are as good as the k-th best, which lets equals stand in."""
    rng = np.random.default_rng(6)
    k = min(K, int(mask.sum()))
    found = 0
    for place in rng.choice(len(vectors), 100, replace=False):
        query = vectors[place] + 0.05 * rng.standard_normal(vectors.shape[1]).astype(np.float32)
        query = (query / np.linalg.norm(query)).astype(np.float32)
        scores = vectors @ query
        kth_best = np.sort(scores[mask])[-k]
        ranking = view.search(query, k=K, allowed=allowed)
        places = np.array(ranking.chunk_ids) - 1
        assert len(set(places.tolist())) == k
        assert mask[places].all()
        found += np.count_nonzero(scores[places] >= kth_best - 2e-4)  # what f16 may round away
    return found / (100 * k)


@pytest.fixture(params=["as planned", "scans look dear"])
def _plan(request, monkeypatch):
    if request.param == "scans look dear":
        monkeypatch.setattr(planner, "SCAN_US_PER_ROW", 1e9)


@pytest.mark.usefixtures("_plan")
@pytest.mark.parametrize("filtered", ["no", "random", "random by id", "correlated", "half"])
def test_recall_stays_above_98_percent_under_every_filter(corpus, filtered):
    view, vectors, cluster = corpus
    rng = np.random.default_rng(8)
    ids = np.arange(1, ROWS + 1, dtype=np.int64)
    mask, allowed = np.ones(ROWS, dtype=np.bool_), Allowed()
    if filtered.startswith("random"):
        mask = rng.random(ROWS) < 0.01
        allowed = Allowed(chunk_ids=ids[mask])
    elif filtered == "correlated":
        mask, allowed = cluster == 7, Allowed(classes=frozenset({7}))
    elif filtered == "half":
        mask, allowed = cluster < 25, Allowed(classes=frozenset(range(25)))
    # Half of the questions find their own cluster shut; all others are equally far from them,
    # and signs alone do not tell these apart well.
    floor = 0.93 if (view.graph.vectors, filtered) == ("binary", "half") else 0.98
    assert recall(view, vectors, mask, allowed) >= floor


def test_walks_widen_as_the_graph_grows_and_never_fall_below_the_option():
    widths = [planner.narrowest(rows, least=64) for rows in (0, 1_000, 8_000, 1_000_000)]
    assert widths == [64, 64, 64, 300]
    assert planner.narrowest(1_000_000, least=512) == 512


def test_every_row_of_the_graph_is_found_or_scanned(corpus):
    view, vectors, _ = corpus
    lost = [
        slot
        for slot in range(0, view.graph.covers, 9)
        if slot not in view.graph.loose
        and slot not in view.graph.candidates(vectors[slot], count=64)
    ]
    assert len(lost) <= 1


def test_a_row_that_the_graph_cannot_reach_is_scanned(monkeypatch):
    monkeypatch.setattr(planner, "SCAN_US_PER_ROW", 1e9)
    vectors, cluster = clustered(600)
    dense = Dense(dim=DIM, options=OPTIONS)
    dense.add(rows_of(vectors, cluster))
    view = dense.publish()
    reachable = np.arange(1, 512)
    graph = Graph.empty(dim=DIM, options=OPTIONS).extended(
        reachable, view.rows.vectors, covers=512, stopped=never
    )
    lonely = Graph(
        graph._index,
        covers=512,
        loose=np.array([0, 5], dtype=np.int64),
        twins=Twins.none(),
        options=OPTIONS,
    )
    dense._graph = lonely
    assert dense.publish().search(vectors[0], k=1, allowed=Allowed()).chunk_ids == [1]
    near = dense.view.search(vectors[5], k=9, allowed=Allowed()).chunk_ids
    assert near[0] == 6
    assert len(set(near)) == 9


def test_a_crowd_of_equal_vectors_hides_nothing(monkeypatch):
    monkeypatch.setattr(planner, "SCAN_US_PER_ROW", 1e9)
    vectors, cluster = clustered(1000)
    crowd = np.flatnonzero(cluster == cluster[0])[0]
    vectors = np.concatenate([vectors[:500], np.repeat(vectors[crowd][None], 700, axis=0), vectors])
    classes = np.arange(len(vectors)) % 3
    dense = Dense(dim=DIM, options=OPTIONS)
    dense.add(rows_of(vectors, classes))
    dense.publish()
    while dense.view.num_tail > OPTIONS.tail_rows:
        dense.adopt(merge(dense.view, options=OPTIONS, stopped=never))
    assert len(dense.view.graph.twins.leaders) <= 1000
    assert recall(dense.view, vectors, classes == 1, Allowed(classes=frozenset({1}))) >= 0.98
    twins = np.flatnonzero((vectors @ vectors[crowd]) > 0.9999) + 1
    ranking = dense.view.search(vectors[crowd], k=50, allowed=Allowed())
    assert ranking.chunk_ids == twins[:50].tolist()


def test_removed_rows_are_packed_away_once_they_are_many(corpus):
    vectors, cluster = clustered(1000)
    dense = Dense(dim=DIM, options=OPTIONS)
    dense.add(rows_of(vectors, cluster))
    dense.publish()
    dense.adopt(merge(dense.view, options=OPTIONS, stopped=never))
    dense.remove(np.arange(1, 401, dtype=np.int64))
    assert dense.publish().worn
    merged = merge(dense.view, options=OPTIONS, stopped=never)
    # What happens during the merge must survive it.
    dense.remove(np.array([500], dtype=np.int64))
    dense.add(rows_of(vectors[:3], cluster[:3], first=2000))
    dense.publish()
    view = dense.adopt(merged)
    assert not view.worn
    assert len(view.rows) == 603
    assert view.num_live == 602
    assert view.chunk_ids().tolist() == [*range(401, 500), *range(501, 1001), 2000, 2001, 2002]
    for chunk_id in (401, 777, 1000):
        near = view.search(vectors[chunk_id - 1], k=2, allowed=Allowed())
        assert near.chunk_ids[0] == chunk_id
    assert view.search(vectors[1], k=1, allowed=Allowed()).chunk_ids == [2001]


@pytest.mark.parametrize("num_rows", [1, 2, 255, 256, 257])
def test_batches_of_every_size_are_merged_and_found(num_rows, monkeypatch):
    monkeypatch.setattr(planner, "SCAN_US_PER_ROW", 1e9)
    vectors, cluster = clustered(num_rows)
    dense = Dense(dim=DIM, options=OPTIONS)
    dense.add(rows_of(vectors, cluster))
    merged = merge(dense.publish(), options=OPTIONS, stopped=never)
    view = dense.adopt(merged)
    assert (view.num_tail, len(view.graph), len(view.graph.loose)) == (0, num_rows, 0)
    for place in {0, num_rows - 1}:
        assert view.search(vectors[place], k=1, allowed=Allowed()).chunk_ids == [place + 1]


def test_a_stopped_merge_changes_nothing():
    vectors, cluster = clustered(600)
    dense = Dense(dim=DIM, options=OPTIONS)
    dense.add(rows_of(vectors, cluster))
    before = dense.publish()
    assert merge(before, options=OPTIONS, stopped=lambda: True) is None
    assert len(before.graph) == 0


def test_reverting_forgets_what_was_not_published():
    vectors, cluster = clustered(20)
    dense = Dense(dim=DIM, options=OPTIONS)
    dense.add(rows_of(vectors[:10], cluster[:10]))
    before = dense.publish()
    dense.remove(np.array([3], dtype=np.int64))
    dense.add(rows_of(vectors[10:], cluster[10:], first=11))
    dense.revert()
    assert dense.publish().chunk_ids().tolist() == before.chunk_ids().tolist()


def test_views_of_a_growing_store_never_change():
    store = RowStore(dim=DIM)
    vectors, cluster = clustered(3000)
    views = []
    for start in range(0, 3000, 300):
        rows = rows_of(vectors[start : start + 300], cluster[start : start + 300], first=start + 1)
        store.append(rows.chunk_ids, rows.classes, rows.vectors)
        views.append(store.view())
    for number, view in enumerate(views, start=1):
        assert view.chunk_ids.tolist() == list(range(1, 300 * number + 1))
        assert np.array_equal(view.vectors, vectors[: 300 * number].astype(np.float16))


def test_chunk_ids_out_of_order_are_found_all_the_same():
    vectors, cluster = clustered(4)
    rows = rows_of(vectors, cluster)
    store = RowStore(dim=DIM)
    store.append(np.array([9, 2, 7, 2]), rows.classes, rows.vectors)
    assert not store.view().ascending
    assert store.view().holding(np.array([2, 8, 9])).tolist() == [True, True, False, True]


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize("asked", [1, 10, 400])
def test_chunk_ids_are_found_however_they_are_looked_up(step, asked):
    vectors, cluster = clustered(300)
    store = RowStore(dim=DIM)
    ids = 7 + step * np.arange(300, dtype=np.int64)
    store.append(ids, cluster.astype(np.int32), vectors.astype(np.float16))
    rng = np.random.default_rng(asked)
    wanted = np.unique(rng.integers(0, 8 + 300 * step, asked))
    for some in (wanted, wanted[:0], ids, ids[-1:], ids[-1:] + 1):
        assert store.view().holding(some).tolist() == np.isin(ids, some).tolist()


def test_wrong_shapes_and_counts_are_named(feed: FakeFeed, open_shadows):
    feed.add("word")
    view = open_shadows(feed).view()
    with pytest.raises(InputError, match="16 dimensions"):
        view.dense(np.zeros(8, dtype=np.float32), k=1, allowed=Allowed())
    for search in (view.dense, view.lexical):
        with pytest.raises(InputError, match="got 0"):
            search("x" if search == view.lexical else np.zeros(16), k=0, allowed=Allowed())


@pytest.mark.parametrize(
    ("num_allowed", "expected"),
    [
        (100, ()),  # 30 µs of scanning: cheaper than any walk
        (2_000, ()),  # 765 candidates would be needed
        (100_000, (64, 256, 1024)),
    ],
)
def test_the_plan_scans_few_rows_and_walks_for_many(num_allowed, expected, monkeypatch):
    monkeypatch.setattr(planner, "SCAN_US_PER_ROW", 0.3)
    monkeypatch.setattr(planner, "WALK_US_PER_CANDIDATE", 9.0)
    plan = planner.walks(k=10, num_allowed=num_allowed, num_total=100_000, least=64)
    assert plan == expected
