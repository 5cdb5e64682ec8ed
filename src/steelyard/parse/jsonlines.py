"""JSON and JSON Lines as readable `path: value` lines."""

import json
from collections.abc import Iterator

from steelyard.core.documents import BlockKind
from steelyard.core.errors import ParseError
from steelyard.parse.draft import Composer, Draft, one_line

_TITLE_KEYS = ("title", "name", "headline", "subject")
_MAX_DEPTH = 200
_TRIED_LINES = 20  # if none of them is JSON, no line will be

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


def parse(text: str) -> Draft:
    """Return one block for each record (of a list, or a line) or for each key of an object.

    Raises:
        ParseError: neither JSON nor lines of JSON (`damaged`).
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ParseError("the JSON is nested too deeply", code="expansion") from None
    except ValueError as error:
        return _parse_lines(text, error)
    composer = Composer()
    if isinstance(value, list):
        for record in value:
            _add(composer, record)
    elif isinstance(value, dict):
        _add_object(composer, value)
    else:
        composer.add(BlockKind.PARAGRAPH, _scalar(value))
    return composer.draft(title=_title(value))


def _parse_lines(text: str, error: ValueError) -> Draft:
    composer = Composer()
    num_read = num_lines = 0
    for line in text.split("\n"):
        if not line.strip():
            continue
        num_lines += 1
        if num_lines > _TRIED_LINES and not num_read:
            break
        try:
            _add(composer, json.loads(line))
            num_read += 1
        except (ValueError, RecursionError):
            composer.add(BlockKind.PARAGRAPH, line)
    if num_read < max(1, num_lines / 2):
        raise ParseError(f"the file is neither JSON nor lines of JSON: {error}", code="damaged")
    return composer.draft()


def _add(composer: Composer, record: Json) -> None:
    composer.add(BlockKind.PARAGRAPH, "\n".join(_lines(record)))


def _add_object(composer: Composer, value: dict[str, Json]) -> None:
    """Scalars of an object make one block; each nested value its own, each record of a list too."""
    plain = {key: item for key, item in value.items() if not _nests(item)}
    _add(composer, plain)
    for key, item in value.items():
        if not _nests(item):
            continue
        if isinstance(item, list):
            for index, record in enumerate(item):
                composer.add(BlockKind.PARAGRAPH, "\n".join(_lines(record, f"{key}[{index}]")))
        else:
            composer.add(BlockKind.PARAGRAPH, "\n".join(_lines(item, key)))


def _nests(value: Json) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, dict | list) for item in value)
    return isinstance(value, dict)


def _lines(value: Json, path: str = "", depth: int = 0) -> Iterator[str]:
    """Yield `a.b[0].c: value`; a list of scalars is one line."""
    if depth > _MAX_DEPTH:
        raise ParseError("the JSON is nested too deeply", code="expansion")
    if isinstance(value, dict):
        for key, item in value.items():
            name = one_line(str(key))
            yield from _lines(item, f"{path}.{name}" if path else name, depth + 1)
    elif isinstance(value, list) and _nests(value):
        for index, item in enumerate(value):
            yield from _lines(item, f"{path}[{index}]", depth + 1)
    else:
        words = ", ".join(map(_scalar, value)) if isinstance(value, list) else _scalar(value)
        if words.strip():
            yield f"{path}: {words}" if path else words


def _scalar(value: Json) -> str:
    if isinstance(value, str):
        return value.strip()
    return "" if value is None else json.dumps(value)


def _title(value: Json) -> str:
    if not isinstance(value, dict):
        return ""
    named = (value.get(key) for key in _TITLE_KEYS)
    return next((one_line(name)[:200] for name in named if isinstance(name, str)), "")
