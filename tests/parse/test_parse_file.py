"""The parser as the house uses it: limits, names, containers, and any bytes at all."""

import contextlib
import gzip
import io
import json
import random
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from steelyard.core.documents import BlockKind, Parsed
from steelyard.core.errors import Overloaded, ParseError
from steelyard.core.protocols import Parser
from steelyard.parse import PARSER_VERSION, FileParser, Kind, ParseOptions, kind_of, supported
from steelyard.parse.kinds import DOCX
from steelyard.parse.reading import read_file, title_from, unpack_answer

CODES = {
    "unsupported",
    "empty",
    "encrypted",
    "damaged",
    "too_large",
    "no_text",
    "expansion",
    "timeout",
    "crashed",
    "unreadable",
}
SUFFIXES = (
    "md",
    "rst",
    "adoc",
    "tex",
    "ipynb",
    "csv",
    "tsv",
    "json",
    "jsonl",
    "xml",
    "py",
    "txt",
    "html",
    "eml",
    "pdf",
    "docx",
    "pptx",
    "xlsx",
    "xls",
    "doc",
    "msg",
    "epub",
    "odt",
    "rtf",
    "gz",
    "zip",
    "bin",
)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def refusal(parser: FileParser, content: bytes, filename: str) -> str:
    with pytest.raises(ParseError) as error:
        parser.parse(content, filename=filename)
    assert error.value.code in CODES
    assert repr(filename) in error.value.message
    return error.value.code


def outcome(parser: FileParser, content: bytes, filename: str) -> Parsed | str:
    """Return what was read, or the code of the refusal; anything else is a bug."""
    try:
        return parser.parse(content, filename=filename)
    except ParseError as error:
        return error.code


def zipped(parts: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


# Any bytes


def test_the_parser_fits_the_protocol(parser: FileParser) -> None:
    fitting: Parser = parser
    assert fitting.parse(b"# A\n\nb", filename="a.md").title == "A"
    assert PARSER_VERSION


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.one_of(
        st.binary(max_size=400),
        st.text(max_size=400).map(str.encode),
        st.text("#=-*`|+<>/!&;{}[]()\\.:~_ \t\nab1\"'", max_size=400).map(str.encode),
        st.binary(max_size=200).map(lambda tail: b"%PDF-1.4\n" + tail),
        st.binary(max_size=200).map(lambda tail: b"PK\x03\x04" + tail),
        st.binary(max_size=200).map(lambda tail: OLE + tail),
        st.binary(max_size=200).map(gzip.compress),
    ),
    suffix=st.sampled_from(SUFFIXES),
)
@example(content=b"\x1f\x8b", suffix="gz")
@example(content=b'{"a": "\\ud800"}', suffix="json")
@example(content=b"Subject: =?x?q?=\n\n", suffix="eml")
def test_any_bytes_under_any_name_are_read_or_refused(
    parser: FileParser, promises: Callable[[Parsed], None], content: bytes, suffix: str
) -> None:
    found = outcome(parser, content, f"file.{suffix}")
    if isinstance(found, str):
        assert found in CODES
        assert found not in ("crashed", "timeout")
    else:
        promises(found)


TAGS = ("p", "div", "ul", "li", "table", "tr", "td", "nav", "pre", "h1", "br", "title", "script")


@settings(max_examples=200, deadline=None)
@given(
    suffix=st.sampled_from(("html", "xml", "eml")),
    pieces=st.lists(
        st.one_of(
            st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS]),
            st.sampled_from(
                ("<p hidden>", "<a b='c'/>", "<!--", "-->", "<![CDATA[", "&amp;", "&#0;")
            ),
            st.sampled_from(("Subject: a\n", "Date: 99\n", "Content-Type: text/html\n", "\n\n")),
            st.sampled_from(("Content-Type: multipart/mixed; boundary=b\n\n--b\n", "--b--\n")),
            st.text(max_size=5),
        ),
        max_size=40,
    ),
)
def test_no_markup_surprises_the_parsers_of_the_sandbox(
    promises: Callable[[Parsed], None], suffix: str, pieces: list[str]
) -> None:
    """Without the sandbox, which would call a bug of ours damage."""
    head = "From: a\n" if suffix == "eml" else ""
    with contextlib.suppress(ParseError):
        content = (head + "".join(pieces)).encode()
        promises(read_file(content, filename=f"file.{suffix}"))


def test_real_files_with_damage_are_read_or_refused(
    parser: FileParser, data: Path, promises: Callable[[Parsed], None]
) -> None:
    choose = random.Random(7)
    for name in (
        "markitdown__test.docx",
        "docling__powerpoint_sample.pptx",
        "markitdown__test.xlsx",
        "markitdown__test.xls",
        "docling__legacy_sample.doc",
        "markitdown__test_outlook_msg.msg",
        "markitdown__test.epub",
        "docling__text_document_01.odt",
        "markitdown__test.rtf",
        "pypdf__multicolumn.pdf",
        "docling__eml_with_attachment.eml",
        "markitdown__test_blog.html",
    ):
        whole = (data / "files_messy" / name).read_bytes()
        for _ in range(6):
            torn = bytearray(whole[: choose.randrange(1, len(whole))])
            for _ in range(20):
                torn[choose.randrange(len(torn))] = choose.randrange(256)
            found = outcome(parser, bytes(torn), name)
            if isinstance(found, str):
                assert found in CODES
            else:
                promises(found)


@pytest.mark.parametrize(
    "suffix", ["md", "rst", "adoc", "tex", "py", "txt", "csv", "json", "jsonl"]
)
@pytest.mark.parametrize(
    "line",
    [
        " " * 100_000 + "|-",
        "# " + " " * 100_000 + "x",
        "[" * 100_000,
        "```a\n" * 20_000,
        "`" * 100_000,
        "a::\n\n" * 20_000,
        "|a|b|\n" * 20_000,
        "* " * 50_000,
        '"' * 100_001,
        "\\begin{a}\n" * 20_000,
        "<!--\n" * 20_000,
        ".. a::\n" * 15_000,
        "=====\n" * 15_000,
        "{" * 100_000 + "}" * 100_000,
        "-" * 100_000 + "\nx",
    ],
)
def test_no_text_makes_a_local_parser_slow(suffix: str, line: str) -> None:
    """A quadratic step over 100 kB takes minutes: the suite would hang here."""
    parser = FileParser()
    found = outcome(parser, line.encode(), f"long.{suffix}")
    assert isinstance(found, Parsed) or found in CODES
    assert parser._sandbox.pids == []
    parser.close()


# Names and kinds


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("a.md", True),
        ("dir/A.PDF", True),
        ("Makefile", True),
        ("README", True),
        ("x.tar.gz", True),
        ("a.docx", True),
        ("photo.jpg", False),
        ("a.zip", False),
        ("a.exe", False),
        (".hidden", False),
    ],
)
def test_what_is_supported_is_told_by_name(filename: str, expected: bool) -> None:
    assert supported(filename) is expected


def test_the_content_decides_before_the_name() -> None:
    assert kind_of("a.docx", b"%PDF-1.7")[0] is Kind.PDF
    assert kind_of("a.pdf", b"\n<!DOCTYPE html><p>x")[0] is Kind.HTML
    assert kind_of("a.txt", b"{\\rtf1 x}")[0] is Kind.OFFICE
    assert kind_of("a.md", b"\x89PNG\r\n")[0] is Kind.UNSUPPORTED
    assert kind_of("noname", b"just words")[0] is Kind.TEXT
    content = zipped({"[Content_Types].xml": b"", "word/document.xml": b""})
    assert kind_of("a.zip", content) == (Kind.OFFICE, DOCX)


@pytest.mark.parametrize(
    ("filename", "title"),
    [
        ("dir/travel_policy-2024.final.md", "Travel policy 2024"),
        ("README", "README"),
        ("C:\\docs\\annual report.docx", "Annual report"),
        ("data.csv.gz", "Data"),
        ("...", "Untitled"),
        ("", "Untitled"),
    ],
)
def test_a_file_without_a_title_is_named_after_its_name(filename: str, title: str) -> None:
    assert title_from(filename) == title


# Containers


def test_a_gzip_of_a_text_is_read_by_its_inner_name(parser: FileParser) -> None:
    parsed = parser.parse(gzip.compress(b"# Title\n\ntext"), filename="notes.md.gz")
    assert parsed.title == "Title"
    assert parsed.media_type == "text/markdown"


def test_a_gzip_bomb_is_refused(parser: FileParser) -> None:
    assert refusal(parser, gzip.compress(bytes(130 << 20), 1), "zeros.txt.gz") == "expansion"


def test_gzip_members_follow_each_other(parser: FileParser) -> None:
    both = gzip.compress(b"first\n\n") + gzip.compress(b"second")
    assert parser.parse(both, filename="a.txt.gz").text == "first\n\nsecond"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (gzip.compress(b"x" * 1000)[:-10], "damaged"),
        (gzip.compress(gzip.compress(b"x")), "unsupported"),
        (gzip.compress(b"x" * 257 + b"ustar" + b"x" * 300), "unsupported"),
        (gzip.compress(b""), "empty"),
    ],
)
def test_what_is_no_single_text_in_gzip_is_refused(
    parser: FileParser, content: bytes, code: str
) -> None:
    assert refusal(parser, content, "a.gz") == code


def test_a_container_is_checked_before_it_is_read(parser: FileParser) -> None:
    types = {"[Content_Types].xml": b"<Types/>"}
    word = b"<w:document/>"
    many = {f"word/{n}.xml": b"" for n in range(20_001)}
    for parts, code in (
        ({"word/document.xml": word, "../../evil.xml": b""}, "expansion"),
        ({"word/document.xml": word, "/etc/evil.xml": b""}, "expansion"),
        ({"word/document.xml": b'<!DOCTYPE a [<!ENTITY b "c">]><a/>'}, "expansion"),
        ({"word/document.xml": bytes(64 << 20)}, "expansion"),
        (many, "expansion"),
    ):
        assert refusal(parser, zipped(types | parts), "a.docx") == code, list(parts)[:2]


def test_a_container_that_lies_about_its_size_is_damaged_or_a_bomb(parser: FileParser) -> None:
    honest = zipped({"[Content_Types].xml": b"", "word/document.xml": bytes(32 << 20)})
    lying = honest.replace((32 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != honest
    assert refusal(parser, lying, "a.docx") in ("damaged", "expansion")


def test_encrypted_office_files_are_named_as_such(parser: FileParser) -> None:
    package = OLE + bytes(500) + "EncryptedPackage".encode("utf-16-le") + bytes(500)
    assert refusal(parser, package, "secret.docx") == "encrypted"
    flagged = bytearray(zipped({"[Content_Types].xml": b"x", "word/document.xml": b"x"}))
    central = flagged.index(b"PK\x01\x02")
    flagged[central + 8] |= 1
    assert refusal(parser, bytes(flagged), "secret.docx") == "encrypted"


# Limits


@pytest.mark.parametrize("content", [b"", b"   \n\t", b"\xef\xbb\xbf", b"---\ntitle: x\n---\n"])
def test_an_empty_file_is_named_as_such(parser: FileParser, content: bytes) -> None:
    assert refusal(parser, content, "a.md") == "empty"


def test_a_file_above_the_limit_is_not_read() -> None:
    parser = FileParser(ParseOptions(max_file_bytes=10))
    assert refusal(parser, b"x" * 11, "a.txt") == "too_large"
    parser.close()


def test_a_large_text_is_read_in_the_sandbox_alike() -> None:
    source = b"# Title\n\n" + b"word " * 2000
    parser, sandboxed = FileParser(), FileParser(ParseOptions(local_bytes=100))
    local = parser.parse(source, filename="a.md")
    assert parser._sandbox.pids == []
    assert sandboxed.parse(source, filename="a.md") == local
    assert len(sandboxed._sandbox.pids) == 1
    parser.close()
    sandboxed.close()


def test_a_file_that_takes_too_long_is_named_as_such(data: Path) -> None:
    parser = FileParser(ParseOptions(wall_s=0.05))
    path = data / "sec_10q_pdf" / "pdfs" / "2022_Q3_MSFT.pdf"
    assert refusal(parser, path.read_bytes(), path.name) == "timeout"
    parser.close()


def test_too_little_memory_costs_the_file_only(data: Path) -> None:
    parser = FileParser(ParseOptions(memory_bytes=600 << 20))
    bomb = b"<p>" + b"x" * (200 << 20)
    assert refusal(parser, bomb, "large.html") in ("expansion", "too_large", "crashed")
    assert parser.parse(b"<p>still here", filename="a.html").text == "still here"
    parser.close()


def test_files_are_read_by_many_threads_at_once(parser: FileParser) -> None:
    texts: list[str] = []

    def read(n: int) -> None:
        texts.append(parser.parse(b"<p>page %d" % n, filename="a.html").text)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts) == sorted(f"page {n}" for n in range(20))


def test_a_closed_parser_says_that_time_will_tell() -> None:
    parser = FileParser()
    parser.parse(b"<p>x", filename="a.html")
    parser.close()
    with pytest.raises(Overloaded) as error:
        parser.parse(b"<p>x", filename="a.html")
    assert error.value.code == "closing"


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense",
        b"[]",
        json.dumps(
            {"text": 7, "blocks": [], "title": "", "media_type": "", "metadata": {}}
        ).encode(),
        json.dumps(
            {"text": "x", "blocks": [[1]], "title": "", "media_type": "", "metadata": {}}
        ).encode(),
        b'{"text": "x", "blocks": [], "title": "", "media_type": "t", "metadata": 3}',
    ],
)
def test_an_answer_that_makes_no_sense_is_not_believed(answer: bytes) -> None:
    with pytest.raises(ParseError) as error:
        unpack_answer(answer, filename="a")
    assert error.value.code == "crashed"


def test_blocks_of_a_worker_are_put_in_order(promises: Callable[[Parsed], None]) -> None:
    blocks = [["paragraph", 0, 4, 0, None], ["heading", 2, 99, 9, 1], ["list", 1, 2, 0, None]]
    fields = {"text": "a b c d", "blocks": blocks, "title": "", "media_type": "t", "metadata": {}}
    parsed = unpack_answer(json.dumps(fields).encode(), filename="a")
    promises(parsed)
    assert [block.kind for block in parsed.blocks] == [BlockKind.PARAGRAPH, BlockKind.HEADING]
