"""XML as text: leaves become `name: value` lines, titles become headings."""

import re
from dataclasses import dataclass, field
from xml.parsers import expat

from steelyard.core.documents import BlockKind
from steelyard.core.errors import ParseError
from steelyard.parse import html
from steelyard.parse.draft import Composer, Draft, one_line

_MAX_DEPTH = 500
_TITLES = frozenset(("title", "head", "heading", "subject", "h1", "h2", "h3"))
_UNLABELLED = frozenset(
    (
        "p",
        "para",
        "text",
        "content",
        "div",
        "span",
        "body",
        "li",
        "item",
        "td",
        "th",
        "section",
        "abstract",
        "description",
        "summary",
        "encoded",
        "simpara",
        "listitem",
        "note",
        "paragraph",
    )
)
_MARKUP_ATTRIBUTES = frozenset(("class", "style", "rel", "type", "role", "lang", "schemaLocation"))
_HTML = re.compile(r"<(?:p|div|a|br|ul|h[1-6]|table|span|b|i|em|strong)\b[^>]*>", re.IGNORECASE)


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str]
    text: list[str] = field(default_factory=list)
    leaves: list[tuple[str, str]] = field(default_factory=list)
    has_words: bool = False

    @property
    def words(self) -> str:
        return one_line("".join(self.text))

    def write(self, text: str) -> None:
        self.text.append(text)
        self.has_words = self.has_words or not text.isspace()


def parse(text: str) -> Draft:
    """Return headings, lines and paragraphs in document order. Nothing outside is ever read.

    Raises:
        ParseError: not well formed (`damaged`), or it declares entities or nests deeper than
            500 (`expansion`).
    """
    reader = _Reader()
    parser = expat.ParserCreate(encoding="utf-8", namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(text.encode("utf-8"), True)
    except expat.ExpatError as error:
        raise ParseError(f"the XML is not well formed: {error}", code="damaged") from None
    return reader.composer.draft(title=reader.title)


def _refuse_entity(name: str, *_: object) -> None:
    raise ParseError(
        f"the XML declares the entity {name!r}; entities are not expanded, remove the declaration",
        code="expansion",
    )


class _Reader:
    def __init__(self) -> None:
        self.composer = Composer()
        self.open: list[_Element] = []
        self.title = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.open) >= _MAX_DEPTH:
            raise ParseError(f"the XML nests deeper than {_MAX_DEPTH} elements", code="expansion")
        if self.open and self.open[-1].has_words:  # inside running text: a word, not a field
            attributes = {}
        self.open.append(_Element(_local(name), attributes))

    def characters(self, text: str) -> None:
        element = self.open[-1]
        if element.leaves and text.strip():  # what looked like fields is running text
            inline = " ".join(value for _, value in element.leaves)
            element.write(inline + " ")
            element.leaves.clear()
        element.write(text)

    def end(self, _: str) -> None:
        element = self.open.pop()
        words = element.words
        if not words and not element.leaves:
            element.leaves = [
                (_local(key), one_line(value))
                for key, value in element.attributes.items()
                if _local(key) not in _MARKUP_ATTRIBUTES
            ]
        if not words:
            self._flush_above()
            self._flush(element)
        elif self.open and self.open[-1].has_words:
            self.open[-1].write(" " + words + " ")
        elif element.name in _TITLES or (len(words) > 200 and _HTML.search("".join(element.text))):
            self._flush_above()
            self._add_rich(element, words)
        elif self.open:
            self.open[-1].leaves.append((element.name, words))
        else:
            self.composer.add(BlockKind.PARAGRAPH, words)

    def _add_rich(self, element: _Element, words: str) -> None:
        """Append a title as a heading, and text that is itself HTML with its own structure."""
        if element.name not in _TITLES:
            self.composer.absorb(html.parse("".join(element.text)), deeper=2)
            return
        self.title = self.title or words[:200]
        self.composer.heading(words, level=max(1, len(self.open) - 1))

    def _flush_above(self) -> None:
        for element in self.open:
            if element.leaves:
                self._flush(element)

    def _flush(self, element: _Element) -> None:
        lines = [
            value if name.lower() in _UNLABELLED else f"{name}: {value}"
            for name, value in element.leaves
            if value
        ]
        self.composer.add(BlockKind.PARAGRAPH, "\n".join(lines))
        element.leaves.clear()


def _local(name: str) -> str:
    return name.rsplit(" ", 1)[-1]
