"""A model's own tokenizer, as the chunker, the embedder and the reranker need it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from steelyard.core.errors import SetupError

# A long text is first cut to this many characters for each token that the model can take; only
# if that gives too few tokens (long runs of white space, say) is all of it tokenised.
_CHARS_PER_TOKEN = 16
# Parts of tokenizer.json that do not change the ids of a text without special tokens.
_OUTSIDE = ("padding", "truncation", "post_processor", "decoder")


@dataclass(frozen=True, slots=True)
class TextTokens:
    """A text's tokens: `whole` is what the model sees, with special tokens and prefix, never
    empty; `own` (T,) has neither."""

    whole: list[int]
    own: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class PlacedTokens:
    """A text's tokens, no special ones: `ids` (T,), and the characters `[starts, ends)` of each."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]


class BertTokenizer:
    """Counts and cuts as the model does, without special tokens; takes any string.

    Lone surrogates, which have no UTF-8 form, count as question marks.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @cached_property
    def identity(self) -> str:
        """Return a hash of what decides the ids of a text, special tokens apart."""
        parts = json.loads(self._tokenizer.to_str())
        kept = {key: part for key, part in parts.items() if key not in _OUTSIDE}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def vocabulary(self) -> int:
        """Return how many ids there are, added tokens included."""
        return int(self._tokenizer.get_vocab_size())

    @property
    def num_special(self) -> int:
        """Return how many special tokens the model adds to a text."""
        return int(self._tokenizer.num_special_tokens_to_add(False))

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(self._encode(text)) for text in texts]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return the character span of each token of `text`, in order."""
        spans: list[tuple[int, int]] = self._encode(text).offsets
        return spans

    def ids(self, text: str, *, limit: int) -> list[int]:
        """Return the ids of at most `limit` first tokens, special tokens included.

        The special tokens that close a text are kept. Never empty.
        """
        return self.tokens(text, limit=limit).whole

    def own_ids(self, text: str, *, limit: int) -> NDArray[np.int32]:
        """Return the ids (T,) of at most `limit` first tokens, without special tokens."""
        return np.array(self._cut(text, limit).ids, np.int32)

    def placed(self, text: str, *, limit: int) -> PlacedTokens:
        """Return the ids of at most `limit` first tokens, and where they stand."""
        encoding = self._cut(text, limit)
        places = np.array(encoding.offsets, np.int32).reshape(-1, 2)
        return PlacedTokens(np.array(encoding.ids, np.int32), places[:, 0], places[:, 1])

    def tokens(self, text: str, *, limit: int, prefix_chars: int = 0) -> TextTokens:
        """Tokenise once for the model and for keeping; the text's first `prefix_chars`
        characters are a prefix. `limit` counts as in `ids`."""
        encoding = self._cut(text, limit - self.num_special)
        own = encoding.ids
        if prefix_chars:
            spans = encoding.offsets
            own = [own[at] for at, (start, _) in enumerate(spans) if start >= prefix_chars]
        whole: list[int] = self._tokenizer.post_process(encoding, None, True).ids
        # A tokenizer without special tokens gives none for an empty text.
        return TextTokens(whole or [0], np.array(own, np.int32))

    def pair(self, first: str, second: str) -> Encoding:
        """Encode two texts as one input, with special tokens."""
        return self._tokenizer.encode(first, second)

    def _cut(self, text: str, room: int) -> Encoding:
        chars = (room + self.num_special) * _CHARS_PER_TOKEN
        encoding = self._encode(text[:chars])
        if len(encoding) < room and len(text) > chars:
            encoding = self._encode(text)
        encoding.truncate(room)
        return encoding

    def _encode(self, text: str) -> Encoding:
        try:
            return self._tokenizer.encode(text, add_special_tokens=False)
        except (UnicodeEncodeError, TypeError):
            clean = text.encode("utf-8", "replace").decode("utf-8")
            return self._tokenizer.encode(clean, add_special_tokens=False)


def open_tokenizer(path: Path) -> Tokenizer:
    """Load `tokenizer.json` with neither padding nor truncation (shipped ones often have both).

    Raises:
        SetupError: the file is missing or damaged.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    except Exception as error:  # the library raises bare Exception
        raise SetupError(
            f"{str(path / 'tokenizer.json')!r} cannot be read ({error}); download the model again"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
