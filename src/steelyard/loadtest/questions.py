"""Reading a file of questions."""

import json
from pathlib import Path

from steelyard.core.errors import InputError

FIELDS = ("question", "query", "text")
MAX_BYTES = 64 * 2**20


def read_questions(path: Path) -> list[str]:
    """Return the distinct questions of a file in their order; one a line, plain or JSON.

    A line that begins with `{` is JSON with one of `FIELDS`; empty lines are left out.

    Raises:
        InputError: no such file, not text, a line that cannot be read, or no question at all.
    """
    text = _text(path)
    found: dict[str, None] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        question = _question(line.strip(), place=f"{path}:{number}")
        if question:
            found[question] = None
    if not found:
        raise InputError(f"{path} has no question; write one a line")
    return list(found)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES:,} bytes; take a sample of it")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot read {str(path)!r}: {reason}; check the spelling") from error


def _question(line: str, *, place: str) -> str:
    if not line.startswith("{"):
        return line
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} begins with '{{' and is not JSON: {error}") from error
    for field in FIELDS:
        value = row.get(field)
        if isinstance(value, str) and value.strip():
            return value.strip()
    known = ", ".join(repr(field) for field in FIELDS)
    has = ", ".join(repr(key) for key in list(row)[:8]) or "no field"
    raise InputError(f"{place} has none of {known} with text in it (it has {has})")
