"""The texts of an example, by the fields where they stand."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from steelyard.core.training import (
    Chat,
    Example,
    Labelled,
    Preference,
    Reading,
    Retrieval,
    Turn,
)


class FieldText(NamedTuple):
    field: str
    text: str


def texts_of(example: Example) -> Iterator[FieldText]:
    """Yield every text of an example; a reader's answers are part of its context."""
    match example:
        case Chat(turns, _):
            yield from _said(turns, "messages")
        case Preference(turns, preferred, rejected, _):
            yield from _said(turns, "input.messages")
            yield from _said(preferred, "preferred_output")
            yield from _said(rejected, "non_preferred_output")
        case Retrieval(query, positives, negatives):
            yield FieldText("query", query)
            for name, texts in (("positives", positives), ("negatives", negatives)):
                for number, text in enumerate(texts):
                    yield FieldText(f"{name}[{number}]", text)
        case Reading(question, context, _, title):
            yield from (FieldText("question", question), FieldText("context", context))
            yield FieldText("title", title)
        case Labelled(text, label):
            yield from (FieldText("text", text), FieldText("label", label))


def first_text(example: Example) -> str:
    """Return what an example begins with, to be told from others by a person."""
    return next((one.text for one in texts_of(example) if one.text.strip()), "")


def asked_of(example: Example) -> Iterator[FieldText]:
    """Yield what an example asks: an evaluation's question there gives its answer away."""
    match example:
        case Chat(turns, _):
            yield from _said([one for one in turns if one.role != "system"], "messages")
        case Preference(turns, _, _, _):
            yield from _said(turns, "input.messages")
        case Retrieval(query, _, _):
            yield FieldText("query", query)
        case Reading(question, _, _, _):
            yield FieldText("question", question)
        case Labelled(text, _):
            yield FieldText("text", text)


def _said(turns: Sequence[Turn], name: str) -> Iterator[FieldText]:
    for number, turn in enumerate(turns):
        yield FieldText(f"{name}[{number}].content", turn.content)
        for call in turn.tool_calls:
            yield FieldText(f"{name}[{number}].tool_calls", call.arguments)
