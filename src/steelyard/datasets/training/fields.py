"""Fields of a training file's row → typed values; a fault names the place, never the text."""

import json
from datetime import UTC, datetime
from typing import Any

from steelyard.core.training import Provenance, Span, ToolCall, Turn
from steelyard.datasets.ledger import Ledger, Place
from steelyard.datasets.lines import Row
from steelyard.datasets.training.canonical import canonical

# Names under which provenance is found beside an example.
PROVENANCE: dict[str, tuple[str, ...]] = {
    "id": ("id", "_id", "row_id"),
    "origin": ("origin", "source"),
    "licence": ("licence", "license"),
    "documents": ("documents", "document_ids", "doc_ids", "document_id", "doc_id"),
    "user": ("user", "user_id"),
    "conversation": ("conversation", "conversation_id", "dialog_id"),
    "at": ("at", "time", "timestamp", "created_at"),
}
BESIDE = frozenset(name for names in PROVENANCE.values() for name in names) | {"file", "line"}
_WORDS = {str: "text", bool: "a truth value", type(None): "null", list: "a list", dict: "an object"}
_LATEST_S = 32_503_680_000.0  # the year 3000: what is above was given in milliseconds


class Fields:
    """Takes typed fields out of one object. A message shows a value's type only: the value may
    be a secret."""

    def __init__(self, row: Row, ledger: Ledger) -> None:
        self._row = row
        self._ledger = ledger
        self.sound = True

    @property
    def place(self) -> Place:
        return self._row.place

    def fault(self, name: str, problem: str) -> None:
        self.sound = False
        self._ledger.fault(self._row.place, f"field {name!r} {problem}")

    def get(self, name: str) -> Any:
        return self._row.fields.get(name)

    def has(self, name: str) -> bool:
        return self._row.fields.get(name) is not None

    def within(self, value: Any, name: str) -> "Fields":
        """Return an object inside this row, whose faults count here."""
        if not isinstance(value, dict):
            self.fault(name, f"must be an object, not {kind_of(value)}")
            value = {}
        return Fields(Row(self._row.place, value), self._ledger)

    def text(self, name: str, *, missing: str | None = None) -> str:
        value = self._row.fields.get(name)
        if isinstance(value, str):
            return value
        if value is None and missing is not None:
            return missing
        if value is None:
            self.fault(name, "is missing")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        else:
            self.fault(name, f"must be text, not {kind_of(value)}")
        return ""

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; one text alone is a list of one, nothing is none."""
        value = self._row.fields.get(name)
        listed = value if isinstance(value, list) else [] if value is None else [value]
        for number, item in enumerate(listed):
            if not isinstance(item, str):
                self.fault(f"{name}[{number}]", f"must be text, not {kind_of(item)}")
                return ()
        return tuple(listed)

    def turns(self, name: str) -> tuple[Turn, ...]:
        value = self._row.fields.get(name)
        if not isinstance(value, list):
            known = f"must be a list of turns, not {kind_of(value)}"
            self.fault(name, "is missing" if value is None else known)
            return ()
        return tuple(self._turn(item, f"{name}[{number}]") for number, item in enumerate(value))

    def tools(self) -> tuple[dict[str, Any], ...]:
        value = self._row.fields.get("tools")
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.fault("tools", f"must be a list of objects, not {kind_of(value)}")
            return ()
        if not _is_writable(value):
            self.fault("tools", "holds a number beyond all bounds, or is nested too deeply")
            return ()
        return tuple(value)

    def spans(self) -> tuple[Span, ...]:
        """Return SQuAD's answers: lists side by side, or a list of objects."""
        value = self._row.fields.get("answers")
        if value is None:
            return ()
        if isinstance(value, dict):
            texts, starts = value.get("text"), value.get("answer_start")
            if isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts):
                value = [
                    {"text": text, "answer_start": start}
                    for text, start in zip(texts, starts, strict=True)
                ]
        if not isinstance(value, list) or not all(map(_is_span, value)):
            self.fault("answers", 'must list {"text", "answer_start"}')
            return ()
        return tuple(dict.fromkeys(Span(one["text"], one["answer_start"]) for one in value))

    def provenance(self, file: str) -> Provenance:
        """Return what the row says of itself, with its place in `file` unless it says that too."""
        if BESIDE.isdisjoint(self._row.fields):
            return Provenance(file, self._row.place.number)
        return Provenance(
            file=self.text("file", missing=file) if self.has("line") else file,
            line=self._line(),
            id=self._named("id"),
            origin=self._named("origin"),
            licence=self._named("licence"),
            documents=tuple(dict.fromkeys(self._documents())),
            user=self._named("user"),
            conversation=self._named("conversation"),
            at=self._at(),
        )

    def _line(self) -> int:
        value = self._row.fields.get("line")
        return value if type(value) is int and self.has("file") else self._row.place.number

    def _named(self, name: str) -> str:
        given = self._known(name)
        value = self._row.fields.get(given)
        if value is None or isinstance(value, str):
            return value or ""
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        self.fault(given, f"must be text, not {kind_of(value)}")
        return ""

    def _documents(self) -> tuple[str, ...]:
        return self.texts(self._known("documents"))

    def _at(self) -> float | None:
        name = self._known("at")
        value = self._row.fields.get(name)
        if value is None:
            return None
        try:
            return _seconds(value)
        except (ValueError, OverflowError, TypeError):
            self.fault(name, "is no time: give seconds since 1970, or 2026-01-31T12:00:00Z")
            return None

    def _known(self, name: str) -> str:
        names = PROVENANCE[name]
        for one in names:
            if self._row.fields.get(one) is not None:
                return one
        return names[0]

    def _turn(self, value: Any, name: str) -> Turn:
        if not isinstance(value, dict):
            self.fault(name, f"must be an object with 'role', not {kind_of(value)}")
            return Turn("", "")
        role = value.get("role")
        if not isinstance(role, str):
            problem = f"must be text, not {kind_of(role)}"
            self.fault(f"{name}.role", "is missing" if role is None else problem)
            role = ""
        calls = self._calls(value, name)
        return Turn(
            role=role,
            content=self._content(value, name, needed=not calls),
            weight=self._weight(value, name, role),
            name=_text_or(value.get("name")),
            tool_calls=calls,
            tool_call_id=_text_or(value.get("tool_call_id")),
        )

    def _content(self, turn: dict[str, Any], name: str, *, needed: bool) -> str:
        """Return a turn's text; parts of text are joined, others cannot be learnt from."""
        value = turn.get("content")
        if isinstance(value, str):
            return value
        if value is None:
            if needed:
                self.fault(f"{name}.content", "is missing")
            return ""
        parts = value if isinstance(value, list) else [None]
        found = [part.get("text") if isinstance(part, dict) else None for part in parts]
        if any(not isinstance(text, str) for text in found):
            self.fault(f"{name}.content", f"must be text or parts of text, not {kind_of(value)}")
            return ""
        return "".join(text for text in found if isinstance(text, str))

    def _weight(self, turn: dict[str, Any], name: str, role: str) -> int:
        weight = turn.get("weight")
        if weight is None:
            return 1
        if isinstance(weight, bool) or weight not in (0, 1) or role != "assistant":
            self.fault(f"{name}.weight", "must be 0 or 1, and only an assistant's turn has one")
            return 1
        return int(weight)

    def _calls(self, turn: dict[str, Any], name: str) -> tuple[ToolCall, ...]:
        value = turn.get("tool_calls")
        if value is None:
            return ()
        calls = [_call(one) for one in value] if isinstance(value, list) else [None]
        if None in calls:
            self.fault(f"{name}.tool_calls", 'must list {"function": {"name", "arguments"}}')
            return ()
        return tuple(call for call in calls if call is not None)


def kind_of(value: Any) -> str:
    """Return a JSON value's type as a sentence names it."""
    return _WORDS.get(type(value), "a number")


def _text_or(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_span(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return isinstance(value.get("text"), str) and type(value.get("answer_start")) is int


def _call(value: Any) -> ToolCall | None:
    function = value.get("function") if isinstance(value, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return None
    arguments = function.get("arguments", "{}")
    if isinstance(arguments, dict) and _is_writable(arguments):
        arguments = canonical(arguments)
    if not isinstance(arguments, str):
        return None
    return ToolCall(_text_or(value.get("id")), function["name"], arguments)


def _is_writable(value: Any) -> bool:
    """Tell whether JSON can be written of a value that was read from it: 1e999 is read."""
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return False
    return True


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        moment = datetime.fromisoformat(value.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool):
        raise TypeError("a truth value")
    seconds = float(value)
    if seconds > _LATEST_S:
        seconds /= 1000.0
    if not 0 <= seconds < _LATEST_S:
        raise ValueError("out of range")
    return seconds
