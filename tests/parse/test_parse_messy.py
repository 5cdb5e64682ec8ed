"""All 77 real and hostile files, each held to what the manifest expects of it."""

import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from steelyard.core.documents import Parsed
from steelyard.core.errors import ParseError
from steelyard.parse import FileParser, ParseOptions

SHARE_OF_WORDS = 0.8  # as the data's README asks: hyphenation differs between readers
NUM_FILES = 77


@pytest.fixture(scope="module")
def messy(data: Path) -> Path:
    return data / "files_messy"


@pytest.fixture(scope="module")
def manifest(messy: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (messy / "manifest.jsonl").read_text().splitlines()]


def bare(text: str) -> str:
    """Return letters and digits only: ligatures apart, Arabic forms alike, spaces out.

    Spaces because the independent reader that made the list joins words over line breaks
    ("LibraryThe"); ours keeps them apart.
    """
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).casefold()


def missing_words(parsed: Parsed, words: list[str]) -> list[str]:
    text = bare(parsed.text)
    return [word for word in words if bare(word) not in text]


def complaint(parser: FileParser, path: Path, entry: dict[str, object]) -> str:
    """Return what is wrong with how this file was read; empty if all is as expected."""
    expect = str(entry["expect"])
    words = [str(word) for word in entry["must_contain_words"]]  # type: ignore[attr-defined]
    try:
        parsed = parser.parse(path.read_bytes(), filename=path.name)
    except ParseError as error:
        return complaint_about_error(error, expect)
    if expect == "reject" or expect.startswith("password:"):
        return f"read as {parsed.text[:60]!r}, but it had to be refused"
    if "root:" in parsed.text:
        return "holds a file of this machine"
    missing = missing_words(parsed, words)
    if len(missing) > (1 - SHARE_OF_WORDS) * len(words):
        return f"lacks {missing} of {words}"
    return ""


def complaint_about_error(error: ParseError, expect: str) -> str:
    if expect == "text":
        return f"refused with {error.code}: {error.message}"
    if expect == "ocr" and error.code != "no_text":
        return f"a scan ended in {error.code}"
    if expect.startswith("password:") and error.code != "encrypted":
        return f"an encrypted file ended in {error.code}"
    return "" if len(error.message) > 20 else f"the message says nothing: {error.message!r}"


def test_every_file_is_read_or_refused_as_the_manifest_says(
    parser: FileParser, messy: Path, manifest: list[dict[str, object]]
) -> None:
    assert len(manifest) == NUM_FILES
    complaints = {
        entry["file"]: found
        for entry in manifest
        if (found := complaint(parser, messy / str(entry["file"]), entry))
    }
    assert complaints == {}


def test_every_file_read_keeps_the_promises_of_a_document(
    parser: FileParser,
    messy: Path,
    manifest: list[dict[str, object]],
    promises: Callable[[Parsed], None],
) -> None:
    num_read = 0
    for entry in manifest:
        try:
            parsed = parser.parse((messy / str(entry["file"])).read_bytes(), filename="x.bin")
        except ParseError:
            continue
        num_read += 1
        promises(parsed)
    assert num_read >= 50


def test_a_file_is_recognised_without_its_name(parser: FileParser, messy: Path) -> None:
    for name, media_type in {
        "markitdown__test.docx": "wordprocessingml",
        "markitdown__test.xlsx": "spreadsheetml",
        "markitdown__test.pptx": "presentationml",
        "markitdown__test.xls": "ms-excel",
        "docling__legacy_sample.doc": "msword",
        "markitdown__test_outlook_msg.msg": "ms-outlook",
        "markitdown__test.epub": "epub",
        "docling__text_document_01.odt": "opendocument.text",
        "docling__odf_table_with_title_01.ods": "opendocument.spreadsheet",
        "markitdown__test.rtf": "rtf",
        "pypdf__habibi.pdf": "pdf",
    }.items():
        parsed = parser.parse((messy / name).read_bytes(), filename="upload")
        assert media_type in parsed.media_type, name


def test_an_encrypted_pdf_opens_with_its_password(messy: Path) -> None:
    parser = FileParser(ParseOptions(passwords=("wrong", "openpassword")))
    path = messy / "pypdf__libreoffice-writer-password.pdf"
    try:
        assert "Lorem ipsum" in parser.parse(path.read_bytes(), filename=path.name).text
    finally:
        parser.close()


def test_hidden_instructions_are_not_part_of_the_text(parser: FileParser, messy: Path) -> None:
    path = messy / "syn__hidden_injection.html"
    text = parser.parse(path.read_bytes(), filename=path.name).text
    for hidden in ("900 days", "reveal", "BANANA"):
        assert hidden not in text


def test_no_file_is_written_outside(parser: FileParser, messy: Path, tmp_path: Path) -> None:
    archive = (messy / "syn__traversal.zip").read_bytes()
    with pytest.raises(ParseError) as error:
        parser.parse(archive, filename=str(tmp_path / "syn__traversal.zip"))
    assert error.value.code == "unsupported"
    with pytest.raises(ParseError) as error:
        parser.parse(archive, filename="traversal.docx")
    assert error.value.code in ("unsupported", "expansion")
    assert list(tmp_path.iterdir()) == []
    assert not (Path("/") / "tmp" / "escaped_by_zip.txt").exists()


def test_bombs_are_named_as_such(parser: FileParser, messy: Path) -> None:
    for name in ("syn__zipbomb_120MB.docx", "syn__billion_laughs.xml", "syn__xxe.docx"):
        with pytest.raises(ParseError) as error:
            parser.parse((messy / name).read_bytes(), filename=name)
        assert error.value.code == "expansion", name


def test_slides_and_pages_are_numbered(parser: FileParser, messy: Path) -> None:
    for name, num_pages in {
        "docling__powerpoint_sample.pptx": 3,
        "docling__redp5110_sampled.pdf": 18,
        "docling__multi_page.pdf": 5,
    }.items():
        parsed = parser.parse((messy / name).read_bytes(), filename=name)
        pages = [block.page for block in parsed.blocks]
        assert None not in pages
        assert pages == sorted(pages, key=lambda page: page or 0)
        assert pages[-1] == parsed.metadata["pages"] == num_pages, name


def test_closing_leaves_no_worker_and_no_folder(messy: Path) -> None:
    parser = FileParser()
    path = messy / "markitdown__test.docx"
    parser.parse(path.read_bytes(), filename=path.name)
    (worker,) = parser._sandbox._workers
    parser.close()
    assert worker.process.poll() is not None
    assert not Path(worker.home).exists()
    assert parser._sandbox.pids == []
