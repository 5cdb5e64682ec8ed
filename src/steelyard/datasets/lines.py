"""Bytes of a set's file → its text → its rows, whatever the compression and the encoding."""

import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from steelyard.core.errors import InputError
from steelyard.datasets.ledger import Ledger, Place

MAX_BYTES = 2 * 2**30
_HALVES = re.compile("[\ud800-\udfff]")
_GZIP_MAGIC = b"\x1f\x8b"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One JSON object of a file, and where it stood."""

    place: Place
    fields: dict[str, Any]


def read_text(path: Path, ledger: Ledger) -> str:
    """Return a file's text, unpacked if it is gzip whatever its name, without a byte-order mark.

    Lines that are not UTF-8 are read as Windows-1252 and counted.

    Raises:
        InputError: no such file, a torn or overlong one, or no text at all.
    """
    content = _content(path)
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            if encoding != "utf-8":
                ledger.note(f"{path.name} is {encoding.upper()} and was read as such")
            return _decoded(content, path, encoding if encoding != "utf-8" else "utf-8-sig", ledger)
    zeros = content[:4096].count(0)
    if zeros > len(content[:4096]) // 4:
        little = content[1:4096:2].count(0) >= content[0:4096:2].count(0)
        ledger.note(f"{path.name} has no byte-order mark and was read as UTF-16")
        return _decoded(content, path, "utf-16-le" if little else "utf-16-be", ledger)
    return _decoded(content, path, "utf-8", ledger)


def read_lines(path: Path, ledger: Ledger) -> Iterator[tuple[Place, str]]:
    """Yield each line that is not blank with its number; any line ends are understood."""
    yield from _numbered(read_text(path, ledger), path)


def read_rows(path: Path, ledger: Ledger) -> Iterator[Row]:
    """Yield the JSON objects of a file of lines, or of one array; other rows become faults."""
    text = read_text(path, ledger)
    if text.lstrip()[:1] == "[":
        yield from _array_rows(text, path, ledger)
        return
    for place, line in _numbered(text, path):
        try:
            value = parse_json(line, ledger, place)
        except ValueError as error:
            ledger.fault(place, f"is no JSON: {error}")
            continue
        yield from _row(value, place, ledger)


def parse_json(text: str, ledger: Ledger, place: Place) -> Any:
    """Return a JSON value whose strings any database and any page can carry.

    Raises:
        ValueError: not JSON, or a number that JSON does not know (NaN, Infinity), or a nesting
            too deep.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, strict=False)
        if "\\u" in text or "\0" in text:  # only then can a string hold what no text should
            value = _clean(value, ledger, place)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def _numbered(text: str, path: Path) -> Iterator[tuple[Place, str]]:
    ends = "\n" if "\n" in text else "\r"
    for number, line in enumerate(text.split(ends), start=1):
        if line.strip():
            yield Place(path.name, number), line.rstrip("\r")


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if content.startswith(_GZIP_MAGIC):
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
                content = packed.read(MAX_BYTES + 1)
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise InputError(f"{path} is damaged gzip ({error}); fetch it again") from error
        reason = error.strerror or str(error)
        raise InputError(f"cannot read {str(path)!r}: {reason}; check the spelling") from error
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path} is torn: its gzip stream breaks off; fetch it again") from error
    if len(content) > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES:,} bytes unpacked; take a part of it")
    return content


def _decoded(content: bytes, path: Path, encoding: str, ledger: Ledger) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if not encoding.startswith("utf-8"):
            raise InputError(
                f"{path} is not text (byte {error.start} is no {encoding}); save it as UTF-8"
            ) from error
    lines = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            lines.append(line.decode("cp1252", errors="replace"))
            ledger.count(
                f"lines of {path.name} that are not UTF-8 were read as Windows-1252",
                Place(path.name, number),
            )
    return "\n".join(lines).removeprefix("\ufeff")


def _array_rows(text: str, path: Path, ledger: Ledger) -> Iterator[Row]:
    place = Place(path.name)
    try:
        values = parse_json(text, ledger, place)
    except ValueError as error:
        ledger.fault(place, f"begins with '[' and is no JSON array: {error}")
        return
    ledger.note(f"{path.name} is one JSON array; places count its items")
    for number, value in enumerate(values, start=1):
        yield from _row(value, Place(path.name, number), ledger)


def _row(value: Any, place: Place, ledger: Ledger) -> Iterator[Row]:
    if isinstance(value, dict):
        yield Row(place, value)
    else:
        ledger.fault(place, f"is a JSON {_kind(value)}, not an object in braces")


def _kind(value: Any) -> str:
    names = {list: "array", str: "string", bool: "truth value", type(None): "null"}
    return names.get(type(value), "number")


def _clean(value: Any, ledger: Ledger, place: Place) -> Any:
    """Put as many characters for NUL and lone surrogates, so that spans keep their places."""
    if isinstance(value, str):
        clean = _HALVES.sub("\ufffd", value.replace("\0", " "))
        if clean != value:
            ledger.count("rows with NUL or half characters, which were replaced", place)
        return clean
    if isinstance(value, list):
        return [_clean(item, ledger, place) for item in value]
    if isinstance(value, dict):
        cleaned = {_clean(key, ledger, place): item for key, item in value.items()}
        return {key: _clean(item, ledger, place) for key, item in cleaned.items()}
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
