"""Passages under a token budget: the one place where too many, or too long ones, are cut."""

from collections.abc import Sequence
from dataclasses import replace

from steelyard.core.chat import Passage
from steelyard.core.protocols import Tokenizer

CHARACTERS_PER_TOKEN = 4
"""The usual rough count for English in a byte-pair vocabulary; other scripts need more."""


def fit_passages(
    passages: Sequence[Passage],
    *,
    max_tokens: int,
    tokenizer: Tokenizer | None = None,
    num_tokens: Sequence[int] | None = None,
    extra_tokens: int = 0,
) -> tuple[Passage, ...]:
    """Return those passages that fit a token budget, in their order and with their numbers.

    One that is too long for what is left is passed over for a shorter one behind it. The first
    is cut rather than lost. Each costs `extra_tokens` beside its text. `num_tokens` are the
    passages' counts where they are known; without them and a tokenizer, tokens are counted as
    characters / 4.
    """
    counts = count_tokens(passages, tokenizer) if num_tokens is None else num_tokens
    kept: list[Passage] = []
    left = max_tokens
    for passage, count in zip(passages, counts, strict=True):
        if count + extra_tokens <= left:
            kept.append(passage)
            left -= count + extra_tokens
        elif not kept and left > extra_tokens:
            kept.append(_cut(passage, left - extra_tokens, count, tokenizer))
            left = 0
    return tuple(kept)


def count_tokens(passages: Sequence[Passage], tokenizer: Tokenizer | None = None) -> list[int]:
    """Return the tokens of each passage's text: as known, else counted, else estimated."""
    known = [passage.num_tokens for passage in passages if passage.num_tokens is not None]
    if len(known) == len(passages):
        return known
    texts = [passage.text for passage in passages]
    if tokenizer is not None:
        return tokenizer.count(texts)
    return [-(-len(text) // CHARACTERS_PER_TOKEN) for text in texts]


def _cut(
    passage: Passage, max_tokens: int, num_tokens: int, tokenizer: Tokenizer | None
) -> Passage:
    if tokenizer is None:
        end = max(1, len(passage.text) * max_tokens // num_tokens)
    else:
        spans = tokenizer.offsets(passage.text)[:max_tokens]
        end = spans[-1][1] if spans else len(passage.text)
    return replace(passage, text=passage.text[:end], end=passage.start + end, num_tokens=None)
