"""Rebuild the binary pages of the handbook from their text.

Every `handbook_sources/FOLDER/NAME.SUFFIX.md` becomes `handbook/FOLDER/NAME.SUFFIX`, where
SUFFIX is pdf, docx, pptx, odt or xlsx. The sources use a small part of Markdown: headings,
paragraphs, `- ` and `1. ` lists, tables, and `---` for a new page, slide or sheet. The same
text gives the same bytes with the same versions of the libraries.

    python -m venv /somewhere/venv
    /somewhere/venv/bin/pip install python-docx python-pptx openpyxl reportlab odfpy
    /somewhere/venv/bin/python examples/make_handbook.py
"""

import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent
AUTHOR = "Ternbeam A/S"
# Written into every file instead of the time of the build, so that a rebuild changes nothing.
STAMP = datetime(2026, 3, 2, 9, 0, 0)


@dataclass(frozen=True, slots=True)
class Element:
    """A piece of a page. `kind` is heading, paragraph, bullet, number or table.

    `level` counts from 1 for headings; `rows` is filled for tables only, header first.
    """

    kind: str
    text: str = ""
    level: int = 0
    rows: tuple[tuple[str, ...], ...] = ()


Page = tuple[Element, ...]
Renderer = Callable[[list[Page], Path], None]


def read_pages(source: str) -> list[Page]:
    """Return the pages of a source text, cut at lines of `---`."""
    return [tuple(_read_elements(page)) for page in re.split(r"(?m)^---$", source)]


def _read_elements(page: str) -> Iterator[Element]:
    for block in re.split(r"\n\s*\n", page.strip()):
        lines = block.splitlines()
        if lines[0].startswith("#"):
            marks, _, text = lines[0].partition(" ")
            yield Element("heading", text, level=len(marks))
        elif lines[0].startswith("|"):
            rows = [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in lines]
            yield Element("table", rows=(rows[0], *rows[2:]))
        elif lines[0].startswith("- "):
            yield from (Element("bullet", line[2:]) for line in lines)
        elif re.match(r"\d+\. ", lines[0]):
            yield from (Element("number", line) for line in lines)
        else:
            yield Element("paragraph", " ".join(lines))


def render_pdf(pages: list[Page], target: Path) -> None:
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table

    styles = getSampleStyleSheet()
    body = styles["BodyText"]
    grid = [("GRID", (0, 0), (-1, -1), 0.4, colors.grey), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    story: list[Any] = []
    for page in pages:
        for element in page:
            if element.kind == "table":
                rows = [[Paragraph(cell, body) for cell in row] for row in element.rows]
                story += [Spacer(1, 4), Table(rows, style=grid), Spacer(1, 8)]
            elif element.kind == "heading":
                story.append(Paragraph(element.text, styles[f"Heading{element.level}"]))
            else:
                mark = "• " if element.kind == "bullet" else ""
                story.append(Paragraph(mark + element.text, body))
        story.append(PageBreak())
    title = pages[0][0].text
    SimpleDocTemplate(str(target), pagesize=A4, title=title, author=AUTHOR, invariant=1).build(
        story[:-1]
    )


def render_docx(pages: list[Page], target: Path) -> None:
    import docx

    document = docx.Document()
    document.core_properties.author = AUTHOR
    document.core_properties.title = pages[0][0].text
    document.core_properties.created = document.core_properties.modified = STAMP
    styles = {"paragraph": "Normal", "bullet": "List Bullet", "number": "List Number"}
    for element in (element for page in pages for element in page):
        if element.kind == "heading":
            document.add_heading(element.text, level=element.level)
        elif element.kind == "table":
            table = document.add_table(len(element.rows), len(element.rows[0]), style="Table Grid")
            for cells, row in zip(table.rows, element.rows, strict=True):
                for cell, text in zip(cells.cells, row, strict=True):
                    cell.text = text
        else:
            text = (
                re.sub(r"^\d+\. ", "", element.text) if element.kind == "number" else element.text
            )
            document.add_paragraph(text, style=styles[element.kind])
    document.save(str(target))


def render_pptx(pages: list[Page], target: Path) -> None:
    import pptx

    deck = pptx.Presentation()
    deck.core_properties.author = AUTHOR
    deck.core_properties.title = pages[0][0].text
    deck.core_properties.created = deck.core_properties.modified = STAMP
    for ordinal, page in enumerate(pages):
        slide = deck.slides.add_slide(deck.slide_layouts[0 if ordinal == 0 else 1])
        slide.shapes.title.text = page[0].text
        lines = [element.text for element in page[1:] if element.kind != "table"]
        slide.placeholders[1].text = "\n".join(lines)
        for element in page:
            if element.kind == "table":
                _add_slide_table(slide, element.rows)
    deck.save(str(target))


def _add_slide_table(slide: Any, rows: tuple[tuple[str, ...], ...]) -> None:
    from pptx.util import Inches

    shape = slide.shapes.add_table(
        len(rows), len(rows[0]), Inches(0.6), Inches(2.0), Inches(8.8), Inches(0.4 * len(rows))
    )
    for y, row in enumerate(rows):
        for x, text in enumerate(row):
            shape.table.cell(y, x).text = text
    # Text of a slide with a table goes below it.
    slide.placeholders[1].top = Inches(2.4 + 0.4 * len(rows))
    slide.placeholders[1].left, slide.placeholders[1].width = Inches(0.6), Inches(8.8)
    slide.placeholders[1].height = Inches(1.6)


def render_xlsx(pages: list[Page], target: Path) -> None:
    import openpyxl
    from openpyxl.styles import Font

    book = openpyxl.Workbook()
    book.remove(book.active)
    book.properties.creator = AUTHOR
    book.properties.created = book.properties.modified = STAMP
    for page in pages:
        sheet = book.create_sheet(page[0].text)
        for element in page[1:]:
            if element.kind != "table":
                sheet.append([element.text])
                continue
            for row in element.rows:
                sheet.append([int(cell) if cell.isdigit() else cell for cell in row])
            for cell in sheet[sheet.max_row - len(element.rows) + 1]:
                cell.font = Font(bold=True)
    book.save(str(target))


def render_odt(pages: list[Page], target: Path) -> None:
    from odf import dc, meta
    from odf.opendocument import OpenDocumentText
    from odf.table import Table, TableCell, TableColumn, TableRow
    from odf.text import H, P

    document = OpenDocumentText()
    document.meta.addElement(dc.Title(text=pages[0][0].text))
    document.meta.addElement(meta.CreationDate(text=STAMP.isoformat()))
    for element in (element for page in pages for element in page):
        if element.kind == "heading":
            document.text.addElement(H(outlinelevel=element.level, text=element.text))
        elif element.kind == "table":
            table = Table()
            table.addElement(TableColumn(numbercolumnsrepeated=len(element.rows[0])))
            for row in element.rows:
                line = TableRow()
                for text in row:
                    cell = TableCell(valuetype="string")
                    cell.addElement(P(text=text))
                    line.addElement(cell)
                table.addElement(line)
            document.text.addElement(table)
        else:
            document.text.addElement(P(text=element.text))
    document.save(str(target))


def pin_archive(path: Path) -> None:
    """Rewrite a zip file with one fixed time for all members and in its compressed form."""
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name, STAMP.timetuple()[:6])
            # OpenDocument wants its first member, `mimetype`, to be stored as it is.
            info.compress_type = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(info, _without_build_time(content))


def _without_build_time(content: bytes) -> bytes:
    """Replace the time of the build, which openpyxl writes into `modified` in any case."""
    pattern = rb"(<dcterms:modified[^>]*>)[^<]*"
    return re.sub(pattern, rb"\g<1>" + STAMP.isoformat().encode() + b"Z", content)


RENDERERS: dict[str, Renderer] = {
    ".pdf": render_pdf,
    ".docx": render_docx,
    ".pptx": render_pptx,
    ".xlsx": render_xlsx,
    ".odt": render_odt,
}


def main() -> int:
    sources = EXAMPLES / "handbook_sources"
    for source in sorted(sources.rglob("*.md")):
        target = EXAMPLES / "handbook" / source.relative_to(sources).with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            RENDERERS[target.suffix](read_pages(source.read_text(encoding="utf-8")), target)
        except ImportError as missing:
            print(
                f"{missing}: install the libraries named at the top of this file", file=sys.stderr
            )
            return 1
        if target.suffix != ".pdf":
            pin_archive(target)
        print(f"{target.relative_to(EXAMPLES)} {target.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
