"""Conversations → text, by the model's own chat template: one renderer, to train and to serve."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError, SetupError
from steelyard.core.training import Turn

TEMPLATE_FILE = "chat_template.jinja"
_PROBE = (Turn("user", "Probe?"),)
_ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a rendered conversation. `target`: the model is to learn to write it."""

    text: str
    target: bool


class Template:
    """A tokenizer with its chat template, as transformers reads them from a model's directory."""

    def __init__(self, tokenizer: Any, *, name: str) -> None:
        """Check the template on a conversation of one question.

        Raises:
            SetupError: there is no template, it does not render, or it knows no generation prompt,
                so that training and serving would differ where an answer begins.
        """
        self.tokenizer = tokenizer
        self._name = name
        template = tokenizer.chat_template
        if not template:
            raise SetupError(
                f"base {name!r} has no chat template, so how it is asked is not known; put the "
                f"one that it will be served with beside its weights as {TEMPLATE_FILE}"
            )
        self.text: str = template if isinstance(template, str) else json.dumps(template)
        if self.render(_PROBE, prompt=True) == self.render(_PROBE, prompt=False):
            raise SetupError(
                f"the chat template of base {name!r} writes no generation prompt: what follows a "
                "question is left open, and the model would learn to begin its own turn; end "
                f"{TEMPLATE_FILE} with {{% if add_generation_prompt %}} and the header of an "
                "assistant's turn"
            )

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def eos_id(self) -> int | None:
        found = self.tokenizer.eos_token_id
        return None if found is None else int(found)

    def render(
        self,
        turns: Sequence[Turn],
        *,
        prompt: bool,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """Return a conversation as text; with `prompt`, ready for the assistant to go on.

        Raises:
            InputError: the template refuses the conversation; says why.
        """
        try:
            text: str = self.tokenizer.apply_chat_template(
                [_message(turn) for turn in turns],
                tools=[dict(tool) for tool in tools] or None,
                add_generation_prompt=prompt,
                tokenize=False,
            )
        except Exception as error:  # a template is a program of somebody else's
            roles = ", ".join(turn.role for turn in turns)
            raise InputError(
                f"the chat template of {self._name!r} cannot render a conversation of roles "
                f"{roles}: {' '.join(str(error).split()) or type(error).__name__}; change the "
                "rows, or the template",
                code="template",
            ) from error
        return text

    def pieces(
        self, turns: Sequence[Turn], *, tools: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[Piece, ...]:
        """Return a conversation in pieces, each assistant's turn with a weight a target of its own.

        A target is what the template writes after the generation prompt: the turn and the token
        that ends it; what a server adds behind that is none. The pieces' texts joined are the
        conversation as the template renders it.

        Raises:
            InputError: the template rewrites earlier turns when later ones come, so that no prompt
                would be what is served.
        """
        whole = self.render(turns, prompt=False, tools=tools)
        pieces: list[Piece] = []
        done = 0
        for number, turn in enumerate(turns):
            if turn.role != _ASSISTANT or not turn.weight or not number:
                continue  # the first of all turns answers nobody: no prompt leads to it
            before = self.render(turns[:number], prompt=True, tools=tools)
            after = self.render(turns[: number + 1], prompt=False, tools=tools)
            if not (whole.startswith(after) and after.startswith(before)):
                raise InputError(
                    f"the chat template of {self._name!r} writes turn {number + 1} of "
                    f"{len(turns)} otherwise when it is not the last one, so that it cannot be "
                    "learnt as it is served; give rows whose last turn alone has a weight",
                    code="template",
                )
            end = len(before) + self._own_length(after[len(before) :])
            pieces.append(Piece(whole[done : len(before)], target=False))
            pieces.append(Piece(whole[len(before) : end], target=True))
            done = end
        if done < len(whole):
            pieces.append(Piece(whole[done:], target=False))
        return tuple(pieces)

    def _own_length(self, written: str) -> int:
        """Return how much of a turn the model writes itself: up to its last end of text."""
        eos = self.tokenizer.eos_token
        place = written.rfind(eos) if eos else -1
        return len(written) if place < 0 else place + len(eos)


def open_template(path: Path, *, name: str) -> Template:
    """Return the template and tokenizer of a model directory.

    Raises:
        SetupError: the tokenizer cannot be read, or the template cannot be used.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, use_fast=True)
    except Exception as error:  # whatever reads it names no file
        raise SetupError(
            f"the tokenizer of {str(path)!r} cannot be read "
            f"({' '.join(str(error).split())[:200]}); download the model again"
        ) from error
    return Template(tokenizer, name=name)


def _message(turn: Turn) -> dict[str, Any]:
    # A lone half of a surrogate pair is no text: it is replaced here as everywhere else.
    content = turn.content.encode("utf-8", "replace").decode("utf-8")
    message: dict[str, Any] = {"role": turn.role, "content": content}
    if turn.name:
        message["name"] = turn.name
    if turn.tool_call_id:
        message["tool_call_id"] = turn.tool_call_id
    if turn.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call.arguments)},
            }
            for call in turn.tool_calls
        ]
    return message


def _arguments(text: str) -> Any:
    """Return a call's arguments as templates expect them, an object if they are one."""
    try:
        return json.loads(text)
    except ValueError:
        return text
