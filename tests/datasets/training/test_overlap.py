"""The quick look-up of texts that overlap never misses one that comparing each with each finds."""

import random

from hypothesis import given
from hypothesis import strategies as st

from steelyard.datasets.training.overlap import RUN_CHARS, Overlaps
from steelyard.datasets.training.signatures import jaccard, shingles

WORDS = st.lists(
    st.sampled_from(["how", "many", "days", "of", "leave", "are", "given", "7", "é", "🙂"])
)
TEXT = st.one_of(WORDS.map(" ".join), st.text("ab é", min_size=1, max_size=12)).filter(bool)
TEXTS = st.lists(TEXT, max_size=8)


def sets(texts):
    return [shingles([text], RUN_CHARS) for text in texts]


@given(held=TEXTS, asked=TEXTS, share=st.sampled_from([0.3, 0.5, 0.8]))
def test_every_pair_that_is_near_is_among_the_candidates(held, asked, share):
    found = [set(one.tolist()) for one in Overlaps(held, share=share).near(asked)]
    assert len(found) == len(asked)
    for text, candidates in zip(sets(asked), found, strict=True):
        near = {n for n, other in enumerate(sets(held)) if jaccard(text, other) >= share}
        assert near <= candidates


def test_most_of_what_is_not_near_is_no_candidate():
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnop", k=5)) for _ in range(300)]
    held = [" ".join(chance.choices(words, k=8)) for _ in range(400)]
    asked = [" ".join(chance.choices(words, k=8)) for _ in range(40)]
    found = list(Overlaps(held, share=0.5).near(asked))
    assert sum(map(len, found)) < 0.01 * len(held) * len(asked)
    assert [one.tolist() for one in Overlaps(held, share=0.5).near(held[:3])] == [[0], [1], [2]]
