"""Whether a server reads a conversation as the token ids that training made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from steelyard.core.errors import InputError, UpstreamError
from steelyard.core.training import Turn
from steelyard.infra.chat_template import Template
from steelyard.infra.http import endpoint_root, is_loopback, upstream_error

_TIMEOUT_S = 30.0
_AROUND = 3  # tokens shown on each side of the first difference


@dataclass(frozen=True, slots=True)
class Parity:
    """`at` is the first token that differs, -1: none does. `ways` names the server's endpoints
    that told; `detail` shows both sides of a difference."""

    equal: bool
    ours: tuple[int, ...]
    theirs: tuple[int, ...]
    at: int
    ways: str
    detail: str = ""


def served_parity(
    template: Template,
    turns: Sequence[Turn],
    *,
    url: str,
    model: str = "",
    tools: Sequence[Mapping[str, Any]] = (),
) -> Parity:
    """Compare the prompt that training begins an answer after with what a server makes of it.

    Asked are vLLM's `/tokenize` (it takes conversations), else llama.cpp's `/apply-template` and
    `/tokenize`; nothing is generated.

    Raises:
        InputError: the URL is none.
        UpstreamError: the server cannot be reached, or tells neither way.
    """
    root = endpoint_root(url).rsplit("/v1", 1)[0]
    text = template.render(turns, prompt=True, tools=tools)
    ours = tuple(template.tokenizer(text, add_special_tokens=False)["input_ids"])
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    if any(turn.tool_calls or turn.tool_call_id for turn in turns):
        raise InputError("parity is checked on plain turns; leave out those that call tools")
    asked: dict[str, Any] = {"messages": messages, "add_generation_prompt": True}
    if tools:
        asked["tools"] = [dict(tool) for tool in tools]
    with httpx2.Client(timeout=_TIMEOUT_S, trust_env=not is_loopback(root)) as client:
        told = _conversation_ids(client, root, asked | ({"model": model} if model else {}))
        ways = "/tokenize of messages"
        if told is None:
            told = _two_steps(client, root, asked)
            ways = "/apply-template, /tokenize"
    return _compared(template, ours, told, ways)


def _conversation_ids(
    client: httpx2.Client, root: str, asked: Mapping[str, Any]
) -> tuple[int, ...] | None:
    """Return the ids of a server that tokenises conversations; None: it does not."""
    content = _post(client, f"{root}/tokenize", {**asked, "add_special_tokens": False})
    ids = _ids(content)
    return ids or None  # llama.cpp answers without `content`: no tokens


def _two_steps(client: httpx2.Client, root: str, asked: Mapping[str, Any]) -> tuple[int, ...]:
    applied = _post(client, f"{root}/apply-template", asked)
    if applied is None or not isinstance(applied.get("prompt"), str):
        raise UpstreamError(
            f"{root} tells neither by /tokenize of messages (vLLM) nor by /apply-template "
            "(llama.cpp) what it makes of a conversation; parity cannot be checked there"
        )
    body = {"content": applied["prompt"], "add_special": True, "parse_special": True}
    ids = _ids(_post(client, f"{root}/tokenize", body))
    if ids is None:
        raise UpstreamError(f"{root}/tokenize returned no tokens; is it a llama.cpp server?")
    return ids


def _post(client: httpx2.Client, url: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a JSON object; None: the server refuses, or knows no such endpoint."""
    try:
        response = client.post(url, json=dict(body))
    except httpx2.HTTPError as error:
        raise upstream_error(error, where=url) from error
    if response.status_code != 200:
        return None
    try:
        content = response.json()
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _ids(content: Mapping[str, Any] | None) -> tuple[int, ...] | None:
    tokens = None if content is None else content.get("tokens")
    if not isinstance(tokens, list):
        return None
    return tuple(int(one["id"] if isinstance(one, dict) else one) for one in tokens)


def _compared(
    template: Template, ours: tuple[int, ...], theirs: tuple[int, ...], ways: str
) -> Parity:
    if ours == theirs:
        return Parity(True, ours, theirs, -1, ways)
    shared = min(len(ours), len(theirs))
    at = next((n for n in range(shared) if ours[n] != theirs[n]), shared)
    begin, end = max(0, at - _AROUND), at + _AROUND
    decode = template.tokenizer.decode
    detail = (
        f"token {at} differs: trained on {decode(ours[begin:end])!r} "
        f"({len(ours)} tokens), served {decode(theirs[begin:end])!r} ({len(theirs)}); give the "
        "server the artefact's chat template, and look for a second beginning-of-text token"
    )
    return Parity(False, ours, theirs, at, ways, detail)
