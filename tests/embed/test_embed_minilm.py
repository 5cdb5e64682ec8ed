"""The default embedder, on its real weights."""

import numpy as np
import pytest

from steelyard.embed import EmbedOptions
from steelyard.embed.bert import BertEmbedder

FACTS = [
    "To choose a new password, follow the link under the sign-in form.",
    "Bananas turn yellow as they ripen.",
    "Employees get twenty-five days of paid holiday a year.",
    "The deployment failed because the disk was full.",
    "Paris is the capital of France.",
]
QUESTIONS = [
    "I forgot my login credentials, what now?",
    "What colour is ripe fruit of the banana plant?",
    "How much annual leave do I have?",
    "Why did the release not go out?",
    "Which city is the seat of the French government?",
]


def test_default_is_int8_of_its_published_size(minilm: BertEmbedder) -> None:
    assert (minilm.dim, minilm.max_tokens) == (384, 254)
    assert minilm.encoder.precision == "int8"
    assert minilm.encoder.fallback == ""
    assert minilm.encoder.cosine >= 0.99


def test_each_question_finds_its_fact(minilm: BertEmbedder) -> None:
    facts = minilm.embed_passages(FACTS)
    questions = np.stack([minilm.embed_query(question) for question in QUESTIONS])
    assert (questions @ facts.T).argmax(axis=1).tolist() == [0, 1, 2, 3, 4]


def test_int8_is_close_to_fp32_on_new_texts(minilm: BertEmbedder) -> None:
    exact = BertEmbedder(EmbedOptions(precision="fp32"))
    texts = FACTS + QUESTIONS + ["\n".join(FACTS) * 4]
    cosines = (minilm.embed_passages(texts) * exact.embed_passages(texts)).sum(axis=1)
    assert cosines.mean() >= 0.99
    assert cosines.min() >= 0.98
    assert exact.fingerprint != minilm.fingerprint


# What sentence-transformers 6.2 on torch 2.13 gives for the same weights and sentences.
REFERENCE = [0.942915, 0.621050, 0.210615]


@pytest.mark.usefixtures("minilm")
def test_fp32_gives_the_similarities_that_torch_gives() -> None:
    exact = BertEmbedder(EmbedOptions(precision="fp32"))
    rows = exact.embed_passages(
        ["That is a happy person", "That is a happy dog", "Today is a sunny day"]
    )
    query = exact.embed_query("That is a very happy person")
    assert (rows @ query).tolist() == pytest.approx(REFERENCE, abs=1e-5)


def test_long_text_is_cut_where_the_model_was_told(minilm: BertEmbedder) -> None:
    within = "word " * 254
    np.testing.assert_array_equal(minilm.embed_query(within), minilm.embed_query(within * 100))


def test_offsets_follow_the_words_of_real_text(minilm: BertEmbedder) -> None:
    text = "Café 東京 unbelievably"
    words = [text[start:end] for start, end in minilm.tokenizer.offsets(text)]
    assert words[:3] == ["Café", "東", "京"]
    assert "".join(words[3:]) == "unbelievably"
