"""PDF and office formats through kreuzberg; imported only inside the sandbox."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import kreuzberg

from steelyard.core.documents import BlockKind, MetadataValue
from steelyard.core.errors import ParseError
from steelyard.parse import kinds, pdftext
from steelyard.parse.archive import check_zip
from steelyard.parse.draft import Composer, Draft, one_line
from steelyard.parse.tabular import add_table

_CELL_MARKUP = re.compile(r"(\*{1,3}|~~)(\S|\S[^*~]{0,2000}?\S)\1|</?u>")
_FIELD_CODE = re.compile(
    r"\s*\b(?:SEQ|PAGEREF|REF|HYPERLINK|TOC)\s[^\n\x13-\x15]{0,200}?\\\*\s*\w+"
)
_TITLE_CHARS = 80
_SHEETS = (kinds.XLSX, kinds.XLS, kinds.ODS)
_METADATA = {
    "created_at": "created",
    "modified_at": "modified",
    "subject": "subject",
    "language": "language",
    "from_email": "author",
}
_BLOCK_KINDS = {
    "code": BlockKind.CODE,
    "paragraph": BlockKind.PARAGRAPH,
    "formula": BlockKind.PARAGRAPH,
    "footnote": BlockKind.PARAGRAPH,
    "quote": BlockKind.PARAGRAPH,
    "admonition": BlockKind.PARAGRAPH,
    "definition_item": BlockKind.PARAGRAPH,
}

Node = Mapping[str, Any]


def parse_pdf(content: bytes, *, passwords: Sequence[str] = ()) -> Draft:
    """Return the pages' text with page numbers.

    Raises:
        ParseError: `encrypted`, `damaged`, or `no_text` (a scan).
    """
    # Plain output: pages as they read. Markdown output invents headings and lists, breaks
    # tables apart, and takes 7 to 15 times as long (quarterly reports of 28 to 80 pages).
    config = _config("plain", pdf_options=kreuzberg.PdfConfig(passwords=list(passwords)))
    result = _extract(content, "application/pdf", config)
    pages = [(page["page_number"], page["content"]) for page in result.pages or []]
    metadata = _metadata(result.metadata)
    num_pages = result.metadata.get("page_count") or len(pages)
    if not any(text.strip() for _, text in pages):
        raise ParseError(
            f"the PDF's {num_pages} pages hold no text, only pictures; there is no built-in text "
            "recognition: run OCR over the file first (for instance ocrmypdf)",
            code="no_text",
        )
    draft = pdftext.compose(pages)
    title = pdftext.usable_title(str(result.metadata.get("title") or "")) or draft.title
    return Draft(draft.text, draft.blocks, title, {**metadata, "pages": num_pages})


def parse_office(content: bytes, media_type: str) -> Draft:
    """Return the structure that kreuzberg finds in an office document, mail or book.

    Raises:
        ParseError: `encrypted`, `damaged`, or `expansion` (a bomb).
    """
    if media_type == "encrypted":
        raise ParseError("the document is encrypted; save it without a password", code="encrypted")
    if content.startswith(b"PK"):
        check_zip(content)
        _refuse_encrypted_parts(content)
    result = _extract(content, media_type, _config("markdown"))
    nodes = result.document["nodes"] if result.document else []
    composer = Composer()
    _Nodes(composer, nodes, media_type).add_all()
    if not composer.blocks:  # a format without structure: its plain words
        for paragraph in (result.content or "").split("\n\n"):
            composer.add(BlockKind.PARAGRAPH, paragraph)
    metadata = _metadata(result.metadata)
    title = one_line(str(result.metadata.get("title") or ""))
    if not title and media_type not in _SHEETS:
        title = _opening(composer)
    return composer.draft(title=title, metadata=metadata)


def _opening(composer: Composer) -> str:
    """Return the first block's words if they may be a title: short, and no sentence."""
    words = "".join(composer.texts(1))
    may_be = composer.blocks and composer.blocks[0].kind in (BlockKind.HEADING, BlockKind.PARAGRAPH)
    short = len(words) <= _TITLE_CHARS and "\n" not in words and words[-1:] not in ".,;:"
    return pdftext.usable_title(words) if may_be and short else ""


def _config(output_format: str, **options: Any) -> Any:
    """Return a configuration that stays offline: no OCR, no cache, no grammar, one thread."""
    return kreuzberg.ExtractionConfig(
        output_format=output_format,
        use_cache=False,
        disable_ocr=True,  # type: ignore[call-arg]  # its stubs forget it
        enable_quality_processing=False,
        include_document_structure=output_format == "markdown",
        pages=kreuzberg.PageConfig(extract_pages=True),
        concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
        tree_sitter=kreuzberg.TreeSitterConfig(enabled=False),
        **options,
    )


def _extract(content: bytes, media_type: str, config: Any) -> Any:
    try:
        return kreuzberg.extract_bytes_sync(content, media_type, config)
    except (kreuzberg.KreuzbergError, kreuzberg.ParsingError, ValueError, RuntimeError) as error:
        words = one_line(str(error))[:300]
    if re.search(r"password|encrypted", words, re.IGNORECASE):
        raise ParseError(
            "the document is encrypted; save it without a password or name its password "
            "in the settings",
            code="encrypted",
        )
    if "limit exceeded" in words.lower():
        raise ParseError(f"the document unpacks to too much: {words}", code="expansion")
    raise ParseError(f"the document is damaged: {words}", code="damaged")


def _refuse_encrypted_parts(content: bytes) -> None:
    """Refuse what a container encrypts inside itself: OpenDocument parts, books under DRM."""
    if b"META-INF/rights.xml" in content or b"META-INF/license.lcpl" in content:
        raise ParseError("the book is under copy protection", code="encrypted")
    if b"encrypted-package" in content[:4096]:
        raise ParseError("the document is encrypted; save it without a password", code="encrypted")


def _metadata(found: Mapping[str, Any]) -> dict[str, MetadataValue]:
    metadata: dict[str, MetadataValue] = {}
    for key, name in _METADATA.items():
        value = found.get(key)
        if isinstance(value, str) and value.strip() and value != "(unspecified)":
            metadata[name] = one_line(value)[:500]
    authors = [author for author in found.get("authors") or [] if author != "(anonymous)"]
    if authors:
        metadata["author"] = one_line(", ".join(map(str, authors)))[:500]
    for key in ("keywords", "attachments"):
        values = found.get(key)
        if isinstance(values, list) and values:
            metadata[key] = [one_line(str(value)) for value in values]
    return metadata


class _Nodes:
    """Turns kreuzberg's flat list of nodes into blocks."""

    def __init__(self, composer: Composer, nodes: Sequence[Node], media_type: str) -> None:
        self.composer = composer
        self.nodes = nodes
        self.media_type = media_type
        self.ordinals: dict[int, int] = {}  # items so far of each ordered list

    def add_all(self) -> None:
        shown = [
            (index, node)
            for index, node in enumerate(self.nodes)
            if node.get("content_layer") in (None, "body", "footnote")
        ]
        for is_item, group in groupby(shown, key=lambda pair: self._is_item(pair[1])):
            if is_item:
                lines = [line for _, node in group if (line := self._item(node))]
                self.composer.add(BlockKind.LIST, "\n".join(lines))
            else:
                for _, node in group:
                    self._add(node)

    def _is_item(self, node: Node) -> bool:
        return node["content"]["node_type"] in ("list_item", "list")

    def _add(self, node: Node) -> None:
        content = node["content"]
        kind = content["node_type"]
        text = str(content.get("text") or "")
        if kind in ("heading", "title"):
            self.composer.heading(text, level=int(content.get("level") or 1))
        elif kind == "table":
            self._add_table(content["grid"])
        elif kind == "metadata_block":
            self._add_mail_header(dict(content.get("entries") or []))
        elif kind in _BLOCK_KINDS:
            for part in self._paragraphs(text):
                self.composer.add(_BLOCK_KINDS[kind], part)

    def _add_mail_header(self, entries: dict[str, str]) -> None:
        self.composer.heading(str(entries.pop("Subject", "")), level=1)
        lines = (f"{name}: {value}" for name, value in entries.items())
        self.composer.add(BlockKind.PARAGRAPH, "\n".join(lines))

    def _paragraphs(self, text: str) -> Iterator[str]:
        """Yield the paragraphs of one node; the old binary format has them line by line."""
        if self.media_type != kinds.DOC:
            yield text
            return
        for line in _FIELD_CODE.sub("", text).split("\n"):
            if line.count("\t") > 3:  # a table: a tab ends a cell, two end a row
                rows = [row.split("\t") for row in line.split("\t\t")]
                add_table(self.composer, rows)
            else:
                yield line

    def _item(self, node: Node) -> str:
        """Return an item's line, indented by how many lists it lies in."""
        if node["content"]["node_type"] == "list":
            return ""
        depth, ordered, parent = -1, False, node.get("parent")
        if parent is not None:
            ordered = bool(self.nodes[parent]["content"].get("ordered"))
            self.ordinals[parent] = self.ordinals.get(parent, 0) + 1
        mark = f"{self.ordinals[parent]}." if ordered and parent is not None else "-"
        above = parent
        while above is not None and depth < 8:
            depth += self.nodes[above]["content"]["node_type"] == "list"
            above = self.nodes[above].get("parent")
        text = str(node["content"].get("text") or "")
        return "  " * max(depth, 0) + f"{mark} {one_line(text)}" if text.strip() else ""

    def _add_table(self, grid: Mapping[str, Any]) -> None:
        """Append a grid; a sheet's tables, apart by blank rows, one by one."""
        rows = [[""] * int(grid["cols"]) for _ in range(int(grid["rows"]))]
        for cell in grid["cells"]:
            rows[cell["row"]][cell["col"]] = _CELL_MARKUP.sub(r"\2", str(cell["content"])[:20000])
        if self.media_type not in _SHEETS:
            add_table(self.composer, rows)
            return
        for filled, part in groupby(rows, key=lambda row: any(cell.strip() for cell in row)):
            if filled:
                add_table(self.composer, _without_empty_columns(list(part)))


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    used = [any(row[i].strip() for row in rows) for i in range(len(rows[0]))]
    return [[cell for cell, keep in zip(row, used, strict=True) if keep] for row in rows]
