"""What makes an example unfit to learn from: told by field, before any model is loaded."""

from collections.abc import Callable, Sequence
from typing import assert_never

from steelyard.core.training import (
    Chat,
    Example,
    Labelled,
    Preference,
    Reading,
    Retrieval,
    Turn,
)

Fault = Callable[[str, str], None]  # (field, problem)
ROLES = ("system", "developer", "user", "assistant", "tool")


def check(example: Example, fault: Fault) -> None:
    """Report every reason for which nothing, or something wrong, would be learnt."""
    match example:
        case Chat(turns):
            _check_turns(turns, "messages", fault)
            _check_ends(turns, "messages", fault)
        case Preference():
            _check_preference(example, fault)
        case Retrieval():
            _check_retrieval(example, fault)
        case Reading():
            _check_reading(example, fault)
        case Labelled(text, label):
            _filled(text, "text", fault)
            _filled(label, "label", fault)
        case _:
            assert_never(example)


def is_target(turn: Turn) -> bool:
    """Tell whether a turn is learnt."""
    said = turn.content.strip() or turn.tool_calls
    return turn.role == "assistant" and turn.weight == 1 and bool(said)


def _check_ends(turns: Sequence[Turn], name: str, fault: Fault) -> None:
    if not turns:
        fault(name, "is empty")
    elif not any(map(is_target, turns)):
        fault(name, "has zero target turns: no assistant's turn with weight 1 says anything")
    elif turns[-1].role != "assistant":
        fault(f"{name}[{len(turns) - 1}].role", f"is {turns[-1].role!r}: the assistant ends a row")


def _check_turns(turns: Sequence[Turn], name: str, fault: Fault) -> None:
    """Report unknown and misplaced roles, and turns that say nothing."""
    before, called = "", set[str]()
    for number, turn in enumerate(turns):
        place = f"{name}[{number}]"
        if turn.role not in ROLES:
            fault(f"{place}.role", f"must be one of {', '.join(ROLES)}")
        elif not _may_follow(turn.role, before):
            after = f"follows {before!r}" if before else "begins the conversation"
            fault(f"{place}.role", f"is out of order: {turn.role!r} {after}")
        if not turn.content.strip() and not turn.tool_calls and turn.role != "tool":
            fault(f"{place}.content", "is empty")
        if turn.tool_calls and turn.role != "assistant":
            fault(f"{place}.tool_calls", "only an assistant calls tools")
        if turn.tool_call_id and turn.tool_call_id not in called:
            fault(f"{place}.tool_call_id", "answers no call before it")
        called |= {call.id for call in turn.tool_calls}
        before = "call" if turn.tool_calls else turn.role


def _may_follow(role: str, before: str) -> bool:
    allowed = {
        "system": ("",),
        "developer": ("",),
        "user": ("", "system", "developer", "assistant"),
        "assistant": ("user", "tool"),
        "tool": ("call", "tool"),
    }
    return before in allowed[role] or before not in (*ROLES, "", "call")


def _check_preference(example: Preference, fault: Fault) -> None:
    if not example.turns:
        fault("input.messages", "is empty")
    elif example.turns[-1].role not in ("user", "tool"):
        fault(f"input.messages[{len(example.turns) - 1}].role", "must be 'user' or 'tool'")
    _check_turns(example.turns, "input.messages", fault)
    sides = (("preferred_output", example.preferred), ("non_preferred_output", example.rejected))
    for name, side in sides:
        if not any(map(is_target, side)):
            fault(name, "has zero target turns: no assistant's turn says anything")
        elif side[0].role != "assistant" or side[-1].role != "assistant":
            fault(f"{name}[0].role", "is out of order: the assistant begins and ends an output")
    if example.preferred and example.preferred == example.rejected:
        fault("non_preferred_output", "equals preferred_output: nothing is preferred")


def _check_retrieval(example: Retrieval, fault: Fault) -> None:
    _filled(example.query, "query", fault)
    if not example.positives:
        fault("positives", "is empty: there is nothing to be found")
    for name, texts in (("positives", example.positives), ("negatives", example.negatives)):
        for number, text in enumerate(texts):
            _filled(text, f"{name}[{number}]", fault)
    for number, text in enumerate(example.negatives):
        if text in example.positives:
            fault(f"negatives[{number}]", "is one of the positives too")


def _check_reading(example: Reading, fault: Fault) -> None:
    _filled(example.question, "question", fault)
    _filled(example.context, "context", fault)
    for number, span in enumerate(example.answers):
        name = f"answers.text[{number}]"
        _filled(span.text, name, fault)
        there = example.context[max(span.start, 0) : span.start + len(span.text)]
        if span.start < 0 or there != span.text:
            fault(name, f"does not stand at {span.start} of the context")


def _filled(text: str, name: str, fault: Fault) -> None:
    if not text.strip():
        fault(name, "is empty")
