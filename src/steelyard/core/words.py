"""Words as evidence: folded and stemmed just enough to compare an answer with a source."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

# A run of letters and digits, or one character of a script that writes without spaces.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f\uac00-\ud7af]"
    r"|[^\W_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f\uac00-\ud7af]+(?:'[^\W\d_]+)?"
)
_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\d])")
_LIST_NUMBER = re.compile(r"^\s*\d{1,3}[.)]\s+", re.MULTILINE)
_NAME = re.compile(r"[^\W\d_][\w'’-]*")


def _listed(text: str) -> list[str]:
    return re.findall(r"\S+", text)


_COUNTED = _listed("two three four five six seven eight nine ten eleven twelve")
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_COUNTED, start=2)}
NUMBER_WORDS = frozenset(_NUMBER_WORDS)

STOP_WORDS = frozenset(
    _listed(
        """a an the this that these those it its he him his she her hers they them their theirs we
    us our ours you your yours i me my mine is am are was were be been being do does did doing done
    have has had having will would shall should can could may might must of in on at by for with
    from to into onto as than then there here and or but if so because while about between after
    before during above below up down out off over under again once more most some such only own
    same too very just also what which who whom whose when where why how s t d ll ve re m don
    any all each both few other"""
    )
)
NEGATIONS = frozenset(
    _listed(
        """not no never none nothing nobody neither nor cannot without isn't aren't wasn't
    weren't don't doesn't didn't won't wouldn't can't couldn't shouldn't hasn't haven't hadn't"""
    )
)


def fold(text: str) -> str:
    """Return `text` lower-cased, without the differences between look-alike characters."""
    return unicodedata.normalize("NFKC", text).replace("’", "'").casefold()


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return a folded word without its commonest English endings: a key, not a word."""
    word = word.removesuffix("'s")
    if word in _NUMBER_WORDS:
        return _NUMBER_WORDS[word]
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    if word.endswith("ies"):
        word = word[:-3] + "y"
    elif word.endswith("s") and word[-2] not in "sui":
        word = word[:-1]
    for ending in ("ing", "ed", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            if word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def stems(text: str) -> list[str]:
    """Return the stems of all words of `text`, in order."""
    return [stem(word) for word in _WORD.findall(fold(text))]


def content_stems(text: str) -> list[str]:
    """Return the stems of the words that carry meaning, in order."""
    return [stem(word) for word in _WORD.findall(fold(text)) if word not in STOP_WORDS]


def numbers(text: str) -> set[str]:
    """Return the numbers of `text` in one spelling; the numbers of a list's items are none."""
    return {_plain_number(found) for found in _NUMBER.findall(_LIST_NUMBER.sub("", text))}


def stated_numbers(text: str) -> set[str]:
    """Return the numbers of `text`, those written as words too."""
    spelled = {_NUMBER_WORDS[word] for word in _WORD.findall(fold(text)) if word in _NUMBER_WORDS}
    listed = {_plain_number(found) for found in _NUMBER.findall(text)}
    return listed | spelled


def _plain_number(text: str) -> str:
    if text.isdigit():
        return text
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text):
        text = text.replace(",", "")
    if re.fullmatch(r"\d+\.\d+", text):
        text = text.rstrip("0").rstrip(".")
    return text


def names(text: str) -> set[str]:
    """Return the folded capitalised words that do not open a sentence: names, mostly."""
    found: set[str] = set()
    for match in _NAME.finditer(text):
        word = match.group()
        before = text[: match.start()].rstrip(" \"'“‘(*_`")
        opens = not before or before[-1] in ".!?:\n|-"
        if word[0].isupper() and (not opens or any(map(str.isupper, word[1:]))):
            found.add(fold(word).removesuffix("'s"))
    return found - STOP_WORDS


def negations(text: str) -> set[str]:
    """Return the negating words of `text`."""
    return {word for word in _WORD.findall(fold(text)) if word in NEGATIONS}


def negated(text: str) -> bool:
    return bool(negations(text))


def bigrams(items: Iterable[str]) -> set[tuple[str, str]]:
    return set(pairwise(items))
