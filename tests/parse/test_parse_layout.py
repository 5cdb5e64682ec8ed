"""PDF pages, slides and office nodes: structure out of layout, on samples written by hand."""

import io
import zipfile

from steelyard.core.documents import Block, BlockKind
from steelyard.parse import pdftext, slides
from steelyard.parse.draft import Draft

H, P, L, T = BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.LIST, BlockKind.TABLE


def shape(draft: Draft) -> list[tuple[BlockKind, int, int | None, str]]:
    def words(block: Block) -> str:
        return draft.text[block.start : block.end]

    return [(block.kind, block.level, block.page, words(block)) for block in draft.blocks]


PAGE = """INTRODUCTION\r
The first paragraph runs over more than one line of the page, and it has a hy\x02phenated word\r
that the reader joins again before it goes on to the end.\r
A second paragraph begins here, because the line above ended a sentence and was a short one.\r
1.2 Scope of the work\r
• one item\r
• another item that\r
goes on\r
Year ended 2023 2022\r
Net sales $ 1,200 $ 1,100\r
Services:\r
Support 30 (20)\r
Contents . . . . . . . . . . . . . . . 3\r
Index . . . . . . . . . . . . . . . . . 9"""


def test_a_page_has_paragraphs_headings_lists_and_tables() -> None:
    assert shape(pdftext.compose([(4, PAGE)])) == [
        (H, 3, 4, "INTRODUCTION"),
        (
            P,
            0,
            4,
            "The first paragraph runs over more than one line of the page, and it has a hyphenated "
            "word that the reader joins again before it goes on to the end.",
        ),
        (
            P,
            0,
            4,
            "A second paragraph begins here, because the line above ended a sentence and was a "
            "short one.",
        ),
        (H, 3, 4, "1.2 Scope of the work"),
        (L, 0, 4, "• one item\n• another item that goes on"),
        (
            T,
            0,
            4,
            "Year ended 2023 2022\nNet sales $ 1,200 $ 1,100\nServices:\nSupport 30 (20)",
        ),
        (L, 0, 4, "Contents … 3\nIndex … 9"),
    ]


def test_running_headers_and_page_numbers_are_left_out() -> None:
    pages = [
        (n, f"Acme handbook\nWords of page {n} that differ.\nPage {n} of 5") for n in range(1, 6)
    ]
    draft = pdftext.compose(pages)
    assert [words for _, _, _, words in shape(draft)] == [
        f"Words of page {n} that differ." for n in range(1, 6)
    ]
    assert [block.page for block in draft.blocks] == [1, 2, 3, 4, 5]


def test_what_opens_every_page_of_a_short_file_stays() -> None:
    draft = pdftext.compose([(1, "Acme\nfirst"), (2, "Acme\nsecond")])
    assert draft.text.count("Acme") == 2


def test_a_programs_filler_is_no_title() -> None:
    for filler in (
        "untitled",
        "(anonymous)",
        "Microsoft Word - x.docx",
        "0000320193-22-000070",
        "",
    ):
        assert pdftext.usable_title(filler) == ""
    assert pdftext.usable_title("Annual  report 2024") == "Annual report 2024"


def deck(*, slide: str, notes: str) -> bytes:
    presentation = (
        '<p:presentation xmlns:p="p" xmlns:r="r"><p:sldIdLst><p:sldId id="256" r:id="rId2"/>'
        "</p:sldIdLst></p:presentation>"
    )
    relation = '<Relationships><Relationship Id="{}" Type="x/{}" Target="{}"/></Relationships>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("ppt/presentation.xml", presentation)
        archive.writestr(
            "ppt/_rels/presentation.xml.rels", relation.format("rId2", "slide", "slides/slide7.xml")
        )
        archive.writestr("ppt/slides/slide7.xml", slide)
        archive.writestr(
            "ppt/slides/_rels/slide7.xml.rels",
            relation.format("rId1", "notesSlide", "../notesSlides/n.xml"),
        )
        archive.writestr("ppt/notesSlides/n.xml", notes)
    return buffer.getvalue()


def shaped(kind: str, *paragraphs: str) -> str:
    body = "".join(f"<a:p><a:r><a:t>{words}</a:t></a:r></a:p>" for words in paragraphs)
    mark = f'<p:nvPr><p:ph type="{kind}"/></p:nvPr>' if kind else ""
    return f"<p:sp>{mark}<p:txBody>{body}</p:txBody></p:sp>"


def tree(*shapes: str) -> str:
    inside = "".join(shapes)
    return f'<p:sld xmlns:p="p" xmlns:a="a"><p:spTree>{inside}</p:spTree></p:sld>'


def test_a_slide_is_title_text_table_and_notes() -> None:
    rows = "".join(
        "<a:tr>"
        + "".join(f"<a:tc><a:p><a:r><a:t>{c}</a:t></a:r></a:p></a:tc>" for c in row)
        + "</a:tr>"
        for row in ("AB", "12")
    )
    table = f"<p:graphicFrame><a:tbl>{rows}</a:tbl></p:graphicFrame>"
    group = f"<p:grpSp>{shaped('', 'inside a group')}</p:grpSp>"
    slide = tree(shaped("body", "one", "two"), table, group, shaped("title", "The plan"))
    draft = slides.parse(deck(slide=slide, notes=tree(shaped("body", "say this"))))
    assert shape(draft) == [
        (H, 2, 1, "The plan"),
        (L, 0, 1, "- one\n- two"),
        (T, 0, 1, "| A | B |\n| --- | --- |\n| 1 | 2 |"),
        (P, 0, 1, "inside a group"),
        (P, 0, 1, "Notes: say this"),
    ]
    assert draft.title == "The plan"
    assert draft.metadata == {"pages": 1}
