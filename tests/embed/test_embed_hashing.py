"""The embedder without a model."""

import subprocess
import sys

import numpy as np
import pytest

from steelyard.core.errors import InputError
from steelyard.embed import HashingEmbedder


def test_shared_words_bring_texts_closer() -> None:
    embedder = HashingEmbedder(dim=256)
    rows = embedder.embed_passages(
        ["reset the password here", "the cat sat down", "annual report of revenue"]
    )
    assert (rows @ embedder.embed_query("How to reset a PASSWORD")).argmax() == 0


def test_word_order_and_case_do_not_count() -> None:
    embedder = HashingEmbedder()
    np.testing.assert_array_equal(
        embedder.embed_query("Cats chase mice"), embedder.embed_query("mice chase cats")
    )


def test_one_word_has_its_whole_weight_in_one_place() -> None:
    vector = HashingEmbedder(dim=8).embed_query("word word word")
    assert sorted(np.abs(vector).tolist()) == [0, 0, 0, 0, 0, 0, 0, 1]


def test_text_without_words_gets_the_first_unit_vector() -> None:
    assert HashingEmbedder(dim=3).embed_query(" \n").tolist() == [1, 0, 0]


def test_another_process_computes_the_same() -> None:
    script = (
        "from steelyard.embed import HashingEmbedder;"
        "print(HashingEmbedder().embed_query('to be or not to be').tobytes().hex())"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    here = HashingEmbedder().embed_query("to be or not to be").tobytes().hex()
    assert run.stdout.strip() == here


def test_dimension_is_part_of_the_fingerprint() -> None:
    assert HashingEmbedder(dim=8).fingerprint != HashingEmbedder(dim=9).fingerprint


def test_dimension_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="dim 0"):
        HashingEmbedder(dim=0)
