"""What a filter can look at, field by field, as SQL over a row `d` of `documents`.

Every field answers the same four questions: `any_of`, `compare`, `contains`, `exists`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from steelyard.core.errors import InputError

MAX_CONDITIONS = 100  # side by side; nested six deep this stays below SQLite's tree limit of 1,000
MAX_WILDCARDS = 8
_MAX_INTEGER = 2**63
_MAX_MESSAGE_CHARS = 400  # a message names the value, which may be long

# What SQLite's JSON paths can name; inside quotes they know no escape.
_KEY = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]{1,200}')
_TEXT_COLUMNS = {
    "id": "d.id",
    "uri": "d.uri",
    "source": "d.uri",
    "title": "d.title",
    "media_type": "d.media_type",
}
_TYPE_TESTS = {"string": "e.type = 'text'", "number": "e.type IN ('integer', 'real')"}


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL over a row `d` of `documents`; true or false, never NULL."""

    sql: str
    parameters: tuple[object, ...] = ()

    def negated(self) -> "Condition":
        return Condition(f"NOT ({self.sql})", self.parameters)


_TRUE = Condition("1")
_FALSE = Condition("0")


@dataclass(frozen=True, slots=True)
class MetadataField:
    """A field of the metadata object; a list is looked at item by item, as `e`."""

    key: str
    path: str

    def any_of(self, values: Sequence[object]) -> Condition:
        kinds: dict[str, list[object]] = {}
        for value in values:
            kinds.setdefault(kind_of(self.key, value), []).append(value)
        tests: list[Condition] = []
        for kind, members in kinds.items():
            if kind in ("true", "false", "null"):
                tests.append(Condition(f"e.type = '{kind}'"))
            else:
                marks = ", ".join("?" * len(members))
                tests.append(
                    Condition(f"{_TYPE_TESTS[kind]} AND e.value IN ({marks})", (*members,))
                )
        found = self._any_item(joined("OR", tests))
        return joined("OR", [found, self.exists().negated()]) if "null" in kinds else found

    def compare(self, sign: str, value: object) -> Condition:
        kind = kind_of(self.key, value)
        if kind not in _TYPE_TESTS:
            raise bad_filter(
                f"{self.key!r} cannot be compared with {value!r}: give a number or a string"
            )
        return self._any_item(Condition(f"{_TYPE_TESTS[kind]} AND e.value {sign} ?", (value,)))

    def contains(self, value: object) -> Condition:
        """A list contains an item; a string contains a string."""
        listed = self.any_of([value])
        is_list = Condition("coalesce(json_type(d.metadata, ?), '') = 'array'", (self.path,))
        found = joined("AND", [is_list, listed])
        if not isinstance(value, str):
            return found
        inside = Condition(
            "(coalesce(json_type(d.metadata, ?), '') = 'text' "
            "AND instr(json_extract(d.metadata, ?), ?) > 0)",
            (self.path, self.path, value),
        )
        return joined("OR", [found, inside])

    def exists(self) -> Condition:
        return Condition("json_type(d.metadata, ?) IS NOT NULL", (self.path,))

    def _any_item(self, test: Condition) -> Condition:
        return Condition(
            f"EXISTS (SELECT 1 FROM json_each(d.metadata, ?) AS e WHERE {test.sql})",
            (self.path, *test.parameters),
        )


@dataclass(frozen=True, slots=True)
class TextColumn:
    key: str
    column: str

    def any_of(self, values: Sequence[object]) -> Condition:
        texts = [self._text(value) for value in values]
        patterns = [text for text in texts if self._is_pattern(text)]
        plain = [text for text in texts if not self._is_pattern(text)]
        tests = [Condition(f"{self.column} GLOB ?", (_glob(text),)) for text in patterns]
        if plain:
            marks = ", ".join("?" * len(plain))
            tests.append(Condition(f"{self.column} IN ({marks})", (*plain,)))
        return joined("OR", tests)

    def compare(self, sign: str, value: object) -> Condition:
        return Condition(f"{self.column} {sign} ?", (self._text(value),))

    def contains(self, value: object) -> Condition:
        return Condition(f"instr({self.column}, ?) > 0", (self._text(value),))

    def exists(self) -> Condition:
        return Condition(f"{self.column} <> ''")

    def _is_pattern(self, text: str) -> bool:
        return self.column == "d.uri" and ("*" in text or text.endswith("/"))

    def _text(self, value: object) -> str:
        if not isinstance(value, str):
            raise bad_filter(f"{self.key!r} is a string, so it cannot be {value!r}")
        return value


@dataclass(frozen=True, slots=True)
class TimeColumn:
    key: str

    def any_of(self, values: Sequence[object]) -> Condition:
        return joined("OR", [self._equals(value) for value in values])

    def compare(self, sign: str, value: object) -> Condition:
        first, last = self._range(value)
        if sign == ">" and last > first:
            return Condition("d.updated_at >= ?", (last,))
        if sign == "<=" and last > first:
            return Condition("d.updated_at < ?", (last,))
        return Condition(f"d.updated_at {sign} ?", (first,))

    def contains(self, value: object) -> Condition:
        raise bad_filter(f"{self.key!r} is a time; $contains is for strings and lists")

    def exists(self) -> Condition:
        return _TRUE

    def _equals(self, value: object) -> Condition:
        first, last = self._range(value)
        if last == first:
            return Condition("d.updated_at = ?", (first,))
        return Condition("(d.updated_at >= ? AND d.updated_at < ?)", (first, last))

    def _range(self, value: object) -> tuple[float, float]:
        """Return first and last second of what is meant; a date's end is the next midnight."""
        if isinstance(value, int | float) and kind_of(self.key, value) == "number":
            return float(value), float(value)
        if not isinstance(value, str):
            raise bad_filter(f"{self.key!r} is a time, so it cannot be {value!r}")
        try:
            midnight = datetime.combine(date.fromisoformat(value), time(), UTC)
            return midnight.timestamp(), (midnight + timedelta(days=1)).timestamp()
        except (ValueError, OverflowError):
            pass
        try:
            moment = datetime.fromisoformat(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return moment.timestamp(), moment.timestamp()
        except (ValueError, OverflowError):
            raise bad_filter(
                f"{self.key!r} takes Unix seconds or ISO 8601 such as '2026-01-31T12:00:00Z', "
                f"not {value!r}"
            ) from None


Field = MetadataField | TextColumn | TimeColumn


def field_named(key: str) -> Field:
    if key in _TEXT_COLUMNS:
        return TextColumn(key, _TEXT_COLUMNS[key])
    if key == "updated_at":
        return TimeColumn(key)
    if not _KEY.fullmatch(key):
        raise bad_filter(
            f"Field {key!r} cannot be filtered: a name has 1 to 200 characters and no quotes, "
            f"backslashes or control characters"
        )
    return MetadataField(key, f'$."{key}"')


def _glob(text: str) -> str:
    """Return SQLite's pattern for ours, in which only `*` is special; `a/` means `a/*`."""
    if text.count("*") > MAX_WILDCARDS:
        raise bad_filter(f"{text!r} has more than {MAX_WILDCARDS} wildcards")
    pattern = text.replace("[", "[[]").replace("?", "[?]")
    return pattern + "*" if text.endswith("/") and "*" not in text else pattern


def joined(word: str, parts: Sequence[Condition]) -> Condition:
    """Join conditions; none of AND is true, none of OR is false."""
    if not parts:
        return _TRUE if word == "AND" else _FALSE
    if len(parts) == 1:
        return parts[0]
    if len(parts) > MAX_CONDITIONS:
        raise bad_filter(f"A filter holds at most {MAX_CONDITIONS} conditions side by side")
    sql = f" {word} ".join(part.sql for part in parts)
    return Condition(f"({sql})", tuple(p for part in parts for p in part.parameters))


def kind_of(key: str, value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int) and -_MAX_INTEGER <= value < _MAX_INTEGER:
        return "number"
    if isinstance(value, float) and math.isfinite(value):
        return "number"
    raise bad_filter(f"{value!r} on {key!r} is not a string, finite 64-bit number, boolean or null")


def bad_filter(message: str) -> InputError:
    if len(message) > _MAX_MESSAGE_CHARS:
        message = message[:_MAX_MESSAGE_CHARS] + "..."
    return InputError(message, code="bad_filter")
