"""When two questions are written the same, up to what cannot change their meaning."""

import re
import unicodedata

# Compatibility forms that only look different. Superscripts, fractions and circled numbers are
# not among them: folded, 10⁵ would be 105.
_SAME_FORMS = ("<wide>", "<narrow>", "<noBreak>", "<compat> 00")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\ufeff\u00ad"))
_QUOTES = str.maketrans("‘’‛“”‟", "'''\"\"\"")
_LAST_MARK = re.compile(r"(?<=[\w)\]\"'])\s*\?\Z")
# Words that may lose their capital at the beginning; no name is among them.
_OPENERS = frozenset(
    re.findall(
        r"\w+",
        """how what why when where who which whose can could do does did is are was were should
        would shall has have had am tell show give explain describe list please the a an my our
        if""",
    )
)


def normalised(question: str) -> str:
    """Return the form by which equal questions are found.

    White space, look-alike quotes, wide letters, one closing question mark and the capital of
    an opening word that is no name do not count. Case does elsewhere: "US" is not "us".
    """
    text = question if question.isascii() else _unified(question)
    text = " ".join(text.split())
    text = _LAST_MARK.sub("", text)
    opener = re.match(r"[A-Z][a-z]*(?![\w'])", text)
    if opener and opener.group().lower() in _OPENERS:
        text = text[0].lower() + text[1:]
    return text


def _unified(text: str) -> str:
    text = unicodedata.normalize("NFC", text).translate(_INVISIBLE).translate(_QUOTES)
    return "".join(map(_unified_character, text))


def _unified_character(character: str) -> str:
    if character.isascii():
        return character
    if unicodedata.decomposition(character).startswith(_SAME_FORMS):
        return unicodedata.normalize("NFKC", character)
    return character
