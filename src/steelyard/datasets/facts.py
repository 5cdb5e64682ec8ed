"""A fact that a document states, as a question with its answer and the words that say so."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from steelyard.core.documents import Document

MAX_ANSWER_WORDS = 14


@dataclass(frozen=True, slots=True)
class Fact:
    """`[start, end)` of the document's text states the answer. `subject` and `attribute` are
    what it is about, to find the same question asked of another document."""

    kind: str
    question: str
    answers: tuple[str, ...]
    start: int
    end: int
    subject: str
    attribute: str


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, a line or a table's row: `text[start:end]` without markup."""

    text: str
    start: int
    end: int


# Nouns that a value answers: "What is the ... of X?". Others make silly questions.
ATTRIBUTES = frozenset(
    """price cost fee rate limit weight capacity length width height depth thickness size number
    count period duration interval date deadline address phone telephone mobile extension email
    code article type version level grade class temperature protection life range speed pressure
    voltage power port url path endpoint owner status maximum minimum warranty budget
    discount currency quantity amount percentage share score language licence license format
    meaning cause remedy action name value material colour color frequency retention timeout memory
    storage overload load altitude area volume density tolerance accuracy resolution division
    threshold quota allowance salary term validity size location place room building floor site
    country city hotline username prefix command topic plan tier product model serial category
    time hours age distance diameter radius humidity frequency bandwidth latency throughput
    policy key alias abbreviation platform""".split()  # noqa: SIM905
)
PERSONS = frozenset(
    """owner manager chair lead leader contact author maintainer head director editor speaker
    supervisor coordinator sponsor approver deputy secretary trainer responsible""".split()  # noqa: SIM905
)
# These say something only with another word before them: "policy number", not "number".
_BARE = frozenset(
    {"number", "count", "amount", "share", "value", "quantity", "rate", "time", "age"}
)
_UNITS = re.compile(
    r"^(?P<name>.*?)[\s,]*(?:\((?P<in>[^()]{1,12})\)|(?P<bare>EUR|USD|GBP|DKK|kg|mm|cm|km|%|GiB|MiB))$"
)
_MARKUP = (
    (re.compile(r"!\[[^\]]*\]\([^)]*\)"), ""),
    (re.compile(r"\[([^\]]+)\]\([^)\s]*(?:\s[^)]*)?\)(?:\{[^}]*\})?"), r"\1"),
    (re.compile(r":[a-z:]{2,20}:`([^`<]+?)(?:\s*<[^>]*>)?`"), r"\1"),
    (re.compile(r"`([^`<>]+?)\s*<[^>]*>`_+"), r"\1"),
    (re.compile(r"</?[a-zA-Z][^<>]{0,200}>"), ""),
    (re.compile(r"\{\s*[#:.][^}]*\}"), ""),
    (re.compile(r"\*\*|__(?=\w)|(?<=\w)__|`+"), ""),
    (re.compile(r"(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*])"), ""),
    (re.compile(r"(?<!\w)_(?=\w)|(?<=\w)_(?!\w)"), ""),
)


def plain(text: str) -> str:
    """Return `text` as one line without Markdown's, RST's or HTML's marks."""
    for pattern, put in _MARKUP:
        text = pattern.sub(put, text)
    return " ".join(text.split())


def label(text: str) -> str:
    """Return a column's or a key's name for the middle of a question, units spelt "in ..."."""
    name = plain(text).strip(" :")
    found = _UNITS.match(name)
    if found and found["name"]:
        name = f"{found['name'].removesuffix(' in')} in {found['in'] or found['bare']}"
    first, _, rest = name.partition(" ")
    keeps = any(map(str.isupper, first[1:])) or any(map(str.isdigit, first))
    return f"{first if keeps else first.lower()} {rest}".strip()


def head_noun(name: str) -> str:
    """Return the noun that a label is a kind of: the last word before `in`, `of`, `for`; "":
    it ends with something else, as "version 3" does."""
    before = re.split(r" (?:in|of|for|per|by|at|from|to|a) ", name.lower())[0]
    found = re.search(r"[a-z]+$", before)
    return found.group() if found else ""


def asked_about(attribute: str, subject: str) -> str:
    """Return a question for an attribute of a subject; "": none that a person would ask."""
    head = head_noun(attribute)
    if head in _BARE and attribute.split(" in ")[0] == head:
        return ""
    if head in PERSONS:
        return f"Who is the {attribute} of {subject}?"
    if head in ATTRIBUTES:
        return f"What is the {attribute} of {subject}?"
    if head.removesuffix("s") in ATTRIBUTES:
        return f"What are the {attribute} of {subject}?"
    return ""


def is_name(text: str) -> bool:
    """Tell whether a label names something: short, with a letter, begun like a name."""
    words = text.split()
    return (
        0 < len(words) <= 6
        and text[0].isalnum()
        and any(map(str.isalpha, text))
        and (text[0].isupper() or re.match(r"(?=\S*[A-Za-z])(?=\S*[\d_-])\S+", text) is not None)
        and not re.search(r"[?!:;|]|\.\s", text)
    )


def is_value(text: str) -> bool:
    """Tell whether a cell answers something: not empty, not a placeholder, not a paragraph."""
    bare = text.strip(" .-–—*✓✔xX")
    return bool(bare) and bare.lower() not in _NO_VALUES and len(text.split()) <= MAX_ANSWER_WORDS


_NO_VALUES = frozenset(
    {"n/a", "na", "none", "yes", "no", "tbd", "tba", "null", "nan", "above", "below"}
)


def vocabulary(documents: Iterable[Document]) -> frozenset[str]:
    """Return the words that occur in lower case, so that a first word may lose its capital."""
    found: set[str] = set()
    for document in documents:
        found.update(re.findall(r"(?<![\w.`-])[a-z][a-z'-]+(?![\w`])", document.text))
    return frozenset(found)
