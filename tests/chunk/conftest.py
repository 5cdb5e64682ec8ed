"""Tokenizers that a reader can follow."""

import re
from collections.abc import Sequence

import pytest


class Words:
    """A token is a word or a mark; a word beyond ten letters counts a token for each ten."""

    def __init__(self) -> None:
        self.num_chars = 0  # given to it so far

    def offsets(self, text: str) -> list[tuple[int, int]]:
        self.num_chars += len(text)
        return [
            (start, min(start + 10, match.end()))
            for match in re.finditer(r"\w+|[^\w\s]", text)
            for start in range(match.start(), match.end(), 10)
        ]

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(self.offsets(text)) for text in texts]


class Characters:
    """Every character is a token, white space too."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return [(at, at + 1) for at in range(len(text))]

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]


class Blobs:
    """As WordPiece does it: a run of more than 100 characters is one unknown token."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        for match in re.finditer(r"\S+", text):
            step = 2 if len(match.group()) <= 100 else len(match.group())
            for start in range(match.start(), match.end(), step):
                spans.append((start, min(start + step, match.end())))
        return spans

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(self.offsets(text)) for text in texts]


class Bytes:
    """Every UTF-8 byte is a token, so several tokens begin at one character."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return [
            (at, at + 1)
            for at, char in enumerate(text)
            for _ in char.encode("utf-8", "surrogatepass")
        ]

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(self.offsets(text)) for text in texts]


@pytest.fixture
def words() -> Words:
    return Words()


@pytest.fixture(params=[Words, Characters, Blobs, Bytes])
def any_tokenizer(request: pytest.FixtureRequest) -> Words | Characters | Blobs | Bytes:
    made: Words | Characters | Blobs | Bytes = request.param()
    return made
