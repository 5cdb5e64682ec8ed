"""Questions that headings ask already, or nearly: "Reset a password", "What is a ticket?"."""

import re
from collections.abc import Iterator, Sequence

from steelyard.core.documents import Block, BlockKind, Document
from steelyard.core.sentences import split_sentences
from steelyard.core.words import content_stems
from steelyard.datasets.facts import Fact, plain

KIND = "howto"
_NUMBERING = re.compile(r"^(?:\d+(?:\.\d+)*\.?|[A-Z]\.|Step \d+:?)\s+")
# Verbs that open a heading in the imperative. A noun that is spelt so ("Use cases") is caught by
# what follows it: an article, a name, a plural.
_VERBS = frozenset(
    """add access allow attach authenticate avoid book build call cancel change check choose claim
    clean close combine compare compute configure connect convert copy create customize customise
    debug declare define delete deploy disable document download edit enable encrypt exclude execute
    expose extend filter find fix generate get handle import include increase inspect install
    integrate limit load log make manage measure migrate modify monitor mount move open override
    parallelize pass persist prepare profile protect publish read receive record reduce register
    remove rename render renew replace report request require reset restart restore return reuse
    revert run save scale schedule secure select send serve set share sort specify start stop store
    stream submit swap switch test transform update upgrade upload use validate verify visualize
    wait work write zero""".split()  # noqa: SIM905
)
_GERUNDS = {
    **{verb + "ing": verb for verb in _VERBS if not verb.endswith("e")},
    **{verb[:-1] + "ing": verb for verb in _VERBS if verb.endswith("e")},
    **{verb + verb[-1] + "ing": verb for verb in ("get", "set", "run", "stop", "swap", "submit")},
}
_VAGUE = re.compile(
    r"\b(?:it|this|that|these|those|them|same|now|again|recap|more|another|other|things?|stuff|"
    r"above|below|others|progress|step|steps|next|previous|first|second|last|everything|something|anything|here|there|"
    r"previously|simpler|main|your)\b",
    re.IGNORECASE,
)
_ARTICLES = re.compile(r"^(?:an?|the|with|from|to|for|all|several|multiple)\b|^[A-Z`]|s\b")
_NO_OBJECT = re.compile(r"[:;,!/–—]| - |^[Cc]ases?\b")  # an aside, or the noun "use case"
_ASKS = re.compile(
    r"^(?:How|What|Which|Who|When|Where|Why(?! not)|Can|Does|Do|Is|Are|May|Must|Should) .+\?$"
)
_HOW_TO = re.compile(r"^How (?:to|do I|can I) (?P<rest>.+?)\??$", re.IGNORECASE)
MIN_WORDS, MAX_WORDS = 3, 11


def facts(document: Document, known: frozenset[str] = frozenset()) -> Iterator[Fact]:
    """Yield a fact for each heading that asks or tells to do, its first paragraph as gold.

    `known` are words that the home writes in lower case too.
    """
    for place, block in enumerate(document.blocks):
        if block.kind is not BlockKind.HEADING:
            continue
        heading = _NUMBERING.sub("", plain(document.text[block.start : block.end]))
        first, _, rest = heading.partition(" ")
        asked = question(f"{first} {_small(rest, known)}")
        body = _body(document.blocks[place + 1 :])
        if asked and body is not None:
            start, end = _first_sentences(document.text, body)
            if end - start >= 40:
                yield Fact(KIND, asked, (), start, end, heading.lower(), "how")


def question(heading: str) -> str:
    """Return the question of a heading; "": it is only a name, or too vague on its own."""
    heading = heading.strip(" #:.")
    if not MIN_WORDS <= len(heading.split()) <= MAX_WORDS or _VAGUE.search(heading):
        return ""
    if _ASKS.match(heading):
        return heading
    if found := _HOW_TO.match(heading):
        heading = found["rest"]
    first, _, rest = heading.partition(" ")
    verb = _GERUNDS.get(first.lower(), first.lower())
    if verb not in _VERBS or not _ARTICLES.search(rest) or _NO_OBJECT.search(rest):
        return ""
    return f"How do I {verb} {rest}?" if _is_specific(rest) else ""


def _is_specific(rest: str) -> bool:
    """Tell whether an object is understood without its page: "the error" is not."""
    named = re.search(r"(?<=[a-z_])[A-Z_]|\d", rest) is not None
    return named or not rest.startswith("the ") or len(content_stems(rest)) >= 2


def _small(text: str, known: frozenset[str]) -> str:
    """Return a title as a sentence: a capital goes where the home writes the word small too."""

    def lowered(found: re.Match[str]) -> str:
        word = found.group()
        return word.lower() if word.lower() in known and word[1:].islower() else word

    return re.sub(r"(?<![\w.])[A-Z][a-z'-]+(?![\w`])", lowered, text)


def _body(following: Sequence[Block]) -> Block | None:
    """Return the first paragraph or list below a heading, before the next heading."""
    for block in following:
        if block.kind is BlockKind.HEADING:
            return None
        if block.kind in (BlockKind.PARAGRAPH, BlockKind.LIST):
            return block
    return None


def _first_sentences(text: str, block: Block) -> tuple[int, int]:
    """Return the span of the block's first two sentences."""
    spans = split_sentences(text[block.start : block.end])[:2]
    if not spans:
        return block.start, block.start
    return block.start + spans[0][0], block.start + spans[-1][1]
