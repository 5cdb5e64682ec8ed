"""Where the shared data lies, one parser for all tests, and what every result must keep."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard.core.documents import BlockKind, Parsed
from steelyard.parse import FileParser, ParseOptions


@pytest.fixture(scope="session")
def parser() -> Iterator[FileParser]:
    parser = FileParser(ParseOptions(cpu_s=30, wall_s=60))
    yield parser
    parser.close()


@pytest.fixture(scope="session")
def data() -> Path:
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("STEELYARD_DATA") or root.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"the shared data is not at {folder}; set STEELYARD_DATA to its folder")
    return folder


def _keeps_its_promises(parsed: Parsed) -> None:
    parsed.text.encode("utf-8")
    assert "\x00" not in parsed.text
    assert "\r" not in parsed.text
    assert parsed.title.strip() == parsed.title != ""
    assert "\n" not in parsed.title
    assert parsed.media_type
    assert parsed.blocks
    cursor = 0
    for block in parsed.blocks:
        assert cursor <= block.start < block.end <= len(parsed.text), block
        cursor = block.end
        assert parsed.text[block.start : block.end].strip()
        assert (1 <= block.level <= 6) == (block.kind is BlockKind.HEADING), block
        assert block.page is None or block.page >= 1


@pytest.fixture(scope="session")
def promises() -> Callable[[Parsed], None]:
    """Asserts what `core.documents` promises of a parsed file."""
    return _keeps_its_promises
