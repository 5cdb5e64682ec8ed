"""English words without the endings that do not change what is asked: keys, not words."""

from functools import cache, lru_cache
from importlib import resources

_VOWELS = "aeiouy"


@lru_cache(maxsize=32_768)
def stem(word: str) -> str:
    """Return the key of a lower-case word; words with digits or other letters are their own."""
    irregular = _irregular()
    if word in irregular:
        return irregular[word]
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    singular = _singular(word)
    key = irregular.get(singular) or _without_ending(singular)
    return irregular.get(key, key)


@cache
def _irregular() -> dict[str, str]:
    """Return form → key. A key is stemmed as a regular word is, unless it stands alone."""
    text = (resources.files(__package__) / "irregular.txt").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, *forms = line.split()
        if key == "#":
            continue
        found[key] = key if not forms else _without_ending(_singular(key))
        found |= dict.fromkeys(forms, found[key])
    return found


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zzes")):
        return word[:-2]
    if word.endswith("s") and word[-2] not in "sui" and len(word) > 3:
        return word[:-1]
    return word


def _without_ending(word: str) -> str:
    if word.endswith("ification") and len(word) > 10:
        return word[:-7] + "y"
    for ending, least in (("ation", 3), ("ating", 3), ("ated", 3), ("ate", 3)):
        if word.endswith(ending) and len(word) - len(ending) >= least:
            return _undoubled(word[: -len(ending)])
    if word.endswith(("ction", "ption", "stion", "etion", "ition", "ution")) and len(word) > 6:
        return _unvowelled(word[:-3])
    for ending in ("ing", "ed"):
        body = word.removesuffix(ending)
        if body != word and len(body) >= 3 and any(letter in _VOWELS for letter in body):
            return _bare(body)
    if word.endswith("ment") and len(word) > 7:
        return _bare(word[:-4])
    if word.endswith("ness") and len(word) > 6:
        return _bare(word[:-4])
    if word.endswith("ily") and len(word) > 5:
        return word[:-3] + "y"
    if word.endswith("ly") and len(word) > 5:
        return _bare(word[:-2])
    return _unvowelled(word)


def _bare(body: str) -> str:
    if body.endswith("i"):
        return body[:-1] + "y"
    return _unvowelled(_undoubled(body))


def _undoubled(body: str) -> str:
    doubled = len(body) > 3 and body[-1] == body[-2] and body[-1] not in "aeiousz"
    return body[:-1] if doubled else body


def _unvowelled(body: str) -> str:
    return body[:-1] if body.endswith("e") and len(body) > 3 else _undoubled(body)
