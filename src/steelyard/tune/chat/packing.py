"""Several conversations in one row of a batch, none of which sees another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.tune.chat.encode import Encoded

if TYPE_CHECKING:
    import torch

IGNORED = -100  # the label of a token that earns no loss, in torch and transformers


@dataclass(frozen=True, slots=True)
class Pack:
    """Conversations that share a row, in order."""

    parts: tuple[Encoded, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))


def pack(rows: Sequence[Encoded], *, max_tokens: int) -> list[Pack]:
    """Return rows in packs of at most `max_tokens` tokens: first fit, the longest first.

    Equal rows give equal packs; a row is never split.
    """
    order = sorted(range(len(rows)), key=lambda n: (-len(rows[n]), n))
    packs: list[list[int]] = []
    room: list[int] = []
    first = 0  # packs before it are full
    for n in order:
        place = next((p for p in range(first, len(packs)) if room[p] >= len(rows[n])), len(packs))
        if place == len(packs):
            packs.append([])
            room.append(max_tokens)
        packs[place].append(n)
        room[place] -= len(rows[n])
        while first < len(packs) and room[first] == 0:
            first += 1
    return [Pack(tuple(rows[n] for n in sorted(one))) for one in packs]


def collate_packs(packs: Sequence[Pack], *, pad_id: int) -> dict[str, "torch.Tensor"]:
    """Return one padded batch: `input_ids`, `position_ids`, `labels`, (B, T), and `attention_mask`.

    Positions begin at 0 in each conversation, and a token attends to none of another: the mask is
    (B, 1, T, T), true where it may. Where every row holds one conversation the mask is (B, T).
    Labels are the ids of targets, but never of a conversation's first token, which would be
    foretold by its neighbour.
    """
    import torch

    width = max(map(len, packs))
    shape = (len(packs), width)
    ids = np.full(shape, pad_id, np.int64)
    labels = np.full(shape, IGNORED, np.int64)
    positions = np.zeros(shape, np.int64)
    owner = np.full(shape, -1, np.int64)
    for row, one in enumerate(packs):
        at = 0
        for number, part in enumerate(one.parts):
            end = at + len(part)
            ids[row, at:end] = part.ids
            labels[row, at + 1 : end] = np.where(part.targets[1:], part.ids[1:], IGNORED)
            positions[row, at:end] = np.arange(len(part))
            owner[row, at:end] = number
            at = end
    batch = {
        "input_ids": torch.from_numpy(ids),
        "position_ids": torch.from_numpy(positions),
        "labels": torch.from_numpy(labels),
    }
    if all(len(one.parts) == 1 for one in packs):
        return batch | {"attention_mask": torch.from_numpy((owner >= 0).astype(np.int64))}
    same = owner[:, :, None] == owner[:, None, :]
    causal = np.tril(np.ones((width, width), np.bool_))
    return batch | {"attention_mask": torch.from_numpy((same & causal)[:, None])}


def can_pack(config: Any, *, max_tokens: int) -> str:
    """Return why a model's rows must not be packed; "" if they may.

    The mask above keeps conversations apart in attention alone: what runs over a whole row
    otherwise (a state, a convolution) would mix them.
    """
    kinds = set(getattr(config, "layer_types", None) or ())
    mixing = sorted(kinds - {"full_attention", "sliding_attention", "attention"})
    if mixing or any(hasattr(config, name) for name in ("ssm_cfg", "state_size", "mamba_d_state")):
        return f"layers of {config.model_type!r} ({', '.join(mixing) or 'a state'}) mix a whole row"
    window = getattr(config, "sliding_window", None)
    if window and (kinds & {"sliding_attention"} or not kinds) and window < max_tokens:
        return f"its attention slides over {window} tokens, fewer than max_tokens {max_tokens}"
    return ""
