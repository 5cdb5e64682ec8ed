"""What kind of answer a question wants, apart from what it is about."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from steelyard.cache.meaning.tokens import Token

_SELF = r"(?:i|we|you|1|people|someone|somebody|anyone|users?|a person|a user)"
_MODAL = r"(?:can|could|do|does|should|would|might|may|shall|am|are|to)"
_KIND = (
    r"(?:best|right|correct|proper|recommended|easiest|simplest|usual|standard|good|easy|simple)"
)
_WAY = r"(?:way|ways|method|methods|process|procedure|procedures|steps?|approach|instructions?)"
_WHATS = r"(?:what is|what are|what would be|is there|are there|do you have|give me|list|show me)"

# Said around a question; taken off as long as one fits.
_WRAPPERS = [
    re.compile(rf"{pattern}(?: |$)")
    for pattern in (
        r"(?:hi|hello|hey|ok|okay|so|well|please|kindly|thanks|sorry|quick question|question)",
        r"(?:and|but|also|just|actually|basically)",
        r"(?:can|could|would|will) (?:you|u|anyone|somebody|someone|anybody)(?: please| kindly)? "
        r"(?:tell|explain(?: to)?|advise|inform|let|remind|clarify for)(?: me| us)?(?: know)?",
        r"(?:can|could|would|will) (?:you|u|anyone|somebody|someone)(?: please| kindly)? "
        r"(?:show|describe|clarify|walk) (?:to )?(?:me|us)(?: through)?",
        r"(?:please )?(?:tell|remind|advise) (?:me|us)",
        r"(?:please )?explain(?: to (?:me|us))?"
        r"(?= (?:how|why|what|when|where|who|which|if|whether) )",
        r"(?:please )?(?:show|teach) (?:me|us)(?= (?:how|what|where|when|which|who|why) )",
        r"(?:i|we) (?:would like|want|wish|need|am trying|have|am looking) to "
        r"(?:know|understand|learn|find out|figure out|ask)(?: about)?",
        r"(?:i|we)(?: am| was|) (?:wonder|wondering|curious|asking)(?: about)?",
        r"(?:i|we) do not (?:know|understand)",
        r"(?:do|does) (?:you|anyone|anybody|someone|somebody) (?:happen to )?know",
        r"(?:is|are) (?:you|anyone) (?:aware|sure) of",
        r"(?:any|no) ideas?(?: on| about)?",
        r"what i (?:want|need|would like) to (?:know|ask) is",
        r"may i (?:know|ask)",
    )
]
# Beginnings, the first that fits counts. "self" ends with the asker as the one who acts.
_OPENINGS = [
    (re.compile(rf"{pattern}(?: |$)"), kind, by_self)
    for pattern, kind, by_self in (
        (rf"{_WHATS} (?:the |a |an |any |some |your )*(?:{_KIND} )?{_WAY} "
         rf"(?:(?:that )?{_SELF}(?: can| could| need to| have to| should| must)?"
         rf"(?: take| follow| use)?(?: to)?|involved in|required to|needed to|to|for|of|in)",
         "how", True),
        (rf"(?:the |a )?(?:{_KIND} )?(?:{_WAY}|guide|tutorial|help|howto|tips) "
         r"(?:to|for|on|of|with)",
         "how", True),
        (rf"how (?:{_MODAL} )?{_SELF}"
         rf"(?: be able to| go about| {_MODAL}| best| properly| manage to)*",
         "how", True),
        (r"how (?:to|about|go about)", "how", True),
        (rf"what (?:do|should|must|can|could|would|need) {_SELF} (?:need to |have to )?do "
         r"(?:if i want to|if i need to|to)", "how", True),
        (r"what (?:is|are) (?:needed|required|necessary) to", "need", True),
        (r"(?:i|we) (?:need|want|would like|require|am looking for) (?:some )?help"
         r"(?: with| to| on| in)?", "how", True),
        (r"(?:i|we) (?:want|need|would like|wish|am trying|try) to", "how", True),
        (r"(?:(?:can|could|would|will) (?:you|anyone|someone) )?(?:please )?"
         r"(?:help|assist) (?:me|us)(?: to| with| in)?", "how", True),
        (r"how (?:can|do|does|did|is|are|was|were)", "how", False),
        (r"how-(?:many|much|long|often|far)", "", False),
        (r"when-(?:time|day|date|year|month)|when", "", False),
        (r"how", "how", False),
        (r"whose|who|where|why|which", "", False),
        (r"what (?:do|does|did|is|are) (?:the )?(?:word |term |phrase )?(?=.* (?:mean|stand for)$)",
         "what", False),
        (r"what (?:is|are) (?:the )?(?:meaning|definition) of", "what", False),
        (r"what (?:is|are) meant by", "what", False),
        (r"(?:the )?(?:meaning|definition) of", "what", False),
        (r"what (?:type|kind|sort)s? of", "what", False),
        (r"what", "what", False),
        (r"(?:explain|describe|define|list|name|give|show|tell)(?: me| us)?(?: about| of)?",
         "what", False),
        (r"(?:information|info|details) (?:on|about|for|of)", "what", False),
        (r"about", "what", False),
        (r"(?:if|whether)", "yesno", False),
        (r"(?:is|are|was|were|am|do|does|did|has|have|had|can|could|may|might|must|should|shall|"
         r"will|would|need)", "yesno", False),
    )
]  # fmt: skip
_SUBJECT = re.compile(r"\b(i|we|you|1)\b")
_TRAILING_HOW = re.compile(rf"(?:how|how (?:to|{_MODAL} {_SELF})(?: do (?:it|that|this|so))?)$")
_TRAILING_WAY = re.compile(rf" (?:{_WAY})$")
_SAME_AS = {"which": "what"}
_EITHER = {
    frozenset(pair)
    for pair in (("none", "how"), ("none", "what"), *((f"when-{x}", "when") for x in
                 ("time", "day", "date", "year", "month")))
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Framed:
    """`kind` of question, whether the asker is who acts (as "i", "we", "you" or in no word), and
    the rest of the tokens."""

    kind: str
    by_self: bool
    rest: tuple[Token, ...]
    subject: str = ""


def framed(tokens: Sequence[Token]) -> Framed:
    """Take the frame off a question."""
    words = [token for token in tokens if token.kind != "mark"]
    words = _without_wrappers(words)
    found = _opened(words)
    if found.kind != "none":
        return found
    trailing = _TRAILING_HOW.search(" ".join(token.text for token in words))
    if trailing and len(words) > 1:
        used = trailing.group().count(" ") + 1
        return Framed("how", True, tuple(words[:-used]))
    return _after_a_comma(tokens) or found


def compatible(a: str, b: str) -> bool:
    """Tell whether an answer of one kind also answers a question of the other."""
    a, b = _SAME_AS.get(a, a), _SAME_AS.get(b, b)
    return a == b or frozenset((a, b)) in _EITHER


def _after_a_comma(tokens: Sequence[Token]) -> Framed | None:
    """Frame "In Python, how do I ..." as if what stands before the comma came last."""
    for place, token in enumerate(tokens):
        if token.kind == "mark" and token.text in ",:;-":
            before = [one for one in tokens[:place] if one.kind != "mark"]
            after = [one for one in tokens[place:] if one.kind != "mark"]
            found = _opened(_without_wrappers(after))
            if found.kind not in ("none", "yesno") and before:
                return replace(found, rest=(*found.rest, *before))
    return None


def _without_wrappers(words: list[Token]) -> list[Token]:
    while words:
        joined = " ".join(token.text for token in words) + " "
        match = next(filter(None, (one.match(joined) for one in _WRAPPERS)), None)
        if match is None:
            break
        words = words[match.group().strip().count(" ") + 1 :]
    return words


def _opened(words: list[Token]) -> Framed:
    joined = " ".join(token.text for token in words) + " "
    for pattern, kind, by_self in _OPENINGS:
        match = pattern.match(joined)
        if match is None or (words and words[0].named and len(words[0].text) < 4):
            continue
        used = match.group().strip().count(" ") + 1
        rest = words[used:]
        if kind == "yesno":
            rest = words if words[0].text not in ("if", "whether") else words[1:]
        subject = (_SUBJECT.findall(match.group()) or [""])[-1] if by_self else ""
        return _closed(Framed(kind or match.group().strip(), by_self, tuple(rest), subject))
    return Framed("none", True, tuple(words))


def _closed(found: Framed) -> Framed:
    """Look at the end: "what is the X process", "what does X mean", "what does X stand for"."""
    rest = found.rest
    texts = [token.text for token in rest]
    if found.kind != "what":
        return found
    if len(rest) > 2 and texts[0] in ("is", "are") and _TRAILING_WAY.search(" ".join(texts)):
        return Framed("how", True, rest[1:-1])
    if texts[-1:] == ["mean"]:
        return replace(found, rest=rest[:-1])
    if texts[-2:] == ["stand", "for"]:
        return replace(found, kind="abbreviation", rest=rest[:-2])
    return found
