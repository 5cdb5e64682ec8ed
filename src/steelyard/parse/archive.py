"""Containers, before anyone unpacks them: is what they hold as small as they say, and honest?"""

import io
import zipfile
import zlib

from steelyard.core.errors import ParseError

_MAX_ENTRIES = 20_000
_MAX_TOTAL_BYTES = 1 << 30
_MAX_PART_BYTES = 100 << 20  # kreuzberg's own bound for one part of a document
_MAX_RATIO = 200  # XML of a large regular sheet packs 100 : 1
_RATIO_FREE_BYTES = 8 << 20
_BLOCK = 1 << 20
_TEXT_SUFFIXES = (".xml", ".rels", ".html", ".xhtml", ".htm", ".opf", ".ncx")


def check_zip(content: bytes) -> None:
    """Refuse a container that lies about its size, unpacks to too much, or leads elsewhere.

    Reads the directory, then really inflates every part, block by block, keeping nothing.

    Raises:
        ParseError: `expansion` (too many, too large, too dense), `damaged`, or `encrypted`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            _check_directory(parts)
            budget = _MAX_TOTAL_BYTES
            for part in parts:
                budget -= _inflate(archive, part, budget)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise ParseError(f"the container is damaged: {error}", code="damaged") from None
    except (RuntimeError, OSError, OverflowError) as error:
        raise ParseError(f"the container cannot be read: {error}", code="damaged") from None


def _check_directory(parts: list[zipfile.ZipInfo]) -> None:
    if len(parts) > _MAX_ENTRIES:
        raise ParseError(
            f"the container holds {len(parts)} parts, the limit is {_MAX_ENTRIES}", code="expansion"
        )
    for part in parts:
        name = part.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
            raise ParseError(f"the container holds a part named {name[:100]!r}", code="expansion")
        if part.flag_bits & 1:
            raise ParseError(
                "the container is encrypted; save it without a password", code="encrypted"
            )


def _inflate(archive: zipfile.ZipFile, part: zipfile.ZipInfo, budget: int) -> int:
    """Inflate one part and return its size."""
    size, head = 0, b""
    with archive.open(part) as stream:
        while block := stream.read(_BLOCK):
            head = head or block[:4096]
            size += len(block)
            dense = size > _RATIO_FREE_BYTES and size > _MAX_RATIO * max(part.compress_size, 1)
            if size > min(budget, _MAX_PART_BYTES) or dense:
                raise ParseError(
                    f"the part {part.filename[:100]!r} unpacks to more than {size >> 20} MiB from "
                    f"{part.compress_size} bytes",
                    code="expansion",
                )
    if part.filename.lower().endswith(_TEXT_SUFFIXES) and b"<!ENTITY" in head:
        raise ParseError(
            f"the part {part.filename[:100]!r} declares entities, which are not expanded",
            code="expansion",
        )
    return size


def inflate_gzip(content: bytes, *, max_bytes: int) -> bytes:
    """Return what a gzip file holds.

    Raises:
        ParseError: it unpacks to more than `max_bytes` (`expansion`), or is `damaged`.
    """
    parts: list[bytes] = []
    size = 0
    while content:
        stream = zlib.decompressobj(wbits=31)
        try:
            parts.append(stream.decompress(content, max_bytes - size + 1))
        except zlib.error as error:
            raise ParseError(f"the gzip file is damaged: {error}", code="damaged") from None
        size += len(parts[-1])
        if size > max_bytes:
            raise ParseError(f"the file unpacks to more than {max_bytes} bytes", code="expansion")
        if not stream.eof:
            raise ParseError("the gzip file ends too early", code="damaged")
        content = stream.unused_data.lstrip(b"\0")  # members may follow, or padding
    return b"".join(parts)
