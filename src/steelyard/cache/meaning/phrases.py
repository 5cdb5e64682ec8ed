"""What is said in several words, and the words that say nothing: rewritten before comparing."""

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

from steelyard.cache.meaning.tokens import Token


@cache
def _rules() -> list[tuple[re.Pattern[str], str]]:
    text = (resources.files(__package__) / "phrases.txt").read_text(encoding="utf-8")
    lines = [line.split(" <- ") for line in text.splitlines() if not line.startswith("#")]
    return [(re.compile(rf"(?<!\S)(?:{pattern})(?!\S)"), written) for written, pattern in lines]


_NAMES = frozenset(("usa", "uk", "new york"))


def _made(text: str, old: Sequence[Token]) -> list[Token]:
    """Return new tokens; a word that was there before stays what it was."""
    before = {token.text: token for token in old}
    return [
        before.get(word, Token(word, "number" if word.isdigit() else "word", text in _NAMES))
        for word in text.split()
    ]


def rewritten(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens with phrases of one meaning written in one way."""
    joined = " ".join(token.text for token in tokens)
    for pattern, replacement in _rules():
        if pattern.search(joined) is None:
            continue
        for match in reversed(list(pattern.finditer(joined))):
            first = joined[: match.start()].count(" ")
            last = first + match.group().count(" ") + 1
            old = list(tokens[first:last])
            kept = match.re.groups or replacement in _NAMES
            if any(token.named for token in old) and not kept:
                continue
            tokens = [*tokens[:first], *_made(match.expand(replacement), old), *tokens[last:]]
        joined = " ".join(token.text for token in tokens)
    return list(tokens)
