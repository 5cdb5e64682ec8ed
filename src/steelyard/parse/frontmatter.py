"""The `key: value` lines between two `---` at the top of a text."""

import re

from steelyard.core.documents import MetadataValue
from steelyard.parse.draft import one_line

_PAIR = re.compile(r"([A-Za-z][\w .-]{0,60}?)\s*[:=]\s*(.*)")
_FENCES = ("---", "+++")
_MAX_LINES = 200
_MAX_VALUE_CHARS = 500


def split_front_matter(text: str) -> tuple[dict[str, MetadataValue], str]:
    """Return the front matter and the text without it; an empty mapping if there is none.

    Reads the flat part of YAML and TOML (scalars, lists in brackets or dashes); nested keys
    are left out. Every value is text or a list of texts.
    """
    fence = text[:3]
    if fence not in _FENCES or text[3:].split("\n", 1)[0].strip():
        return {}, text
    lines = text.split("\n", _MAX_LINES)[:_MAX_LINES]
    for index, line in enumerate(lines[1:], start=1):
        if line.rstrip() in (fence, "..."):
            pairs = _pairs(lines[1:index])
            if not pairs and index > 1:
                return {}, text
            rest = text[sum(len(line) + 1 for line in lines[: index + 1]) :]
            return pairs, rest.lstrip("\n")
    return {}, text


def _pairs(lines: list[str]) -> dict[str, MetadataValue]:
    pairs: dict[str, MetadataValue] = {}
    key = ""
    for line in lines:
        stripped = line.strip()
        if key and stripped.startswith("- "):
            value = pairs.get(key)
            items = value if isinstance(value, list) else []
            pairs[key] = [*items, _scalar(stripped[2:])]
        elif not line[:1].isspace() and (found := _PAIR.fullmatch(stripped)):
            key = found.group(1).strip().lower()
            pairs[key] = _value(found.group(2))
    return {key: value for key, value in pairs.items() if value not in ("", [])}


def _value(text: str) -> MetadataValue:
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        items = [_scalar(item) for item in text[1:-1].split(",")]
        return [item for item in items if item]
    return _scalar(text)


def _scalar(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return one_line(text)[:_MAX_VALUE_CHARS]
