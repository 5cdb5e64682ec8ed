"""A token budget over passages."""

from steelyard.core.chat import Passage
from steelyard.core.passages import count_tokens, fit_passages


class Words:
    """Counts words, as a tokenizer with one token a word would."""

    def count(self, texts):
        return [len(text.split()) for text in texts]

    def offsets(self, text):
        spans, at = [], 0
        for word in text.split():
            at = text.index(word, at)
            spans.append((at, at + len(word)))
            at += len(word)
        return spans


def _passage(text: str, *, n: int = 1) -> Passage:
    return Passage(n, n, "d", "u", "T", text, 5, 5 + len(text), 1.0)


def test_passages_fit_the_budget_in_their_order():
    found = [_passage("a" * 400, n=1), _passage("b" * 4000, n=2), _passage("c" * 400, n=3)]
    kept = fit_passages(found, max_tokens=300)
    assert [passage.n for passage in kept] == [1, 3]
    assert fit_passages(found, max_tokens=10_000) == tuple(found)
    assert fit_passages([], max_tokens=100) == ()


def test_what_stands_around_a_passage_costs_too():
    found = [_passage("a" * 400, n=1), _passage("b" * 400, n=2)]
    assert len(fit_passages(found, max_tokens=247, extra_tokens=24)) == 1
    assert len(fit_passages(found, max_tokens=248, extra_tokens=24)) == 2


def test_a_first_passage_that_is_too_long_is_cut_and_stays_exact():
    (kept,) = fit_passages([_passage("word " * 1000)], max_tokens=124, extra_tokens=24)
    assert kept.text == ("word " * 1000)[: len(kept.text)]
    assert len(kept.text) == 400
    assert (kept.start, kept.end) == (5, 405)
    assert fit_passages([_passage("word " * 1000)], max_tokens=24, extra_tokens=24) == ()


def test_a_tokenizer_counts_and_cuts_where_there_is_one():
    found = [_passage("one two three", n=1), _passage("four " * 200, n=2)]
    assert count_tokens(found, Words()) == [3, 200]
    assert [p.n for p in fit_passages(found, max_tokens=60, tokenizer=Words())] == [1]
    (kept,) = fit_passages(found[:1], max_tokens=2, tokenizer=Words())
    assert (kept.text, kept.start, kept.end) == ("one two", 5, 12)
