"""HTML as a reader sees it: no scripts, no navigation, nothing hidden."""

import re
from html.parser import HTMLParser

from steelyard.core.documents import BlockKind, MetadataValue
from steelyard.parse.draft import Composer, Draft, one_line
from steelyard.parse.htmlrules import BLOCKS, CLOSES, HEADINGS, META, VOID, is_silent
from steelyard.parse.tabular import add_table

_BREAK = "\x00"  # a `br`; line breaks of the source are only spaces
_MENU_WORDS = 5  # a menu's entries have one or two words, its bullet counted
_BARE_TEXT = re.compile(r"<[a-zA-Z!/?]")


def parse(text: str) -> Draft:
    """Return headings, paragraphs, lists, tables and code of a page in reading order.

    Dropped: scripts, styles, navigation, form controls, comments, and what is hidden by
    attribute or inline style (also where it was meant for a machine only). Depth is no limit:
    no step recurses.
    """
    if not _BARE_TEXT.search(text):
        composer = Composer()
        composer.add(BlockKind.PARAGRAPH, text)
        return composer.draft()
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.draft()


class _Table:
    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.cell: list[str] | None = None

    def end_cell(self) -> None:
        if self.cell is not None:
            row = self.rows or [[]]
            row[-1].append(one_line("".join(self.cell)))
            self.rows = row
        self.cell = None


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.composer = Composer()
        self.metadata: dict[str, MetadataValue] = {}
        self.page_title = ""
        self.first_h1 = ""
        self.open: list[str] = []
        self.num_open: dict[str, int] = {}
        self.silent_from: int | None = None  # depth of the outermost silent element
        self.inline: list[str] = []
        self.items: list[str] = []
        self.list_depth = 0
        self.heading: str | None = None
        self.in_pre = False
        self.tables: list[_Table] = []
        self.menus: list[int] = []  # where the open navigation elements began

    # What html.parser calls

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {key: value or "" for key, value in attrs}
        for closed in CLOSES.get(tag, ()):
            if self.num_open.get(closed) and self._closes(closed, tag):
                self.handle_endtag(closed)
        if tag == "meta":
            self._meta(attributes)
        if tag in VOID:
            self._void(tag)
            return
        self.open.append(tag)
        self.num_open[tag] = self.num_open.get(tag, 0) + 1
        if self.silent_from is None and is_silent(tag, attributes):
            self.silent_from = len(self.open)
        if self.silent_from is None:
            self._begin(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.num_open.get(tag):
            return
        while self.open:
            closed = self.open.pop()
            self.num_open[closed] -= 1
            if self.silent_from is None:
                self._end(closed)
            elif len(self.open) < self.silent_from:
                self.silent_from = None
            if closed == tag:
                return

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "title" and not self.num_open.get("svg"):
            self.page_title += data
        elif self.silent_from is None and self.num_open.get("title", 0) == 0:
            self._write(data)

    # What it means

    def _closes(self, closed: str, tag: str) -> bool:
        """Tell whether the open element is this one's sibling, not its ancestor's."""
        fence = {"li": ("ul", "ol"), "p": (), "option": ()}.get(closed, ("table", "dl"))
        for name in reversed(self.open[-50:]):
            if name == closed:
                return True
            if name in fence or (closed != "p" and name == "table"):
                return False
            if closed == "p" and name in ("td", "th", "li", "div", "section", "article", "table"):
                return False
        return False

    def _meta(self, attributes: dict[str, str]) -> None:
        name = (attributes.get("name") or attributes.get("property") or "").lower()
        content = one_line(attributes.get("content", ""))[:500]
        if name in META and content:
            self.metadata.setdefault(META[name], content)
        if name == "og:title" and not self.page_title:
            self.metadata.setdefault("og:title", content)

    def _void(self, tag: str) -> None:
        if self.silent_from is not None:
            return
        if tag == "br":
            self._write("\n" if self.in_pre else _BREAK)
        elif tag == "hr":
            self._flush()

    def _write(self, data: str) -> None:
        if self.tables and self.tables[-1].cell is not None:
            self.tables[-1].cell.append(data)
        else:
            self.inline.append(data)

    def _begin(self, tag: str) -> None:
        if tag == "nav":
            self._flush()
            self.menus.append(self.composer.mark())
        elif tag == "table":
            self._begin_table()
        elif tag in ("tr", "td", "th"):
            self._begin_cell(tag)
        elif self._in_cell():
            self._write(" ")
        elif tag in HEADINGS:
            self._flush()
            self.heading = tag
        elif tag == "pre":
            self._flush()
            self.in_pre = True
        elif tag in ("ul", "ol"):
            self._flush(keep_list=self.list_depth > 0)
            self.list_depth += 1
        elif tag in ("li", "dt", "dd") or tag in BLOCKS:
            self._flush(keep_list=self.list_depth > 0)

    def _end(self, tag: str) -> None:
        if tag == "nav":
            self._end_menu()
        elif tag == "table":
            self._end_table()
        elif tag in ("td", "th", "tr") and self.tables:
            self.tables[-1].end_cell()
        elif self._in_cell():
            self._write(" ")
        elif tag in ("ul", "ol"):
            self._flush(keep_list=True)
            self.list_depth = max(0, self.list_depth - 1)
            self._flush(keep_list=self.list_depth > 0)
        elif tag in HEADINGS or tag == "pre":
            self._flush(keep_list=self.list_depth > 0)
            self.heading = None
            self.in_pre = False
        elif tag in ("li", "dt", "dd") or tag in BLOCKS:
            self._flush(keep_list=self.list_depth > 0)

    def _in_cell(self) -> bool:
        return bool(self.tables) and self.tables[-1].cell is not None

    def _flush(self, *, keep_list: bool = False) -> None:
        """Turn the inline text so far into a block, or into an item of the open list."""
        raw = "".join(self.inline)
        self.inline = []
        if self.in_pre:
            self._end_list()
            self.composer.add(BlockKind.CODE, raw)
            return
        text = "\n".join(filter(None, map(one_line, raw.split(_BREAK))))
        if self.heading and text.strip():
            self._end_list()
            self.composer.heading(text, level=HEADINGS[self.heading])
            if self.heading == "h1":
                self.first_h1 = self.first_h1 or one_line(text)
        elif self.list_depth and text:
            self.items.append("  " * (min(self.list_depth, 9) - 1) + "- " + one_line(text))
        elif text:
            self._end_list()
            self.composer.add(BlockKind.PARAGRAPH, text)
        if not keep_list:
            self._end_list()

    def _end_list(self) -> None:
        if self.items:
            self.composer.add(BlockKind.LIST, "\n".join(self.items))
            self.items = []

    def _end_menu(self) -> None:
        """Take navigation back unless its entries are whole titles, which tell something."""
        self._flush()
        start = self.menus.pop()
        lines = [line for line in self.composer.since(start).split("\n") if line.strip()]
        if sum(len(line.split()) for line in lines) < _MENU_WORDS * len(lines):
            self.composer.rewind(start)

    def _begin_table(self) -> None:
        if self._in_cell():
            self._write(" ")
        else:
            self._flush()
        self.tables.append(_Table())

    def _begin_cell(self, tag: str) -> None:
        if not self.tables:
            return
        table = self.tables[-1]
        table.end_cell()
        if tag == "tr":
            table.rows.append([])
        else:
            table.cell = []

    def _end_table(self) -> None:
        if not self.tables:
            return
        table = self.tables.pop()
        table.end_cell()
        if self._in_cell():  # a table in a cell: its words belong to the cell
            self._write(" ".join(" ".join(row) for row in table.rows))
        elif max(map(len, table.rows), default=0) < 2:  # layout, not data
            for row in table.rows:
                self.composer.add(BlockKind.PARAGRAPH, " ".join(row))
        else:
            add_table(self.composer, table.rows)

    def draft(self) -> Draft:
        while self.open:
            self.handle_endtag(self.open[-1])
        self._flush()
        title = one_line(self.page_title) or self.first_h1
        title = title or str(self.metadata.get("og:title", ""))
        self.metadata.pop("og:title", None)
        return self.composer.draft(title=title[:200], metadata=self.metadata)
