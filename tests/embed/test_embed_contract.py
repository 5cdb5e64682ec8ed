"""What every embedder promises, checked on each."""

import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.core.protocols import Embedder

any_text = st.text(
    alphabet=st.characters() | st.characters(categories=["Cs"]) | st.sampled_from("ab \n\0"),
    max_size=80,
)
per_example = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

ODD_TEXTS = ["", " ", "\0", "a\0b", "😀" * 9, "\ud800 lone", "\n" * 50, "ﬁ İ ß", "a" * 100_000]
LONG = "word after word. " * 6_000  # 102,000 characters


def test_passages_are_unit_rows_in_order(embedder: Embedder) -> None:
    texts = ["alpha beta", "gamma", "delta. epsilon zeta eta", "gamma"]
    rows = embedder.embed_passages(texts)
    assert rows.shape == (4, embedder.dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(rows[1], rows[3])
    for n, text in enumerate(texts):
        np.testing.assert_array_equal(embedder.embed_passages([text])[0], rows[n])


def test_query_is_a_unit_vector_like_its_passage(embedder: Embedder) -> None:
    vector = embedder.embed_query("alpha beta")
    assert vector.shape == (embedder.dim,)
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector, embedder.embed_passages(["alpha beta"])[0])


def test_no_passages_give_an_empty_matrix(embedder: Embedder) -> None:
    rows = embedder.embed_passages([])
    assert rows.shape == (0, embedder.dim)
    assert rows.dtype == np.float32


@pytest.mark.parametrize("text", [*ODD_TEXTS, LONG], ids=lambda text: ascii(text[:6]))
def test_odd_texts_embed(embedder: Embedder, text: str) -> None:
    for vector in (embedder.embed_query(text), *embedder.embed_passages([text, "plain"])):
        assert np.isfinite(vector).all()
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@per_example
@given(text=any_text)
def test_any_text_embeds_and_again_to_the_same(embedder: Embedder, text: str) -> None:
    vector = embedder.embed_query(text)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(vector, embedder.embed_query(text))


@per_example
@given(texts=st.lists(any_text, max_size=4))
def test_offsets_are_ordered_spans_as_many_as_counted(embedder: Embedder, texts: list[str]) -> None:
    tokenizer = embedder.tokenizer
    spans = [tokenizer.offsets(text) for text in texts]
    assert tokenizer.count(texts) == [len(found) for found in spans]
    for text, found in zip(texts, spans, strict=True):
        assert all(0 <= start <= end <= len(text) for start, end in found)
        assert found == sorted(found)


def test_offsets_cut_out_the_words(embedder: Embedder) -> None:
    text = "é x: 😀 y"
    words = [text[start:end] for start, end in embedder.tokenizer.offsets(text)]
    assert words == ["é", "x", ":", "😀", "y"]


def test_fingerprint_is_stable_and_names_something(embedder: Embedder) -> None:
    assert embedder.fingerprint == embedder.fingerprint
    assert len(embedder.fingerprint) >= 10
    assert embedder.fingerprint.isprintable()


def test_threads_get_their_own_results(embedder: Embedder) -> None:
    texts = [f"{letter} text {letter * 3}" for letter in "abcdefgh"]
    expected = embedder.embed_passages(texts)
    got: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def work(n: int) -> None:
        got[n] = embedder.embed_query(texts[n]), embedder.embed_passages(texts[n:])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, (query, passages) in got.items():
        np.testing.assert_array_equal(query, expected[n])
        np.testing.assert_array_equal(passages, expected[n:])
    assert len(got) == len(texts)
