"""A question as tokens: words, names, numbers with their units, symbols."""

import re
from dataclasses import dataclass

from steelyard.cache.meaning import numbers

_TOKEN = re.compile(
    r"(?P<code>https?://[^\s<>\"]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # addresses
    r"|(?<![\w-])--?[A-Za-z][\w-]*"  # flags
    r"|(?:~|\.{1,2})?(?:/[\w.-]+){2,}/?|[A-Za-z]:\\[\w\\.-]+"  # paths
    r"|[A-Za-z]\w*(?:(?:\.|::|->)[A-Za-z_]\w*)+(?:\(\))?"  # a.b.c, File.py
    r"|\w+\(\)|\w*_\w+|\.[A-Za-z]\w+|[A-Za-z]\+\+|[A-Za-z]#)"  # f(), snake_case, .net, C++, C#
    r"|(?P<version>[vV]?\d+(?:\.\d+){2,}|[vV]\d+(?:\.\d+)*)"
    r"|(?P<date>\d{1,4}[-/]\d{1,2}[-/]\d{1,4})"
    r"|(?P<clock>\d{1,2}:\d{2}(?::\d{2})?)"
    r"|(?P<ordinal>\d+(?:st|nd|rd|th)\b)"
    r"|(?P<money>[$€£¥])?(?P<sign>(?<![\w)])-)?(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?P<unit>%|°[CF]?|[A-Za-zµμ]+)?"
    r"|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+|[-‐‑](?=[^\W_])[^\W_]+)*\d*(?:[-.]\d+)*)"
    r"|(?P<measure>°[CF]?|(?<=\d )%|(?<=\d)-(?=[A-Za-z]{2}))"
    r"|(?P<other>\S)"
)
_SEPARATORS = frozenset(",;:.!?()[]{}\"'“”‘’«»…–—`´¿¡|")
_CONTRACTIONS = {
    "can't": "can not",
    "cannot": "can not",
    "cant": "can not",
    "won't": "will not",
    "wont": "will not",
    "shan't": "shall not",
    "ain't": "is not",
    "dont": "do not",
    "doesnt": "does not",
    "didnt": "did not",
    "isnt": "is not",
    "whats": "what is",
    "hows": "how is",
    "let's": "let us",
    "i'm": "i am",
    "im": "i am",
}
_ENDINGS = {"'re": "are", "'ve": "have", "'ll": "will", "'d": "would", "'m": "am"}
_WH = frozenset(re.findall(r"\w+", "what who where when why how that there here it he she"))


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is lower case and canonical; `kind` is word, number, unit, name, symbol or mark.

    `named`: written as names are (a capital inside a sentence, all capitals). `written` keeps
    the case of a word, by which Mb and MB differ.
    """

    text: str
    kind: str
    named: bool = False
    written: str = ""


def tokenise(question: str) -> list[Token]:
    """Return the tokens of a question in order; punctuation comes as marks."""
    plain = question.replace("’", "'").replace("‘", "'").replace("\u00a0", " ")
    letters = [letter for letter in plain if letter.isalpha()]
    shouted = len(letters) > 4 and all(letter.isupper() for letter in letters)
    tokens: list[Token] = []
    for match in _TOKEN.finditer(plain):
        opens = not tokens or (tokens[-1].kind == "mark" and tokens[-1].text in ".?!:")
        tokens.extend(_tokens_of(match, opens=opens, shouted=shouted))
    words = [token for token in tokens if token.kind == "word" and len(token.text) > 2]
    if len(words) > 3 and sum(token.named for token in words) > 0.7 * len(words):  # A Title
        tokens = [Token(token.text, token.kind, written=token.written) for token in tokens]
    return numbers.with_values(tokens, Token)


def _tokens_of(match: re.Match[str], *, opens: bool, shouted: bool) -> list[Token]:
    kind, text = match.lastgroup, match.group()
    if match["number"]:
        return _quantity(match)
    if kind == "word":
        return _words(text, opens=opens, shouted=shouted)
    if text == "&":
        return [Token("and", "word")]
    if text == "-" and kind == "measure":  # 2-hour
        return []
    if kind == "measure":
        return [Token(text.lower(), "word", written=text)]
    if kind == "other":
        return [Token(text, "mark" if text in _SEPARATORS else "symbol")]
    if kind == "ordinal":
        return [Token("#" + text[:-2].lstrip("0"), "number")]
    if kind == "version":
        return [Token(text.lower().lstrip("v"), "number")]
    if kind in ("date", "clock"):
        return [Token(text, "number")]
    return [Token(text, "name", named=True)]


def _quantity(match: re.Match[str]) -> list[Token]:
    value = ("-" if match["sign"] else "") + match["number"].replace(",", "")
    found = [Token(value, "number")]
    if match["money"]:
        found.append(Token(numbers.MONEY[match["money"]], "unit"))
    unit = match["unit"]
    if unit:
        known = numbers.unit_of(unit)
        if known is None:  # 3D, 401k, 5G: a name
            return [Token(match.group().lower(), "name", named=True)]
        found.append(Token(known, "unit"))
    return found


def _words(text: str, *, opens: bool, shouted: bool) -> list[Token]:
    lower = text.lower()
    if lower in _CONTRACTIONS:
        return [Token(part, "word") for part in _CONTRACTIONS[lower].split()]
    if lower.endswith("n't"):
        return [Token(lower[:-3], "word"), Token("not", "word")]
    body, apostrophe, ending = lower.rpartition("'")
    if apostrophe:
        if ending == "s":
            named = text[0].isupper() and not opens and not shouted
            own = Token(body, "word", named)
            return [own, Token("is", "word")] if body in _WH else [own]
        if "'" + ending in _ENDINGS:
            return [Token(body, "word"), Token(_ENDINGS["'" + ending], "word")]
    inner_capital = any(letter.isupper() for letter in text[1:])
    named = not shouted and (inner_capital or (text[0].isupper() and not opens and text != "I"))
    if any(letter.isdigit() for letter in text):
        return [Token(lower, "name", named=True)]
    return [Token(lower, "word", named, text)]
