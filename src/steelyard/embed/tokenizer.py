"""The embedder's own tokenizer, as the chunker and the batches need it."""

from collections.abc import Sequence

from tokenizers import Encoding, Tokenizer

# A long text is first cut to this many characters for each token that the model can take; only
# if that gives too few tokens (long runs of white space, say) is all of it tokenised.
_CHARS_PER_TOKEN = 16


class BertTokenizer:
    """Counts and cuts as the model does, without special tokens; takes any string.

    Lone surrogates, which have no UTF-8 form, count as question marks.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

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
        room = limit - self.num_special
        encoding = self._encode(text[: limit * _CHARS_PER_TOKEN], special=False)
        if len(encoding) < room and len(text) > limit * _CHARS_PER_TOKEN:
            encoding = self._encode(text)
        encoding.truncate(room)
        ids: list[int] = self._tokenizer.post_process(encoding, None, True).ids
        return ids or [0]  # a tokenizer without special tokens, an empty text

    def _encode(self, text: str, *, special: bool = False) -> Encoding:
        try:
            return self._tokenizer.encode(text, add_special_tokens=special)
        except (UnicodeEncodeError, TypeError):
            clean = text.encode("utf-8", "replace").decode("utf-8")
            return self._tokenizer.encode(clean, add_special_tokens=special)
