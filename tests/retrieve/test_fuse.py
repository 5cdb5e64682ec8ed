import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import InputError
from steelyard.core.ranking import Hit, Ranking
from steelyard.retrieve import fuse_rrf


def ranking(*ids: int) -> Ranking:
    return Ranking(tuple(Hit(chunk_id, 1.0) for chunk_id in ids))


def test_chunk_ranked_by_both_beats_chunk_ranked_by_one():
    fused = fuse_rrf([ranking(1, 2), ranking(2, 3)])
    assert fused.chunk_ids == [2, 1, 3]


def test_ranks_count_from_one_and_earnings_add_up():
    fused = fuse_rrf([ranking(7, 8), ranking(8)], k=60)
    scores = {hit.chunk_id: hit.score for hit in fused.hits}
    assert scores[7] == pytest.approx(1 / 61)
    assert scores[8] == pytest.approx(1 / 62 + 1 / 61)


def test_equal_earnings_are_ordered_by_chunk_id():
    assert fuse_rrf([ranking(9), ranking(4)]).chunk_ids == [4, 9]


def test_a_weight_scales_what_a_ranking_gives():
    fused = fuse_rrf([ranking(1), ranking(2)], weights=[1.0, 2.0])
    assert fused.chunk_ids == [2, 1]


@pytest.mark.parametrize(
    ("rankings", "k", "weights"), [([], 60, None), ([ranking(1)], -1, None), ([ranking(1)], 60, [])]
)
def test_nonsense_is_an_input_error(rankings, k, weights):
    with pytest.raises(InputError):
        fuse_rrf(rankings, k=k, weights=weights)


@given(st.lists(st.lists(st.integers(0, 30), unique=True), min_size=1, max_size=4))
def test_fusing_keeps_every_chunk_once_and_sorts_by_score(lists):
    fused = fuse_rrf([ranking(*ids) for ids in lists])
    assert sorted(fused.chunk_ids) == sorted({i for ids in lists for i in ids})
    scores = [hit.score for hit in fused.hits]
    assert scores == sorted(scores, reverse=True)
