import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import InputError
from steelyard.core.ranking import Hit, Ranking
from steelyard.retrieve import fuse_convex, fuse_rrf


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


def scored(**scores: float) -> Ranking:
    return Ranking(tuple(Hit(int(name[1:]), score) for name, score in scores.items()))


def test_scores_are_stretched_leg_by_leg_and_added():
    dense, lexical = scored(c1=0.9, c2=0.8, c3=0.5), scored(c2=12.0, c4=7.0, c1=2.0)
    fused = fuse_convex([dense, lexical], weights=[0.5, 0.5])
    assert [(hit.chunk_id, round(hit.score, 6)) for hit in fused.hits] == [
        (2, 0.5 * 0.75 + 0.5),
        (1, 0.5),
        (4, 0.25),
        (3, 0.0),
    ]


def test_equal_scores_earn_the_whole_weight_and_an_empty_leg_nothing():
    fused = fuse_convex([scored(c5=1.0, c3=1.0), Ranking(())], weights=[0.4, 0.6])
    assert [(hit.chunk_id, hit.score) for hit in fused.hits] == [(3, 0.4), (5, 0.4)]


def test_fusion_by_scores_names_what_is_wrong():
    with pytest.raises(InputError, match="at least one"):
        fuse_convex([], weights=[])
    with pytest.raises(InputError, match="1 weights for 2"):
        fuse_convex([Ranking(()), Ranking(())], weights=[1.0])


@given(
    st.lists(
        st.dictionaries(st.integers(1, 30), st.floats(-1, 40, width=32), min_size=1),
        min_size=1,
        max_size=3,
    ),
    st.floats(0.1, 10),
    st.floats(-5, 5),
)
def test_fusion_by_scores_does_not_know_a_legs_unit(legs, factor, shift):
    def rankings(change):
        return [
            Ranking(
                tuple(sorted((Hit(i, change(s)) for i, s in leg.items()), key=lambda h: -h.score))
            )
            for leg in legs
        ]

    weights = [1 / len(legs)] * len(legs)
    plain = fuse_convex(rankings(float), weights=weights)
    other = fuse_convex(rankings(lambda s: s * factor + shift), weights=weights)
    assert set(plain.chunk_ids) == set(other.chunk_ids) == {i for leg in legs for i in leg}
    assert all(0 <= hit.score <= 1 + 1e-9 for hit in plain.hits)
    one, two = ({h.chunk_id: h.score for h in found.hits} for found in (plain, other))
    wide = [max(leg.values()) - min(leg.values()) for leg in legs]
    if all(width == 0 or width > 1e-3 for width in wide):
        assert all(abs(one[i] - two[i]) < 1e-3 for i in one)
