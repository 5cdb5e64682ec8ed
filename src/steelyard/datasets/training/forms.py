"""The usual forms of training rows: how each is told, read and written. The first that fits."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.core.errors import InputError
from steelyard.core.training import (
    Chat,
    Example,
    Kind,
    Labelled,
    Preference,
    Reading,
    Retrieval,
    TrainingRow,
)
from steelyard.datasets.training.canonical import example_fields, row_fields
from steelyard.datasets.training.conversations import (
    alpaca_fields,
    pair_fields,
    prompt_fields,
    read_alpaca,
    read_pair,
    read_prompt,
    read_sharegpt,
    sharegpt_fields,
)
from steelyard.datasets.training.fields import Fields

OWN = "steelyard"


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write rows. A row that has all of `needs` may be of it; `may` are the other
    fields that it knows. `write` gives None for an example that the form cannot hold."""

    name: str
    kinds: tuple[Kind, ...]
    needs: frozenset[str]
    may: frozenset[str]
    read: Callable[[Fields], Example]
    write: Callable[[TrainingRow], Mapping[str, Any] | None]


def detect(rows: Iterable[Mapping[str, Any]]) -> Form:
    """Return the form that most of `rows` fit.

    Raises:
        InputError: none of them fits any.
    """
    seen: Counter[str] = Counter()
    names: dict[str, None] = {}
    for fields in rows:
        found = next((form for form in FORMS if fields.keys() >= form.needs), None)
        seen.update([found.name] if found else [])
        names |= dict.fromkeys(fields)
    if not seen:
        known = "; ".join(f"{form.name} ({', '.join(sorted(form.needs))})" for form in FORMS)
        there = ", ".join(map(repr, list(names)[:8])) or "no field"
        raise InputError(f"no form fits rows with {there}; known are {known}; see docs/data.md")
    return form_named(seen.most_common(1)[0][0])


def form_named(name: str) -> Form:
    """Return one of `FORMS`.

    Raises:
        InputError: there is no such form.
    """
    for form in FORMS:
        if form.name == name:
            return form
    raise InputError(f"no form {name!r}; give one of {', '.join(form.name for form in FORMS)}")


def _read_own(fields: Fields) -> Example:
    kind = fields.text("kind")
    if kind not in _BY_KIND:
        fields.fault("kind", f"must be one of {', '.join(_BY_KIND)}")
        return Labelled("", "")
    return _BY_KIND[kind](fields)


def _read_chat(fields: Fields) -> Example:
    return Chat(fields.turns("messages"), fields.tools())


def _read_preference(fields: Fields) -> Example:
    given = fields.within(fields.get("input"), "input")
    example = Preference(
        turns=given.turns("messages"),
        preferred=fields.turns("preferred_output"),
        rejected=fields.turns("non_preferred_output"),
        tools=given.tools(),
    )
    fields.sound = fields.sound and given.sound
    return example


def _read_retrieval(fields: Fields) -> Example:
    return Retrieval(fields.text("query"), fields.texts("positives"), fields.texts("negatives"))


def _read_squad(fields: Fields) -> Example:
    answers = fields.spans()
    impossible = fields.get("is_impossible")
    if impossible is not None and not isinstance(impossible, bool):
        fields.fault("is_impossible", "must be true or false")
    elif impossible and answers:
        fields.fault("answers", "holds answers, but the question is impossible")
    elif not impossible and not answers and (impossible is False or not fields.has("answers")):
        fields.fault("answers", "is missing; a question without one needs is_impossible: true")
    question, context = fields.text("question"), fields.text("context")
    return Reading(question, context, answers, fields.text("title", missing=""))


def _read_labelled(fields: Fields) -> Example:
    return Labelled(fields.text("text"), fields.text("label"))


def _write(row: TrainingRow) -> Mapping[str, Any] | None:
    return example_fields(row.example)


def _write_squad(row: TrainingRow) -> Mapping[str, Any] | None:
    return {"id": row.provenance.id, **example_fields(row.example)}


def _form(
    name: str,
    kind: Kind,
    needs: tuple[str, ...],
    read: Callable[[Fields], Example],
    *,
    may: tuple[str, ...] = (),
    write: Callable[[TrainingRow], Mapping[str, Any] | None] = _write,
) -> Form:
    return Form(name, (kind,), frozenset(needs), frozenset(may), read, write)


_BY_KIND: Mapping[str, Callable[[Fields], Example]] = {
    Kind.CHAT.value: _read_chat,
    Kind.PREFERENCE.value: _read_preference,
    Kind.RETRIEVAL.value: _read_retrieval,
    Kind.READER.value: _read_squad,
    Kind.LABELLED.value: _read_labelled,
}
_EVERY_FIELD = (
    *("messages", "tools", "input", "preferred_output", "non_preferred_output", "query"),
    *("positives", "negatives", "context", "question", "answers", "is_impossible", "title"),
    *("text", "label"),
)
FORMS: tuple[Form, ...] = (
    Form(
        OWN, tuple(Kind), frozenset(("kind", "provenance")), frozenset(_EVERY_FIELD),
        _read_own, row_fields,
    ),
    _form("openai-preference", Kind.PREFERENCE,
          ("input", "preferred_output", "non_preferred_output"), _read_preference),
    _form("openai-chat", Kind.CHAT, ("messages",), _read_chat, may=("tools",)),
    _form("sharegpt", Kind.CHAT, ("conversations",), read_sharegpt, may=("system", "tools"),
          write=sharegpt_fields),
    _form("alpaca", Kind.CHAT, ("instruction", "output"), read_alpaca,
          may=("input", "system", "history"), write=alpaca_fields),
    _form("prompt-chosen-rejected", Kind.PREFERENCE, ("prompt", "chosen", "rejected"), read_pair,
          write=pair_fields),
    _form("prompt-completion", Kind.CHAT, ("prompt", "completion"), read_prompt,
          write=prompt_fields),
    _form("retrieval", Kind.RETRIEVAL, ("query", "positives"), _read_retrieval,
          may=("negatives",)),
    _form("squad", Kind.READER, ("question", "context"), _read_squad,
          may=("answers", "is_impossible", "title"), write=_write_squad),
    _form("labelled", Kind.LABELLED, ("text", "label"), _read_labelled),
)  # fmt: skip
