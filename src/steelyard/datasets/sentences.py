"""Facts of running text: definitions, what letters stand for, keys with values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from steelyard.core.documents import Block, BlockKind, Document
from steelyard.core.sentences import split_sentences
from steelyard.core.words import STOP_WORDS, fold
from steelyard.datasets.facts import (
    PERSONS,
    Fact,
    Line,
    asked_about,
    head_noun,
    is_name,
    is_value,
    label,
    plain,
)

MAX_CHARACTERS = 400  # a longer sentence states no single fact
_TEXT_KINDS = (BlockKind.PARAGRAPH, BlockKind.LIST)
_TERM = re.compile(r"^(?P<term>[^:|]{2,40})::\s+(?P<text>\S.*)$")
_BOLD_TERM = re.compile(
    r"^[-*+]\s+(?:\*\*|``?)(?P<term>[^*`]{2,40})(?:\*\*|``?)\s*[:–—-]\s+"
    r"(?P<text>(?:An?|The|Our) .+)$"
)
_IS = re.compile(
    r"^(?P<article>The |An? )?(?P<term>[A-Z0-9][\w.+#-]*(?: (?:[A-Z0-9][\w.+#-]*|of|and|for)){0,3})"
    r"(?: \((?P<short>[A-Z][A-Za-z]{1,9})\))? is (?P<text>(?:an?|the|our) [a-zA-Z].{8,220}?)[.;]?$"
)
# What looks like a definition and says nothing: "X is a good idea".
_EMPTY_IS = re.compile(
    r"^(?:an?|the|our) (?:same|only|good|great|bad|must|case|reason|one|first|last|next|most|best|"
    r"default|following|result|key|main|very|bit|lot|little|few|more|simple|nice|common|recommended|"
    r"problem|question|exception|simplest|fastest|easiest|largest|biggest|result|important|perfect|popular|new|number|list|part)\b"
)
_LONG_SHORT = re.compile(
    r"(?P<long>(?:[A-Z][\w-]+[ -]){1,5}[A-Z]?[\w-]+) \((?P<short>[A-Z]{2,8})\)"
)
_SHORT_LONG = re.compile(r"\b(?P<short>[A-Z]{2,8}) \((?P<long>(?:[A-Z][\w-]+[ -]){1,6}[\w-]+)\)")
_KEY = re.compile(r"^(?P<key>[A-Z][A-Za-z]*(?: [a-z]+){0,2}):\s+(?P<value>[^\n:;]{2,80}?)[.]?$")
NOT_TERMS = frozenset(
    """this that these those it there here he she they we you i what which who when where why how
    everything nothing something anything everybody nobody today tomorrow yesterday note warning tip
    example important optional required step remember another each every both all some many most
    one first second third next also so then although though however since unlike like even still
    perhaps instead therefore thus""".split()  # noqa: SIM905
)
_OPENERS = NOT_TERMS | (STOP_WORDS - {"can", "may", "it", "us", "am"})


@dataclass(frozen=True, slots=True)
class Prose:
    """A document's sentences, and the words that the home writes in lower case."""

    document: Document
    known: frozenset[str]
    lines: tuple[Line, ...]

    @classmethod
    def of(cls, document: Document, known: frozenset[str]) -> "Prose":
        """Cut a document's paragraphs and lists into sentences, their markup taken out."""
        lines = []
        for block in document.blocks:
            if block.kind in _TEXT_KINDS:
                text = document.text[block.start : block.end]
                for start, end in split_sentences(text):
                    if end - start <= MAX_CHARACTERS:
                        at = block.start + start
                        lines.append(Line(plain(text[start:end]), at, block.start + end))
        return cls(document, known, tuple(lines))

    def inside(self, phrase: str) -> str:
        """Return a phrase for the middle of a question: its first word loses a capital that it
        has only because it opened a sentence."""
        first, _, rest = phrase.partition(" ")
        lower = first.lower()
        if first[1:].islower() or len(first) == 1:
            small = lower in self.known or lower in ("a", "an", "the") or lower.endswith("ing")
            first = lower if small else first
        return f"{first} {rest}".strip()


def definitions(prose: Prose) -> Iterator[Fact]:
    """Yield "What is X?" for glossaries' entries and sentences that say what a name is."""
    for line in prose.lines:
        raw = prose.document.text[line.start : line.end]
        listed = _TERM.match(raw) or _BOLD_TERM.match(raw)
        found = listed or _IS.match(line.text)
        if not found:
            continue
        term, text = plain(found["term"]), plain(found["text"])
        if not _is_term(term) or _EMPTY_IS.match(text):
            continue
        article = "" if listed else prose.inside(found["article"] or "")
        if article and not _is_proper(term, prose):
            continue
        answer = (text if listed is None else _first_sentence(text)).rstrip(".;")
        if answer.endswith(":"):
            continue
        if listed and (stands := _expands(re.sub(r"\W*\(.*", "", term), answer)):
            yield _expansion(term, stands, line)
        else:
            asked = term if listed is None or _is_proper(term, prose) else prose.inside(term)
            name = f"{article} {asked}".strip() if article.strip() == "the" else asked
            yield Fact("definition", f"What is {name}?", (answer,), *at(line), term, "definition")


def _first_sentence(text: str) -> str:
    spans = split_sentences(text)
    return text[spans[0][0] : spans[0][1]] if spans else text


def _is_term(text: str) -> bool:
    """Tell whether a text names one thing: no opening of a sentence, no word said twice."""
    words = fold(text).split()
    return is_name(text) and words[0] not in _OPENERS and len(set(words)) == len(words)


def abbreviations(prose: Prose) -> Iterator[Fact]:
    """Yield "What does X stand for?" where the letters are those of the words."""
    for line in prose.lines:
        for pattern in (_LONG_SHORT, _SHORT_LONG):
            for found in pattern.finditer(line.text):
                if stands := _expands(found["short"], found["long"]):
                    yield _expansion(found["short"], stands, line)


def _expansion(term: str, words: str, line: Line) -> Fact:
    asked = f"What does {term} stand for?"
    return Fact("abbreviation", asked, (words,), *at(line), term, "stands for")


def _expands(short: str, text: str) -> str:
    """Return the end or the beginning of `text` whose initials are `short`; "": none has them."""
    if not 2 <= len(short) <= 8 or not short.isupper():
        return ""
    words = text.split()
    for some in (words[: len(short) + 2], *(words[-n:] for n in range(len(short), len(short) + 3))):
        for size in range(len(short), len(some) + 1):
            initials = [w[0].upper() for w in some[:size] if w.lower() not in _SMALL]
            if "".join(initials) == short and some[0].lower() not in _SMALL:
                return " ".join(some[:size]).rstrip(":;,")
    return ""


_SMALL = frozenset({"of", "and", "the", "for", "in", "on", "to", "a"})


def _is_proper(term: str, prose: Prose) -> bool:
    """Tell whether a term is a name wherever it stands: a digit, an inner capital, or never
    written small."""
    words = term.split()
    inner = any(map(str.isupper, words[0][1:])) or any(map(str.isdigit, term))
    return inner or len(words) > 1 or words[0].lower() not in prose.known


def keys(prose: Prose) -> Iterator[Fact]:
    """Yield the keys with values that open a document, as questions about the document."""
    title = plain(prose.document.title)
    title = title.capitalize() if title.isupper() else title
    headings = sum(block.kind is BlockKind.HEADING for block in prose.document.blocks)
    seen = 0
    for block in prose.document.blocks:
        seen += block.kind is BlockKind.HEADING
        if seen > 1 or (seen and not headings):
            return
        if block.kind in _TEXT_KINDS and is_name(title):
            yield from _keys_of(prose.document.text, block, title)


def _keys_of(text: str, block: Block, title: str) -> Iterator[Fact]:
    for start, end in split_sentences(text[block.start : block.end]):
        at = block.start + start
        found = _KEY.match(text[at : block.start + end])
        if found and is_value(found["value"]):
            key = label(found["key"])
            asked = asked_about(key, f"the page “{title}”")
            value = plain(found["value"])
            if head_noun(key) in PERSONS:
                value = value.split(",")[0]
            if asked:
                yield Fact("key", asked, (value,), at, block.start + end, title, key)


def at(line: Line) -> tuple[int, int]:
    return line.start, line.end
