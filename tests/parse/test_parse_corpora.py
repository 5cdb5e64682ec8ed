"""Real documentation trees and quarterly reports."""

import gzip
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard.core.documents import BlockKind, Parsed
from steelyard.parse import FileParser


@pytest.fixture(scope="module")
def documentation(data: Path, parser: FileParser) -> dict[str, Parsed]:
    with tarfile.open(data / "docs_fastapi" / "native.tar.gz") as archive:
        members = [member for member in archive if member.isfile()]
        return {
            member.name: parser.parse(stream.read(), filename=member.name)
            for member in members
            if (stream := archive.extractfile(member)) is not None
        }


def of_kind(parsed: Parsed, kind: BlockKind) -> Iterator[str]:
    return (parsed.text[b.start : b.end] for b in parsed.blocks if b.kind is kind)


def test_documentation_is_read_whole(
    documentation: dict[str, Parsed], promises: Callable[[Parsed], None]
) -> None:
    assert len(documentation) == 244
    for parsed in documentation.values():
        promises(parsed)


def test_pages_of_documentation_are_named_by_their_heading(
    documentation: dict[str, Parsed],
) -> None:
    titles = {name.removeprefix("./"): parsed.title for name, parsed in documentation.items()}
    assert titles["fastapi/python-types.md"] == "Python Types Intro"
    assert titles["dask/caching.rst"] == "Opportunistic Caching"
    named = [
        name for name, parsed in documentation.items() if any(of_kind(parsed, BlockKind.HEADING))
    ]
    assert len(named) > 0.95 * len(documentation)


def test_fenced_code_is_never_cut(documentation: dict[str, Parsed]) -> None:
    num_fences = 0
    for name, parsed in documentation.items():
        if not name.endswith(".md"):
            continue
        for code in of_kind(parsed, BlockKind.CODE):
            opening = re.match(r"\s*(`{3,})", code)
            if opening:
                num_fences += 1
                assert code.rstrip().endswith(opening.group(1)), (name, code[:80])
    assert num_fences > 300


def test_no_heading_carries_its_markup(documentation: dict[str, Parsed]) -> None:
    for name, parsed in documentation.items():
        for heading in of_kind(parsed, BlockKind.HEADING):
            assert not heading.startswith("#"), (name, heading)
            assert "\n" not in heading, (name, heading)
            assert not re.search(r"\{ ?#[\w-]+ ?\}$", heading), (name, heading)


def test_reports_have_the_pages_that_another_reader_found(data: Path, parser: FileParser) -> None:
    folder = data / "sec_10q_pdf"
    path = folder / "pdfs" / "2023_Q1_AAPL.pdf"
    parsed = parser.parse(path.read_bytes(), filename=path.name)
    assert parsed.media_type == "application/pdf"
    assert parsed.metadata["pages"] == max(block.page or 0 for block in parsed.blocks)
    with gzip.open(folder / "corpus.jsonl.gz", "rt") as lines:
        records = [json.loads(line) for line in lines]
    pages: dict[int, str] = {}
    for block in parsed.blocks:
        text = pages.get(block.page or 0, "") + " " + parsed.text[block.start : block.end]
        pages[block.page or 0] = text
    theirs = [record for record in records if record["title"] == path.stem]
    assert len(theirs) > 20
    agreeing = 0
    for record in theirs:
        words = set(re.findall(r"\w{5,}", record["text"]))
        page = int(record["id"].rsplit("#p", 1)[1]) + 1  # they count from 0
        ours = set(re.findall(r"\w{5,}", pages.get(page, "")))
        agreeing += len(words & ours) >= 0.8 * len(words)
    assert agreeing >= 0.9 * len(theirs)


def test_figures_of_a_report_stay_in_rows(data: Path, parser: FileParser) -> None:
    path = data / "sec_10q_pdf" / "pdfs" / "2022_Q3_AAPL.pdf"
    parsed = parser.parse(path.read_bytes(), filename=path.name)
    tables = list(of_kind(parsed, BlockKind.TABLE))
    assert any(
        re.search(r"^Total net sales 82,959 81,434 304,182 282,457$", t, re.M) for t in tables
    )
