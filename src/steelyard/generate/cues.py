"""What kind of answer a question wants, and whether a sentence holds one of that kind."""

import re
from enum import StrEnum

from steelyard.core.words import fold, names, stated_numbers


class Wanted(StrEnum):
    DATE = "date"
    NUMBER = "number"
    PERSON = "person"
    PLACE = "place"
    REASON = "reason"
    STEPS = "steps"
    ANYTHING = "anything"


_QUESTIONS = (
    (
        Wanted.DATE,
        r"\bwhen\b|\b(?:what|which|in what) (?:year|date|day|month|century|decade|time)\b"
        r"|\bsince when\b|\buntil when\b|\bdeadline\b",
    ),
    (
        Wanted.NUMBER,
        r"\bhow (?:many|much|long|old|far|fast|often|large|big|tall|high|deep|wide|heavy)\b"
        r"|\bwhat (?:percentage|percent|number|amount|rate|share|price|cost|size|limit|population"
        r"|distance|temperature|speed|length|port)\b|\b(?:maximum|minimum|at most|at least)\b",
    ),
    (Wanted.PERSON, r"\bwho(?:m|se)?\b|\bwhat (?:person|people|company|team|organi[sz]ation)\b"),
    (
        Wanted.PLACE,
        r"\bwhere\b|\b(?:what|which|in what|in which) (?:city|country|place|state|town|region"
        r"|continent|river|island|county|area|location)\b",
    ),
    (Wanted.REASON, r"\bwhy\b|\bwhat (?:caused|causes|is the reason|was the reason)\b"),
    (Wanted.STEPS, r"\bhow (?:do|can|should|would|could|to|does one)\b"),
)
_DATE = re.compile(
    r"\b(?:1[0-9]|20)\d\d\b|\b\d{1,2}(?:st|nd|rd|th)\b|\bcentur(?:y|ies)\b|\b\d{3,4}s\b"
    r"|\b(?:january|february|march|april|may|june|july|august|september|october|november"
    r"|december|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b"
    r"|\b\d{1,2}[:.]\d{2}\b|\b\d{4}-\d{2}\b|\bmidnight\b|\bnoon\b"
    r"|\b(?:days?|weeks?|months?|years?|hours?|minutes?)\b"
)
_AMOUNT = re.compile(
    r"\b(?:one|once|twice|half|third|quarter|dozen|hundreds?|thousands?|millions?|billions?"
    r"|several|percent|unlimited|double|no limit|daily|weekly|monthly|yearly|annually|every)\b|%"
)
_REASON = re.compile(
    r"\b(?:because|due to|since|as a result|in order to|so that|caused?|therefore|reasons?"
    r"|thus|owing to|result(?:s|ed|ing)? (?:in|from)|led to|to (?:avoid|prevent|ensure|make))\b"
)
_STEPS = re.compile(
    r"`|\b(?:click|run|use|using|set|open|select|choose|enter|call|add|create|install|go to|send"
    r"|ask|submit|fill|contact|you can|you must|you should|by \w+ing|with the|via|must|should)\b"
)


def wanted(question: str) -> Wanted:
    """Return the kind of answer `question` asks for; English cues only."""
    folded = fold(question)
    for kind, pattern in _QUESTIONS:
        if re.search(pattern, folded):
            return kind
    return Wanted.ANYTHING


def holds(text: str, kind: Wanted, *, question: str) -> bool:
    """Tell whether `text` has something of that kind that is not in the question already."""
    folded = fold(text)
    if kind is Wanted.DATE:
        asked = fold(question)
        return any(found.group() not in asked for found in _DATE.finditer(folded))
    if kind is Wanted.NUMBER:
        new_numbers = stated_numbers(text) - stated_numbers(question)
        return bool(new_numbers) or bool(_AMOUNT.search(folded))
    if kind in (Wanted.PERSON, Wanted.PLACE):
        return bool(names("x " + text) - {fold(word) for word in re.findall(r"\w+", question)})
    if kind is Wanted.REASON:
        return bool(_REASON.search(folded))
    if kind is Wanted.STEPS:
        return bool(_STEPS.search(folded))
    return True
