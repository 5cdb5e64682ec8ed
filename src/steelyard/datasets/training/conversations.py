"""Forms of a conversation that are not OpenAI's: sharegpt, alpaca, prompt and completion."""

from collections.abc import Mapping, Sequence
from typing import Any

from steelyard.core.training import Chat, Example, Preference, TrainingRow, Turn
from steelyard.datasets.training.canonical import turn_fields
from steelyard.datasets.training.fields import Fields, kind_of

_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "observation": "tool",
}
_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}


def read_sharegpt(fields: Fields) -> Example:
    """Read `conversations`; turns are `from` and `value`, or `role` and `content`."""
    value = fields.get("conversations")
    if not isinstance(value, list):
        fields.fault("conversations", f"must be a list of turns, not {kind_of(value)}")
        return Chat(())
    if value and isinstance(value[0], dict) and "role" in value[0]:
        return Chat((*_system(fields), *fields.turns("conversations")), fields.tools())
    turns = []
    for number, item in enumerate(value):
        name = f"conversations[{number}]"
        inner = fields.within(item, name)
        if not (isinstance(inner.get("from"), str) and isinstance(inner.get("value"), str)):
            fields.fault(name, "must have the texts 'from' and 'value'")
            continue
        speaker = inner.get("from")
        if speaker == "function_call":
            fields.fault(name, "is a function_call: write tool calls in OpenAI's form")
        turns.append(Turn(_ROLES.get(speaker, speaker), inner.get("value")))
    return Chat((*_system(fields), *turns), fields.tools())


def sharegpt_fields(row: TrainingRow) -> Mapping[str, Any] | None:
    example = row.example
    if not isinstance(example, Chat) or not all(map(_is_plain, example.turns)):
        return None
    if any(turn.role not in _SPEAKERS for turn in example.turns):
        return None
    said = [{"from": _SPEAKERS[one.role], "value": one.content} for one in example.turns]
    tools = {"tools": [dict(tool) for tool in example.tools]} if example.tools else {}
    return {"conversations": said, **tools}


def read_alpaca(fields: Fields) -> Example:
    """Read `instruction` with its `input` on the next line, after `system` and `history`."""
    instruction, given = fields.text("instruction"), fields.text("input", missing="")
    asked = f"{instruction}\n{given}" if instruction and given else instruction or given
    turns = [*_system(fields), *_history(fields)]
    return Chat((*turns, Turn("user", asked), Turn("assistant", fields.text("output"))))


def alpaca_fields(row: TrainingRow) -> Mapping[str, Any] | None:
    example = row.example
    if not isinstance(example, Chat) or example.tools or not all(map(_is_plain, example.turns)):
        return None
    system, turns = _without_system(example.turns)
    roles = [turn.role for turn in turns]
    if not roles or roles != ["user", "assistant"] * (len(roles) // 2):
        return None
    texts = [turn.content for turn in turns]
    fields: dict[str, Any] = {"instruction": texts[-2], "input": "", "output": texts[-1]}
    if system:
        fields["system"] = system
    if len(texts) > 2:
        fields["history"] = [list(pair) for pair in zip(texts[:-2:2], texts[1:-2:2], strict=True)]
    return fields


def read_prompt(fields: Fields) -> Example:
    """Read `prompt` and `completion`, each a text or a list of turns."""
    return Chat((*_side(fields, "prompt", "user"), *_side(fields, "completion", "assistant")))


def prompt_fields(row: TrainingRow) -> Mapping[str, Any] | None:
    example = row.example
    if not isinstance(example, Chat) or example.tools or not example.turns:
        return None
    *asked, reply = example.turns
    if reply.role != "assistant" or reply.tool_calls or not asked:
        return None
    if [one.role for one in asked] == ["user"] and all(map(_is_plain, example.turns)):
        return {"prompt": asked[0].content, "completion": reply.content}
    return {"prompt": turn_fields(asked), "completion": turn_fields([reply])}


def read_pair(fields: Fields) -> Example:
    """Read `prompt`, `chosen` and `rejected`, each a text or a list of turns."""
    prompt = _side(fields, "prompt", "user")
    chosen, rejected = (_side(fields, name, "assistant") for name in ("chosen", "rejected"))
    if prompt and prompt == chosen[: len(prompt)] and prompt == rejected[: len(prompt)]:
        chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
    return Preference(prompt, chosen, rejected)


def pair_fields(row: TrainingRow) -> Mapping[str, Any] | None:
    example = row.example
    if not isinstance(example, Preference) or example.tools:
        return None
    return {
        "prompt": turn_fields(example.turns),
        "chosen": turn_fields(example.preferred),
        "rejected": turn_fields(example.rejected),
    }


def _side(fields: Fields, name: str, role: str) -> tuple[Turn, ...]:
    if isinstance(fields.get(name), list):
        return fields.turns(name)
    return (Turn(role, fields.text(name)),)


def _system(fields: Fields) -> tuple[Turn, ...]:
    text = fields.text("system", missing="")
    return (Turn("system", text),) if text else ()


def _history(fields: Fields) -> list[Turn]:
    value = fields.get("history") or []
    pairs = value if isinstance(value, list) else [None]
    turns = []
    for number, pair in enumerate(pairs):
        fits = isinstance(pair, list) and len(pair) == 2
        if not fits or not all(isinstance(text, str) for text in pair):
            fields.fault(f"history[{number}]", "must be two texts: what was asked and replied")
            continue
        turns += [Turn("user", pair[0]), Turn("assistant", pair[1])]
    return turns


def _without_system(turns: Sequence[Turn]) -> tuple[str, Sequence[Turn]]:
    if turns and turns[0].role == "system":
        return turns[0].content, turns[1:]
    return "", turns


def _is_plain(turn: Turn) -> bool:
    return turn == Turn(turn.role, turn.content)
