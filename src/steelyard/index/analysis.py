"""From text to index terms, the same for passages and questions.

Words are split at anything but letters and digits, lower-cased, folded to ASCII and stemmed
as English. Scripts that are written without spaces are cut into overlapping character pairs,
which is what finds Chinese, Japanese and Thai without a dictionary.
"""

import re
import string
import unicodedata
from collections import Counter

import tantivy

ANALYZER = "steelyard_en_1"  # the name stands in the schema: change it when the terms change
_MAX_TERM_BYTES = 80  # longer words are encoded data, not language
# A question longer than this is cut: a page of text holds more terms than a query may have.
_MAX_QUERY_CHARS = 16_384
_MAX_DISTINCT = 512
# What the splitting of "don't" and "we'll" leaves over, list numbers, initials. Without them
# nDCG@10 rose by .000 to .015 on the four question sets where it changed.
_FRAGMENTS = [*string.ascii_lowercase, *string.digits, "ll", "re", "ve"]
# Thai, Lao, Burmese, Khmer, kana, Han, Hangul.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]+"
)
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")


def prepared(text: str, *, query: bool = False) -> str:
    """Return `text` as the analyzer should see it; plain ASCII comes back as it is.

    A passage also gets single Han characters, so that a question of one character finds it.
    """
    if text.isascii():
        return text
    text = text.encode("utf-8", errors="replace").decode("utf-8")  # lone surrogates
    text = unicodedata.normalize("NFKC", text)
    # Accents that nothing composes, viramas and tone marks would split words.
    text = "".join([char for char in text if not unicodedata.combining(char)])
    return _UNSPACED.sub(lambda run: f" {_pairs(run.group(), query=query)} ", text)


def _pairs(run: str, *, query: bool) -> str:
    """Return the overlapping pairs of a run of characters; a lone one stands for itself."""
    pairs = [run[i : i + 2] for i in range(len(run) - 1)] or [run]
    if not query and len(run) > 1:
        pairs += _HAN.findall(run)
    return " ".join(pairs)


def passage_analyzer() -> tantivy.TextAnalyzer:
    """Return what the index runs on prepared passages; stop words stay findable."""
    return _builder().filter(tantivy.Filter.stemmer("english")).build()


def _builder() -> tantivy.TextAnalyzerBuilder:
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(_MAX_TERM_BYTES))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
    )


class QueryAnalyzer:
    """Turns a question into terms and how often each occurs in it."""

    def __init__(self) -> None:
        self._every_word = passage_analyzer()
        self._content_words = (
            _builder()
            .filter(tantivy.Filter.stopword("english"))
            .filter(tantivy.Filter.custom_stopword(_FRAGMENTS))
            .filter(tantivy.Filter.stemmer("english"))
            .build()
        )

    def terms(self, text: str) -> Counter[str]:
        """Return at most `_MAX_DISTINCT` terms in the order of the question.

        Stop words and single characters count only in a question that has nothing else
        ("to be or not to be").
        """
        text = prepared(text[:_MAX_QUERY_CHARS], query=True)
        words = self._content_words.analyze(text) or self._every_word.analyze(text)
        counts = Counter(words)
        if len(counts) > _MAX_DISTINCT:
            return Counter(dict(list(counts.items())[:_MAX_DISTINCT]))
        return counts
