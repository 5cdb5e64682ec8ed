"""Rendered chats → token ids and which of them are learnt, cut at turns, every token counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.core.training import Chat, Preference, Turn
from steelyard.core.tuning import TokenAccount
from steelyard.infra.chat_template import Piece, Template

Ids = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A conversation as a model reads it: (T,) ids, and which of them are targets."""

    ids: Ids
    targets: Mask

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_targets(self) -> int:
        """Return how many tokens earn a loss; the first never does, as nothing foretells it."""
        return int(self.targets[1:].sum())


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """Two ways to go on after one prompt, each with its whole conversation."""

    preferred: Encoded
    rejected: Encoded

    def __len__(self) -> int:
        return max(len(self.preferred), len(self.rejected))


@dataclass(frozen=True, slots=True)
class Fitted:
    """What became of a row. `example` None: it was dropped, and `reason` says why."""

    example: Encoded | EncodedPair | None
    account: TokenAccount
    reason: str = ""


NO_TARGET = "no assistant's turn with a weight, or nothing in it"
TOO_LONG = "even its first answer ends beyond max_tokens"


def encode(
    template: Template, turns: Sequence[Turn], tools: Sequence[Mapping[str, Any]]
) -> Encoded:
    """Return a conversation's tokens; those of targets are marked.

    The tokens before a target are those of the prompt that is served there: where a token would
    reach over that border, both sides are tokenised apart.
    """
    return _tokens(template.tokenizer, template.pieces(turns, tools=tools))


def fit_chat(template: Template, chat: Chat, *, max_tokens: int) -> Fitted:
    """Return a chat that fits, without its latest turns if need be; never cut within a turn."""
    whole = encode(template, chat.turns, chat.tools)
    if not whole.num_targets:
        return Fitted(None, _dropped(whole), NO_TARGET)
    kept = whole
    turns = list(chat.turns)
    while len(kept) > max_tokens:
        turns = _without_last_answer(turns)
        if not any(turn.role == "assistant" and turn.weight for turn in turns):
            return Fitted(None, _dropped(whole), TOO_LONG)
        kept = encode(template, turns, chat.tools)
    if not kept.num_targets:
        return Fitted(None, _dropped(whole), TOO_LONG)
    account = TokenAccount(
        kept=len(kept),
        truncated=len(whole) - len(kept),
        targets_kept=kept.num_targets,
        targets_lost=whole.num_targets - kept.num_targets,
        rows_kept=1,
        rows_truncated=int(len(kept) < len(whole)),
    )
    return Fitted(kept, account)


def fit_preference(template: Template, row: Preference, *, max_tokens: int) -> Fitted:
    """Return both ways to go on after a prompt; a pair of which one does not fit is dropped, as
    half a comparison teaches nothing."""
    context = tuple(
        Turn(t.role, t.content, 0, t.name, t.tool_calls, t.tool_call_id) for t in row.turns
    )
    ways = [encode(template, (*context, *way), row.tools) for way in (row.preferred, row.rejected)]
    preferred, rejected = ways
    total = len(preferred) + len(rejected)
    targets = preferred.num_targets + rejected.num_targets
    lost = TokenAccount(dropped=total, targets_lost=targets, rows_dropped=1)
    if not (preferred.num_targets and rejected.num_targets):
        return Fitted(None, lost, NO_TARGET)
    if max(map(len, ways)) > max_tokens:
        return Fitted(None, lost, TOO_LONG)
    account = TokenAccount(kept=total, targets_kept=targets, rows_kept=1)
    return Fitted(EncodedPair(preferred, rejected), account)


def _without_last_answer(turns: Sequence[Turn]) -> list[Turn]:
    """Return the turns before the last answer that is learnt, up to the answer before it."""
    last = max(n for n, turn in enumerate(turns) if turn.role == "assistant" and turn.weight)
    kept = list(turns[:last])
    while kept and kept[-1].role != "assistant":
        kept.pop()
    return kept


def _dropped(whole: Encoded) -> TokenAccount:
    return TokenAccount(dropped=len(whole), targets_lost=whole.num_targets, rows_dropped=1)


def _tokens(tokenizer: Any, pieces: Sequence[Piece]) -> Encoded:
    text = "".join(piece.text for piece in pieces)
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = found["input_ids"], found["offset_mapping"]
    targets = np.zeros(len(ids), np.bool_)
    begin = token = 0
    for piece in pieces:
        end = begin + len(piece.text)
        while token < len(ids) and offsets[token][0] < end:
            if offsets[token][1] > end and end < len(text):
                return _apart(tokenizer, pieces)
            targets[token] = piece.target
            token += 1
        begin = end
    return Encoded(np.array(ids, np.int32), targets)


def _apart(tokenizer: Any, pieces: Sequence[Piece]) -> Encoded:
    """Tokenise each piece by itself, as a served prompt is."""
    ids: list[int] = []
    targets: list[bool] = []
    for piece in pieces:
        own = tokenizer(piece.text, add_special_tokens=False)["input_ids"]
        ids += own
        targets += [piece.target] * len(own)
    return Encoded(np.array(ids, np.int32), np.array(targets, np.bool_))
