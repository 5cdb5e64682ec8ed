"""A training row as JSON, the same for the same row, and its hash."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from steelyard.core.training import (
    Chat,
    Example,
    Labelled,
    Preference,
    Provenance,
    Reading,
    Retrieval,
    TrainingRow,
    Turn,
)

_PLACE = ("file", "line", "id")  # where a row stood: the same row elsewhere is the same row


def row_fields(row: TrainingRow) -> dict[str, Any]:
    """Return a row as JSON fields: its kind, its example's usual form, its provenance."""
    return {
        "kind": row.kind.value,
        **example_fields(row.example),
        "provenance": provenance_fields(row.provenance),
    }


def example_fields(example: Example) -> dict[str, Any]:
    """Return an example in the commonest form of its kind; what is empty is left out."""
    match example:
        case Chat(turns, tools):
            return {"messages": turn_fields(turns), **_given(tools)}
        case Preference(turns, preferred, rejected, tools):
            return {
                "input": {"messages": turn_fields(turns), **_given(tools)},
                "preferred_output": turn_fields(preferred),
                "non_preferred_output": turn_fields(rejected),
            }
        case Retrieval(query, positives, negatives):
            return {"query": query, "positives": list(positives), "negatives": list(negatives)}
        case Reading():
            return reading_fields(example)
        case Labelled(text, label):
            return {"text": text, "label": label}


def turn_fields(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    return [_turn(turn) for turn in turns]


def reading_fields(reading: Reading) -> dict[str, Any]:
    """Return a row of SQuAD v2, one question each."""
    fields: dict[str, Any] = {"title": reading.title} if reading.title else {}
    return fields | {
        "context": reading.context,
        "question": reading.question,
        "answers": {
            "text": [span.text for span in reading.answers],
            "answer_start": [span.start for span in reading.answers],
        },
        "is_impossible": not reading.answers,
    }


def provenance_fields(provenance: Provenance) -> dict[str, Any]:
    """Return what is known of where a row is from."""
    listed: dict[str, Any] = {
        "file": provenance.file,
        "line": provenance.line,
        "id": provenance.id,
        "origin": provenance.origin,
        "licence": provenance.licence,
        "documents": list(provenance.documents),
        "user": provenance.user,
        "conversation": provenance.conversation,
    }
    known = {name: value for name, value in listed.items() if value}
    return known if provenance.at is None else known | {"at": provenance.at}


def sha256_of(row: TrainingRow) -> str:
    """Return the hash of what a row is, wherever it stood."""
    fields = row_fields(row)
    for name in _PLACE:
        fields["provenance"].pop(name, None)
    return hashlib.sha256(canonical(fields).encode()).hexdigest()


def canonical(fields: Mapping[str, Any]) -> str:
    """Return JSON that is the same for equal fields in any order."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _turn(turn: Turn) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.weight != 1:
        fields["weight"] = turn.weight
    if turn.name:
        fields["name"] = turn.name
    if turn.tool_calls:
        fields["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in turn.tool_calls
        ]
        fields["content"] = turn.content or None
    if turn.tool_call_id:
        fields["tool_call_id"] = turn.tool_call_id
    return fields


def _given(tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"tools": [dict(tool) for tool in tools]} if tools else {}
