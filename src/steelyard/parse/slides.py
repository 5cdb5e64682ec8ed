"""PowerPoint presentations, slide by slide: a page is a slide."""

import io
import posixpath
import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from steelyard.core.documents import BlockKind, MetadataValue
from steelyard.core.errors import ParseError
from steelyard.parse.archive import check_zip
from steelyard.parse.draft import Composer, Draft, one_line
from steelyard.parse.tabular import add_table

_MAX_DEPTH = 50
_CORE = {"title": "title", "creator": "author", "created": "created", "subject": "subject"}


def parse(content: bytes) -> Draft:
    """Return each slide's title as a heading, then its text, lists, tables and notes.

    Raises:
        ParseError: the container is damaged, encrypted or a bomb.
    """
    check_zip(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _Deck(archive).draft()
    except (KeyError, ElementTree.ParseError, zipfile.BadZipFile) as error:
        raise ParseError(f"the presentation is damaged: {error}", code="damaged") from None


def _local(element: Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def _find(element: Element, name: str) -> Element | None:
    return next((child for child in element.iter() if _local(child) == name), None)


def _attribute(element: Element, name: str) -> str:
    """Return an attribute whatever its namespace (transitional and strict files differ)."""
    return next((v for k, v in element.attrib.items() if k.rsplit("}", 1)[-1] == name), "")


class _Deck:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.composer = Composer()
        self.title = ""

    def draft(self) -> Draft:
        slides = list(self._slides())
        for number, path in enumerate(slides, start=1):
            self._add_slide(path, number)
        metadata = self._metadata()
        title = str(metadata.pop("title", "")) or self.title
        metadata["pages"] = len(slides)
        return self.composer.draft(title=title, metadata=metadata)

    def _xml(self, path: str) -> Element:
        return ElementTree.fromstring(self.archive.read(path))

    def _relations(self, path: str) -> dict[str, tuple[str, str]]:
        """Return id → (kind, path) of what a part refers to inside the container."""
        folder, name = posixpath.split(path)
        try:
            root = self._xml(f"{folder}/_rels/{name}.rels")
        except KeyError:
            return {}
        return {
            relation.get("Id", ""): (
                relation.get("Type", "").rsplit("/", 1)[-1],
                posixpath.normpath(posixpath.join("/", folder, relation.get("Target", "")))[1:],
            )
            for relation in root
            if relation.get("TargetMode") != "External"
        }

    def _slides(self) -> Iterator[str]:
        main = "ppt/presentation.xml"
        relations = self._relations(main)
        for element in self._xml(main).iter():
            if _local(element) == "sldId":
                identifier = next((v for k, v in element.attrib.items() if k.endswith("}id")), "")
                if identifier in relations:
                    yield relations[identifier][1]

    def _add_slide(self, path: str, number: int) -> None:
        tree = _find(self._xml(path), "spTree")
        if tree is None:
            return
        shapes = list(_shapes(tree))
        for shape in sorted(shapes, key=lambda shape: not _is_title(shape)):
            self._add_shape(shape, number)
        for kind, target in self._relations(path).values():
            if kind == "notesSlide" and target in self.archive.namelist():
                self._add_notes(target, number)

    def _add_shape(self, shape: Element, page: int) -> None:
        table = _find(shape, "tbl")
        if table is not None:
            rows = [
                [_cell_text(cell) for cell in _children(row, "tc")]
                for row in _children(table, "tr")
            ]
            add_table(self.composer, rows, page=page)
            return
        paragraphs = list(_paragraphs(shape))
        if _is_title(shape):
            words = one_line(" ".join(text for _, text in paragraphs))
            self.composer.heading(words, level=2, page=page)
            self.title = self.title or words
        elif len(paragraphs) > 1:
            lines = ("  " * level + "- " + one_line(text) for level, text in paragraphs)
            self.composer.add(BlockKind.LIST, "\n".join(lines), page=page)
        elif paragraphs:
            self.composer.add(BlockKind.PARAGRAPH, paragraphs[0][1], page=page)

    def _add_notes(self, path: str, page: int) -> None:
        for shape in self._xml(path).iter():
            if _local(shape) == "sp" and _placeholder(shape) == "body":
                text = "\n".join(text for _, text in _paragraphs(shape))
                self.composer.add(BlockKind.PARAGRAPH, f"Notes: {text}" if text else "", page=page)

    def _metadata(self) -> dict[str, MetadataValue]:
        try:
            properties = self._xml("docProps/core.xml")
        except (KeyError, ElementTree.ParseError):
            return {}
        found = ((_CORE.get(_local(item)), one_line(item.text or "")) for item in properties)
        return {name: value for name, value in found if name and value}


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if _local(child) == name)


def _shapes(tree: Element, depth: int = 0) -> Iterator[Element]:
    """Yield shapes and frames in document order, groups opened."""
    for child in tree:
        if _local(child) in ("sp", "graphicFrame"):
            yield child
        elif depth < _MAX_DEPTH and _local(child) in ("grpSp", "AlternateContent", "Choice"):
            yield from _shapes(child, depth + 1)


def _placeholder(shape: Element) -> str:
    mark = _find(shape, "ph")
    return "" if mark is None else _attribute(mark, "type") or "body"


def _is_title(shape: Element) -> bool:
    return _placeholder(shape) in ("title", "ctrTitle")


def _paragraphs(shape: Element) -> Iterator[tuple[int, str]]:
    """Yield each paragraph's indent level and its text."""
    for paragraph in shape.iter():
        if _local(paragraph) != "p":
            continue
        properties = next(_children(paragraph, "pPr"), None)
        level = "0" if properties is None else _attribute(properties, "lvl") or "0"
        text = "".join(_runs(paragraph)).strip()
        if text:
            yield (int(level) if level.isdigit() else 0), text


def _runs(paragraph: Element) -> Iterator[str]:
    for element in paragraph.iter():
        if _local(element) == "t":
            yield element.text or ""
        elif _local(element) == "br":
            yield "\n"
        elif _local(element) == "tab":
            yield "\t"


def _cell_text(cell: Element) -> str:
    return " ".join(one_line(text) for _, text in _paragraphs(cell))
